# SPDX-License-Identifier: Apache-2.0
"""A ledger behind a gateway that is not believed (spec/ledger.md, section 9).

Every answer must hold under the ledger's key and extend what was verified before:

    ROLLED_BACK  an older log than one that we knew when we asked
    FORKED       a log that does not extend ours, or a topic with another past
    OMITTED      fewer records than proven, or an acknowledged entry that is not there
    BAD_PROOF    altered records, proofs that do not hold
    NOT_LEGAL    a proven entry that the rules refuse
    STALE        a checkpoint older than 3 periods; UNREACHABLE: 12, or no answer

Each is a LedgerError and changes nothing here; what shows it is kept as evidence.
"""

import asyncio
import contextlib
from collections import defaultdict
from collections.abc import (
    AsyncGenerator,
    AsyncIterator,
    Coroutine,
    Sequence,
)
from typing import Any, Final, Self

from incamera.errors import Code, LedgerError, PeerError, UsageError
from incamera.ledger.base import MAX_READ, Appended, WatchEvent
from incamera.ledger.book import is_over
from incamera.ledger.copies import Copies, check_receipt
from incamera.ledger.gateway_wire import (
    Transport,
    parse_appended,
    parse_attestation,
    parse_path,
    parse_records,
    parse_watched,
)
from incamera.ledger.log_guard import Asked, LogGuard, blamed
from incamera.ledger.remembered import Memory
from incamera.ledger.replica import Replica
from incamera.protocol.attestation import Attestation, verify_attestation
from incamera.protocol.descriptor import Descriptor, ledger_id_of, parse_descriptor
from incamera.protocol.entry import EntryType, parse_entry
from incamera.protocol.ids import LedgerId, TopicId
from incamera.protocol.ports import Clock
from incamera.protocol.proof import (
    Confirmation,
    Proof,
    ProvenHead,
    Receipt,
    Record,
    parse_proof,
    verify_proof,
)
from incamera.protocol.topic import TopicState

ANSWER_S: Final = 10
"""Without any answer for so long a gateway is unreachable."""
_PASSING: Final = frozenset({Code.UNREACHABLE, Code.STALE, Code.QUEUE_FULL, Code.QUOTA})
"""What may pass by itself, so that a watch goes on."""
RETRY_S: Final = (0.1, 0.5, 1, 2, 5)
"""Waiting times between attempts to watch again; the last one goes on."""
_OPENING: Final = frozenset({EntryType.USER_ROOT, EntryType.PUBLISH})


class RemoteLedger:
    """The ledger `ledger_id`, reached over `transport`."""

    def __init__(
        self,
        transport: Transport,
        descriptor: Descriptor,
        *,
        ledger_id: LedgerId,
        memory: Memory,
        clock: Clock,
    ) -> None:
        """Use `connect`, which fetches and checks the descriptor."""
        self.descriptor = descriptor
        self.ledger_id = ledger_id
        self.memory = memory
        self._transport = transport
        self._clock = clock
        self._guard = LogGuard(descriptor, memory, clock, fetch_path=self.consistency)
        self._closed: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._asking: set[asyncio.Task[bytes]] = set()
        self._copies = Copies(ledger_id, descriptor, memory, fetch=self._page)
        self._locks: defaultdict[TopicId, asyncio.Lock] = defaultdict(asyncio.Lock)

    @classmethod
    async def connect(
        cls,
        transport: Transport,
        ledger_id: LedgerId,
        *,
        memory: Memory,
        clock: Clock,
    ) -> Self:
        """Return the ledger once its descriptor is here.

        Raises LedgerError: WRONG_LEDGER if the gateway fronts another one, UNREACHABLE.
        """
        data = await transport.get("/v0/descriptor")
        if ledger_id_of(data) != ledger_id:
            raise LedgerError(Code.WRONG_LEDGER, "the gateway fronts another ledger")
        with blamed():
            descriptor = parse_descriptor(data)
        return cls(
            transport, descriptor, ledger_id=ledger_id, memory=memory, clock=clock
        )

    async def append(self, entry: bytes) -> Receipt:
        """Order `entry`; see `Ledger.append`.

        A refusal is checked against our own verdict: one that the rules do not bear
        out is a LedgerError, not the author's fault.
        """
        topic = _topic_of(entry)
        asked = self._asked(topic)
        try:
            body = await self._answer(self._transport.post("/v0/append", entry))
        except PeerError as refusal:
            await self._check_refusal(topic, entry, refusal)
            raise
        with blamed():
            receipt, proof = parse_appended(body)
        async with self._locks[topic]:
            proven = await self._verify(proof, topic, asked)
            replica = await self._copies.catch_up(proven)
            check_receipt(receipt, entry, replica)
        return receipt

    async def read(
        self, topic: TopicId, *, start: int = 0, limit: int = MAX_READ
    ) -> Sequence[Record]:
        """Return records that a fresh proof covers; see `Ledger.read`."""
        replica = await self._sync(topic)
        if replica.is_pruned:
            raise LedgerError(Code.PRUNED, "the topic was pruned")
        return replica.records[start : start + min(limit, MAX_READ)]

    async def state(self, topic: TopicId) -> TopicState | None:
        """Return what a topic has come to; None if it is unknown."""
        return (await self._sync(topic)).state

    async def prove(self, topic: TopicId) -> Proof:
        """Return a verified proof; see `Ledger.prove`."""
        proof, _ = await self._fetch_proof(topic)
        return proof

    async def checkpoint(self) -> Attestation:
        """Return the newest checkpoint, verified; see `Ledger.checkpoint`."""
        asked = Asked(self.memory.log)
        body = await self._answer(self._transport.get("/v0/checkpoint"))
        with blamed():
            attestation = parse_attestation(body)
            proven = verify_attestation(attestation, self.descriptor)
        await self._guard.accept(proven, asked)
        return attestation

    async def consistency(self, old_size: int, new_size: int) -> Sequence[bytes]:
        """Return what the gateway says; the caller holds the roots to verify it."""
        if not 0 <= old_size <= new_size:
            raise LedgerError(Code.ROLLED_BACK, "the log never had these sizes")
        path = f"/v0/consistency?old={old_size}&new={new_size}"
        body = await self._answer(self._transport.get(path))
        with blamed():
            return parse_path(body)

    async def watch(
        self, topic: TopicId, *, start: int = 0
    ) -> AsyncIterator[WatchEvent]:
        """Yield verified records as they come; see `Ledger.watch`.

        Connects again by itself.  Whatever the socket withholds is fetched once a
        period, so silence is never taken for the absence of news.
        """
        index, failures = start, 0
        while True:
            try:
                async with contextlib.aclosing(self._frames(topic)) as frames:
                    async for replica in frames:
                        failures = 0
                        # The copy may grow while the caller looks at an event.
                        while index < len(replica.records):
                            record, index = replica.records[index], index + 1
                            yield _appended(topic, index - 1, record)
            except LedgerError as error:
                if error.code not in _PASSING or self._closed.done():
                    raise
            await self._pause(RETRY_S[min(failures, len(RETRY_S) - 1)])
            failures += 1

    async def prune(self, topic: TopicId) -> None:
        """Forget our copy of an ended topic; the gateway's is its owner's to prune.

        Raises UsageError(WRONG_STATE) for a topic that goes on.
        """
        replica = await self._sync(topic)
        if replica.count == 0:
            return
        if replica.state is None or not is_over(replica.state, self._clock.now_ms()):
            raise UsageError(Code.WRONG_STATE, "the topic has not ended")
        replica.prune()

    async def close(self) -> None:
        """End every watch; the transport belongs to the caller."""
        if not self._closed.done():
            self._closed.set_result(None)
        # A request that is cut off while it connects would leave its socket behind.
        await asyncio.gather(*self._asking, return_exceptions=True)

    async def _frames(self, topic: TopicId) -> AsyncGenerator[Replica, None]:
        """Yield the copy whenever it may have grown, until the socket closes."""
        replica = await self._sync(topic)
        yield replica
        path = f"/v0/watch/{topic.hex()}?start={replica.count}"
        frames = self._transport.watch(path)
        period = self.descriptor.parameters.period_s
        waiting = asyncio.create_task(_next(frames))
        try:
            while True:
                await self._pause(period, waiting)
                if not waiting.done():
                    yield await self._sync(topic)
                    continue
                frame = waiting.result()
                if frame is None:
                    return
                waiting = asyncio.create_task(_next(frames))
                yield await self._take(topic, frame)
        finally:
            waiting.cancel()
            await asyncio.gather(waiting, return_exceptions=True)
            if isinstance(frames, AsyncGenerator):
                await frames.aclose()

    async def _pause(
        self, time_s: float, waiting: asyncio.Task[bytes | None] | None = None
    ) -> None:
        """Wait for a time, for `waiting`, or for the end."""
        some: set[asyncio.Future[Any]] = {self._closed}
        if waiting is not None:
            some.add(waiting)
        until = asyncio.FIRST_COMPLETED
        await asyncio.wait(some, timeout=time_s, return_when=until)
        self._check_open()

    def _check_open(self) -> None:
        if self._closed.done():
            raise LedgerError(Code.UNREACHABLE, "the ledger is closed")

    async def _take(self, topic: TopicId, frame: bytes) -> Replica:
        # What we knew before the frame came may be newer than the frame: ask nothing
        # of its size, only that it is consistent.
        with blamed():
            said = parse_watched(frame)
        async with self._locks[topic]:
            proven = await self._verify(said.proof, topic, None)
            return await self._copies.catch_up(proven, said)

    async def _sync(self, topic: TopicId) -> Replica:
        async with self._locks[topic]:
            _, proven = await self._fetch_proof(topic)
            return await self._copies.catch_up(proven)

    async def _fetch_proof(self, topic: TopicId) -> tuple[Proof, ProvenHead]:
        asked = self._asked(topic)
        body = await self._answer(self._transport.get(f"/v0/proofs/{topic.hex()}"))
        with blamed():
            proof = parse_proof(body)
        return proof, await self._verify(proof, topic, asked)

    async def _verify(
        self, proof: Proof, topic: TopicId, asked: Asked | None
    ) -> ProvenHead:
        with blamed():
            proven = verify_proof(proof, self.descriptor)
        if proof.topic != topic:
            raise LedgerError(Code.BAD_PROOF, "proof of another topic")
        await self._guard.accept(proven, asked)
        return proven

    async def _page(self, topic: TopicId, start: int) -> Sequence[Record]:
        path = f"/v0/topics/{topic.hex()}?start={start}"
        body = await self._answer(self._transport.get(path))
        with blamed():
            return parse_records(body)

    def _asked(self, topic: TopicId) -> Asked:
        return Asked(self.memory.log, self.memory.topic(topic))

    async def _check_refusal(
        self, topic: TopicId, entry: bytes, refusal: PeerError
    ) -> None:
        replica = await self._sync(topic)
        if self.descriptor.parameters.checked:
            replica.verdict(entry, self._clock.now_ms())
            raise LedgerError(refusal.code, str(refusal.args[0])) from refusal

    async def _answer(self, answer: Coroutine[Any, Any, bytes]) -> bytes:
        """Wait for an answer, for no longer than `ANSWER_S` and not beyond `close`."""
        asking = asyncio.create_task(answer)
        self._asking.add(asking)
        asking.add_done_callback(self._asking.discard)
        either: set[asyncio.Future[Any]] = {asking, self._closed}
        first = asyncio.FIRST_COMPLETED
        await asyncio.wait(either, timeout=ANSWER_S, return_when=first)
        self._check_open()
        if not asking.done():
            asking.cancel()
            raise LedgerError(Code.UNREACHABLE, "no answer from the gateway")
        return asking.result()


async def _next(frames: AsyncIterator[bytes]) -> bytes | None:
    return await anext(frames, None)


def _topic_of(entry: bytes) -> TopicId:
    parsed = parse_entry(entry)
    opens = parsed.header.type in _OPENING
    return TopicId(parsed.id if opens else parsed.header.place)


def _appended(topic: TopicId, index: int, record: Record) -> Appended:
    return Appended(topic, index, record, Confirmation.FINAL)

# SPDX-License-Identifier: Apache-2.0
"""How an embedded ledger serves many callers at once (spec/ledger.md, section 8).

Appends wait in a line; one batch at a time is judged, made durable by the store and
only then chained into map and log, signed, acknowledged and shown to watchers.  All
state changes on the event loop; the store alone may work on another thread.
"""

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass
from typing import Final, Protocol, TypeAlias, TypeVar

from incamera.errors import Code, IncameraError, LedgerError, UsageError
from incamera.ledger.base import MAX_READ, Appended, WatchEvent
from incamera.ledger.book import (
    Batch,
    Book,
    Draft,
    Opening,
    Row,
    StorageLimits,
    Store,
    Topic,
    is_over,
    opening_of,
)
from incamera.ledger.seal import Sealer, Step
from incamera.protocol.attestation import CheckpointAttestation
from incamera.protocol.descriptor import Descriptor
from incamera.protocol.entry import Entry, parse_entry
from incamera.protocol.ids import LedgerId, TopicId
from incamera.protocol.ports import Clock, Signer
from incamera.protocol.proof import Confirmation, Proof, Receipt, Record
from incamera.protocol.topic import TopicState

MAX_BATCH: Final = 512
"""Entries of one commit: about 0.2 s of checking, so that nobody waits longer."""
MAX_WAITING: Final = 8192
"""Entries in line; more are refused, so that memory stays bounded."""
MAX_UNREAD: Final = 1024
"""Events a watcher may leave unread before it is cut off."""

DEFAULT_LIMITS: Final = StorageLimits()

T = TypeVar("T")
Outcome: TypeAlias = Receipt | IncameraError
Admit: TypeAlias = Callable[[Entry], None]
"""Raises, if this entry may not open a topic here: LedgerError or PeerError."""


def admit_all(entry: Entry) -> None:
    """Let anybody open topics: for a ledger that only its owner can reach."""


@dataclass(frozen=True, slots=True)
class Setup:
    """What every embedded engine is given."""

    signer: Signer
    clock: Clock
    descriptor: Descriptor
    admit: Admit = admit_all
    limits: StorageLimits = DEFAULT_LIMITS


class Runner(Protocol):
    """Where a store's blocking calls run."""

    async def work(self, job: Callable[[], T]) -> T:
        """Run a job that may write; the engine lets one run at a time."""

    async def look(self, job: Callable[[], T]) -> T:
        """Run a job that only reads, beside the others."""

    def stop(self) -> None:
        """No job will follow."""


@dataclass(frozen=True, slots=True)
class _Waiting:
    entry: Entry
    answer: asyncio.Future[Receipt]


class Engine:
    """An embedded ledger over a store; use it on one event loop."""

    def __init__(self, setup: Setup, store: Store, runner: Runner) -> None:
        """Load what `store` holds; LedgerError(STORAGE) if it was altered."""
        contents = store.load()
        self._setup = setup
        self._store = store
        self._runner = runner
        self._sealer = Sealer(setup.descriptor, setup.signer, contents)
        self._book = Book(
            self._sealer.ledger, store, setup.limits, dict(contents.topics)
        )
        self._line: deque[_Waiting] = deque()
        self._turn = asyncio.Lock()
        self._drain: asyncio.Task[None] | None = None
        self._watchers: dict[TopicId, set[_Watcher]] = {}
        self._closed = False

    @property
    def descriptor(self) -> Descriptor:
        """The descriptor, whose hash is the ledger id."""
        return self._setup.descriptor

    @property
    def ledger_id(self) -> LedgerId:
        """The ledger's id."""
        return self._sealer.ledger

    async def append(self, entry: bytes) -> Receipt:
        """Order `entry`; see `Ledger.append`."""
        parsed = parse_entry(entry)
        self._check_open()
        if len(self._line) >= MAX_WAITING:
            raise LedgerError(Code.QUEUE_FULL, "too many entries in line")
        opens = opening_of(parsed, self.ledger_id) is Opening.OPENS
        if opens and TopicId(parsed.id) not in self._book.topics:
            self._setup.admit(parsed)
        loop = asyncio.get_running_loop()
        answer: asyncio.Future[Receipt] = loop.create_future()
        self._line.append(_Waiting(parsed, answer))
        if self._drain is None:
            self._drain = asyncio.create_task(self._drain_line())
        return await answer

    async def read(
        self, topic: TopicId, *, start: int = 0, limit: int = MAX_READ
    ) -> Sequence[Record]:
        """Return records; see `Ledger.read`."""
        self._check_open()
        known = self._book.topics.get(topic)
        if known is None:
            return ()
        if known.is_pruned:
            raise LedgerError(Code.PRUNED, "the topic was pruned")
        # No further than what was acknowledged: the store may be ahead of the book.
        end = min(known.count, start + min(limit, MAX_READ))
        number, size = known.number, max(0, end - start)
        return await self._runner.look(lambda: self._store.records(number, start, size))

    async def prove(self, topic: TopicId) -> Proof:
        """Return a proof that is not older than the period; see `Ledger.prove`."""
        await self._freshen()
        return self._sealer.prove(topic, self._book.topics.get(topic))

    async def checkpoint(self) -> CheckpointAttestation:
        """Return a checkpoint that is not older than the descriptor's period."""
        await self._freshen()
        return self._sealer.attestation

    async def consistency(self, old_size: int, new_size: int) -> Sequence[bytes]:
        """Return a consistency proof.

        Raises LedgerError(ROLLED_BACK) for sizes this log never had.
        """
        self._check_open()
        return self._sealer.consistency(old_size, new_size)

    async def state(self, topic: TopicId) -> TopicState | None:
        """Return the state of `topic`; None if unknown or pruned."""
        self._check_open()
        async with self._turn:
            return await self._runner.work(lambda: self._book.state(topic))

    async def prune(self, topic: TopicId) -> None:
        """Forget the entries of an ended topic; see `Ledger.prune`.

        Raises UsageError(WRONG_STATE) for a topic that goes on.
        """
        self._check_open()
        async with self._turn:
            state = await self._runner.work(lambda: self._book.state(topic))
            known = self._book.topics.get(topic)
            if known is None or known.is_pruned:
                return
            if state is None or not is_over(state, self._now_ms()):
                raise UsageError(Code.WRONG_STATE, "the topic has not ended")
            pruned = Topic(known.number, known.count, known.head, is_pruned=True)
            await self._runner.work(lambda: self._store.prune(topic, pruned))
            self._book.forget(topic)

    async def watch(
        self, topic: TopicId, *, start: int = 0
    ) -> AsyncIterator[WatchEvent]:
        """Yield records as they come; see `Ledger.watch`."""
        self._check_open()
        watcher = _Watcher()
        self._watchers.setdefault(topic, set()).add(watcher)
        try:
            index = start
            while page := await self.read(topic, start=index):
                for record in page:
                    yield _appended(topic, index, record)
                    index += 1
            async for event in watcher.events():
                if event.index >= index:
                    yield event
        finally:
            self._unwatch(topic, watcher)

    async def close(self) -> None:
        """Finish what is in line, then release the store."""
        if self._closed:
            return
        self._closed = True
        if self._drain is not None:
            await self._drain
        async with self._turn:
            for watcher in [w for group in self._watchers.values() for w in group]:
                watcher.end(LedgerError(Code.UNREACHABLE, "the ledger is closed"))
            await self._runner.work(self._store.close)
        self._runner.stop()

    async def _drain_line(self) -> None:
        while self._line:
            async with self._turn:
                # One turn of the loop, so that all who are ready now share a commit.
                await asyncio.sleep(0)
                size = min(len(self._line), MAX_BATCH)
                batch = [self._line.popleft() for _ in range(size)]
                await self._append_batch(batch)
        self._drain = None

    async def _append_batch(self, batch: Sequence[_Waiting]) -> None:
        entries = [waiting.entry for waiting in batch]
        outcomes: Sequence[Outcome]
        try:
            outcomes = await self._write(entries)
        except LedgerError as error:
            outcomes = [error] * len(batch)
        for waiting, outcome in zip(batch, outcomes, strict=True):
            if waiting.answer.done():
                continue
            if isinstance(outcome, IncameraError):
                waiting.answer.set_exception(outcome)
            else:
                waiting.answer.set_result(outcome)

    async def _write(self, entries: Sequence[Entry]) -> Sequence[Outcome]:
        """Judge, make durable, then take over and publish; in this order."""
        draft = Draft(self._book, self._now_ms())
        outcomes, step = await self._runner.work(lambda: self._commit(draft, entries))
        if step is not None:
            self._book.adopt(draft)
            self._sealer.adopt(step)
            self._notify(draft.rows)
        return outcomes

    def _commit(
        self, draft: Draft, entries: Sequence[Entry]
    ) -> tuple[Sequence[Outcome], Step | None]:
        """Change nothing but the store."""
        outcomes = [draft.place(entry) for entry in entries]
        if entries and not draft.rows:
            return outcomes, None
        step = self._sealer.next(draft.topics, draft.time_ms)
        self._store.commit(Batch(draft.rows, draft.topics, step.leaf))
        return outcomes, step

    async def _freshen(self) -> None:
        """See to a checkpoint that is younger than the descriptor's period.

        On demand, so that a ledger nobody looks at writes nothing.
        """
        self._check_open()
        if self._is_fresh():
            return
        async with self._turn:
            if not self._is_fresh():
                await self._write(())

    def _is_fresh(self) -> bool:
        newest = self._sealer.time_ms
        period_ms = self.descriptor.parameters.period_s * 1000
        return newest is not None and self._now_ms() - newest < period_ms

    def _now_ms(self) -> int:
        """Ledger time, which never goes back."""
        return max(self._setup.clock.now_ms(), self._sealer.time_ms or 0)

    def _notify(self, rows: Sequence[Row]) -> None:
        for row in rows:
            for watcher in self._watchers.get(row.topic, ()):
                watcher.push(_appended(row.topic, row.index, row.record))

    def _unwatch(self, topic: TopicId, watcher: "_Watcher") -> None:
        group = self._watchers[topic]
        group.discard(watcher)
        if not group:
            del self._watchers[topic]

    def _check_open(self) -> None:
        if self._closed:
            raise LedgerError(Code.UNREACHABLE, "the ledger is closed")


class _Watcher:
    """A bounded line of events for one reader; cut off when it is full."""

    def __init__(self) -> None:
        self._events: deque[Appended] = deque()
        self._wake = asyncio.Event()
        self._ended: LedgerError | None = None

    def push(self, event: Appended) -> None:
        if len(self._events) >= MAX_UNREAD:
            self.end(LedgerError(Code.QUEUE_FULL, "the watcher fell behind"))
            return
        self._events.append(event)
        self._wake.set()

    def end(self, reason: LedgerError) -> None:
        self._ended = reason
        self._wake.set()

    async def events(self) -> AsyncIterator[Appended]:
        while self._ended is None:
            await self._wake.wait()
            self._wake.clear()
            while self._events and self._ended is None:
                yield self._events.popleft()
        raise self._ended


def _appended(topic: TopicId, index: int, record: Record) -> Appended:
    # One host orders alone and takes nothing back: what it has ordered is final.
    return Appended(topic, index, record, Confirmation.FINAL)

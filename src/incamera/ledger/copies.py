# SPDX-License-Identifier: Apache-2.0
"""Our verified copies of a remote ledger's topics (spec/ledger.md, section 9).

A copy grows up to a verified proof or not at all; what was once in it must stay.
"""

from collections.abc import Awaitable, Callable, Sequence
from typing import TypeAlias

from incamera.errors import Code, LedgerError
from incamera.ledger.gateway_wire import Said
from incamera.ledger.remembered import Memory
from incamera.ledger.replica import Replica
from incamera.protocol.descriptor import Descriptor
from incamera.protocol.ids import LedgerId, TopicId
from incamera.protocol.proof import ProvenHead, Receipt, Record

FetchPage: TypeAlias = Callable[[TopicId, int], Awaitable[Sequence[Record]]]


class Copies:
    """All copies of one ledger; the caller lets one change at a time per topic."""

    def __init__(
        self,
        ledger_id: LedgerId,
        descriptor: Descriptor,
        memory: Memory,
        *,
        fetch: FetchPage,
    ) -> None:
        self._ledger_id = ledger_id
        self._checked = descriptor.parameters.checked
        self._memory = memory
        self._fetch = fetch
        self._copies: dict[TopicId, Replica] = {}

    async def catch_up(self, proven: ProvenHead, said: Said | None = None) -> Replica:
        """Bring our copy up to a verified proof; the topic's lock is held."""
        topic = proven.topic
        replica = self._copies.get(topic)
        if replica is None:
            replica = Replica(self._ledger_id, topic, self._checked)
        if proven.count <= replica.count:
            if proven.head and proven.head != replica.head_at(proven.count):
                raise self._forked_topic()
            return replica
        records = await self._rest(replica, proven.count, said)
        replica.extend(records, proven)
        seen = self._memory.topic(topic)
        if replica.head_at(seen.count) != seen.head:
            raise self._forked_topic()
        self._copies[topic] = replica
        self._memory.saw_topic(topic, replica.count, replica.head_at(replica.count))
        return replica

    async def _rest(
        self, replica: Replica, count: int, said: Said | None
    ) -> Sequence[Record]:
        """Return the records from the end of our copy up to `count`."""
        found: list[Record] = []
        if said is not None and said.first <= replica.count:
            found.extend(said.records[replica.count - said.first :])
        while (start := replica.count + len(found)) < count:
            page = await self._fetch(replica.topic, start)
            if not page:
                raise LedgerError(Code.OMITTED, "fewer records than proven")
            found.extend(page)
        return found[: count - replica.count]

    def _forked_topic(self) -> LedgerError:
        self._memory.caught(Code.FORKED, self._memory.log.note.encode())
        return LedgerError(Code.FORKED, "the topic's past has changed")


def check_receipt(receipt: Receipt, entry: bytes, replica: Replica) -> None:
    """Check that a receipt says what our copy shows.

    Raises LedgerError: OMITTED if the entry is not there, BAD_PROOF.
    """
    number = receipt.count - 1
    record = Record(time_ms=receipt.time_ms, entry=entry)
    if number >= replica.count or replica.records[number] != record:
        raise LedgerError(Code.OMITTED, "the acknowledged entry is not there")
    if receipt.head != replica.heads[number] or receipt.topic != replica.topic:
        raise LedgerError(Code.BAD_PROOF, "the receipt is not the ledger's")

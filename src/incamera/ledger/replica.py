# SPDX-License-Identifier: Apache-2.0
"""A verified copy of one topic (spec/ledger.md, section 9).

Records are taken in only when their folded head is the proven one and the rules accept
each of them; a refused batch changes nothing.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field

from incamera.errors import Code, LedgerError, PeerError
from incamera.protocol.entry import parse_entry
from incamera.protocol.ids import EntryId, Head, LedgerId, TopicId
from incamera.protocol.proof import EMPTY_HEAD, ProvenHead, Record, fold_head
from incamera.protocol.topic import RULES, Context, TopicState, apply


@dataclass(slots=True)
class Replica:
    """The records of a topic, the head after each, and what they come to."""

    ledger_id: LedgerId
    topic: TopicId
    checked: bool
    """False on a ledger whose engine does not run the rules: then neither do we."""
    records: list[Record] = field(default_factory=list)
    heads: list[Head] = field(default_factory=list)
    state: TopicState | None = None
    is_pruned: bool = False
    """True once the records were forgotten; heads and state stay."""

    @property
    def count(self) -> int:
        """Records that the topic has."""
        return len(self.heads)

    def head_at(self, count: int) -> Head:
        """Return the head after the first `count` records."""
        return self.heads[count - 1] if count else EMPTY_HEAD

    def extend(self, records: Sequence[Record], proven: ProvenHead) -> None:
        """Take in the records up to the proven count.

        Raises LedgerError: BAD_PROOF if they are not those that the head proves,
        NOT_LEGAL, with the refusal as its cause, if the rules refuse one.
        """
        heads, head = [], self.head_at(self.count)
        for record in records:
            head = fold_head(head, record.entry, record.time_ms)
            heads.append(head)
        if head != (proven.head or EMPTY_HEAD):
            raise LedgerError(Code.BAD_PROOF, "records are not those of the head")
        state = self._judge(records) if self.checked else None
        self.records.extend(records)
        self.heads.extend(heads)
        self.state = state

    def prune(self) -> None:
        """Forget the records."""
        self.records.clear()
        self.is_pruned = True

    def verdict(self, entry: bytes, time_ms: int) -> None:
        """Raise the PeerError with which the rules refuse `entry` as the next one."""
        self._apply(self.state, Record(time_ms=time_ms, entry=entry), self.count)

    def _judge(self, records: Sequence[Record]) -> TopicState | None:
        state = self.state
        if records and not self.heads:
            self._check_first(records[0])
        for index, record in enumerate(records, self.count):
            try:
                state = self._apply(state, record, index)
            except PeerError as error:
                message = f"the ledger holds an illegal entry, number {index}"
                raise LedgerError(Code.NOT_LEGAL, message) from error
        return state

    def _check_first(self, record: Record) -> None:
        # The map binds heads to topic ids, and nothing but this binds ids to entries.
        if parse_entry(record.entry).id != EntryId(self.topic):
            raise LedgerError(Code.NOT_LEGAL, "the topic begins with another entry")

    def _apply(
        self, state: TopicState | None, record: Record, index: int
    ) -> TopicState:
        context = Context(
            ledger_id=self.ledger_id, rules=RULES, index=index, time_ms=record.time_ms
        )
        return apply(state, parse_entry(record.entry), context)

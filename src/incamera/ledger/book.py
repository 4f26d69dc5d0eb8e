# SPDX-License-Identifier: Apache-2.0
"""Which entries may a ledger take next, and what follows (spec/ledger.md, section 8)?

The one place where an embedded engine decides: it finds an entry's topic, runs `apply`
on the topic's state and chains the head.  A `Draft` collects what one batch changes;
nothing of it exists until the store has made it durable.
"""

from collections import OrderedDict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum
from hashlib import sha256
from typing import Final, Protocol, assert_never

from incamera.errors import Code, IncameraError, LedgerError, PeerError
from incamera.protocol.attestation import LogLeaf
from incamera.protocol.entry import Entry, parse_entry
from incamera.protocol.ids import Head, LedgerId, TopicId
from incamera.protocol.meeting_state import MeetingState, Status
from incamera.protocol.proof import EMPTY_HEAD, Receipt, Record, fold_head
from incamera.protocol.topic import RULES, Context, TopicState, apply
from incamera.protocol.user import UserState, UserStatus

MAX_STATES: Final = 4096
"""Topic states kept in memory: 4096 meetings run at once, or a few large ones."""
PAGE: Final = 256
"""Records read at once while a state is rebuilt."""
_DIGEST_BYTES: Final = 16


class Opening(Enum):
    """Whether an entry opens its topic."""

    OPENS = "opens"
    FOLLOWS = "follows"


@dataclass(frozen=True, slots=True)
class Topic:
    """How far a topic has come; `number` is the store's short name for it."""

    number: int
    count: int
    head: Head
    is_pruned: bool = False


@dataclass(frozen=True, slots=True)
class Row:
    """One ordered entry, as a store keeps it."""

    topic: TopicId
    number: int
    index: int
    record: Record
    head: Head

    @property
    def digest(self) -> bytes:
        """What finds these very bytes again within their topic."""
        return digest_of(self.record.entry)


def digest_of(entry: bytes) -> bytes:
    """Return what a store looks an entry's bytes up by."""
    return sha256(entry).digest()[:_DIGEST_BYTES]


@dataclass(frozen=True, slots=True)
class Batch:
    """What one commit makes durable, all or nothing."""

    rows: Sequence[Row]
    topics: Mapping[TopicId, Topic]
    leaf: LogLeaf


@dataclass(frozen=True, slots=True)
class Contents:
    """What a store holds when it is opened."""

    topics: Mapping[TopicId, Topic]
    leaves: Sequence[LogLeaf]


class Store(Protocol):
    """Where an embedded engine keeps entries; calls may block and never overlap.

    Only `records` may be called while another call is under way.
    """

    def load(self) -> Contents:
        """Return everything but the entries."""

    def commit(self, batch: Batch) -> None:
        """Make `batch` durable; LedgerError(STORAGE) and no trace of it otherwise."""

    def records(self, number: int, start: int, limit: int) -> Sequence[Record]:
        """Return records of one topic in order."""

    def find(self, number: int, entry: bytes) -> tuple[int, Head, int] | None:
        """Return (index, head after it, time in ms) of these very bytes, if there."""

    def prune(self, topic: TopicId, pruned: Topic) -> None:
        """Forget the entries of one topic, for good."""

    def free_bytes(self) -> int:
        """Return how much more the store could take."""

    def close(self) -> None:
        """Release the files."""


@dataclass(frozen=True, slots=True)
class StorageLimits:
    """How much room must be left, in bytes, to open a topic and to go on with one."""

    to_open: int = 64 * 2**20
    to_follow: int = 2**20


@dataclass(slots=True)
class Book:
    """All topics of one ledger and the states that were needed lately."""

    ledger: LedgerId
    store: Store
    limits: StorageLimits
    topics: dict[TopicId, Topic]
    states: OrderedDict[TopicId, TopicState] = field(default_factory=OrderedDict)

    def state(self, topic: TopicId) -> TopicState | None:
        """Return the state of `topic`, rebuilt from its entries if need be.

        Raises LedgerError(STORAGE) if what is stored is not what was committed.
        """
        known = self.topics.get(topic)
        if known is None or known.is_pruned:
            return None
        if topic not in self.states:
            return self._rebuild(topic, known)
        return self.states[topic]

    def adopt(self, draft: "Draft") -> None:
        """Take over what is durable now."""
        self.topics.update(draft.topics)
        for topic, state in draft.states.items():
            self.states[topic] = state
            self.states.move_to_end(topic)
        while len(self.states) > MAX_STATES:
            self.states.popitem(last=False)

    def forget(self, topic: TopicId) -> None:
        """Note that the entries of `topic` are gone."""
        known = self.topics[topic]
        self.topics[topic] = Topic(known.number, known.count, known.head, True)
        self.states.pop(topic, None)

    def _rebuild(self, topic: TopicId, known: Topic) -> TopicState:
        state, head = None, EMPTY_HEAD
        for index, record in enumerate(self._all_records(known)):
            head = fold_head(head, record.entry, record.time_ms)
            context = Context(
                ledger_id=self.ledger,
                rules=RULES,
                index=index,
                time_ms=record.time_ms,
            )
            try:
                state = apply(state, parse_entry(record.entry), context)
            except PeerError as error:
                raise _altered(topic) from error
        if state is None or head != known.head:
            raise _altered(topic)
        return state

    def _all_records(self, known: Topic) -> Iterator[Record]:
        for start in range(0, known.count, PAGE):
            yield from self.store.records(known.number, start, PAGE)


def is_over(state: TopicState, time_ms: int) -> bool:
    """Tell whether nothing can follow in a topic, so that it may be pruned."""
    match state:
        case MeetingState():
            return state.status is Status.ENDED or time_ms >= state.ends_ms
        case UserState():
            return state.status is UserStatus.MOVED
    assert_never(state)


def opening_of(entry: Entry, ledger: LedgerId) -> Opening:
    """Tell whether `entry` opens a topic: then it names the ledger as its place."""
    return Opening.OPENS if entry.header.place == ledger else Opening.FOLLOWS


def topic_of(entry: Entry, ledger: LedgerId) -> TopicId:
    """Return the topic an entry belongs to on this ledger."""
    if opening_of(entry, ledger) is Opening.OPENS:
        return TopicId(entry.id)
    return TopicId(entry.header.place)


class Draft:
    """One batch in the making: the book stays as it is until `Book.adopt`."""

    def __init__(self, book: Book, time_ms: int) -> None:
        """Start a batch at ledger time `time_ms`."""
        self.book = book
        self.time_ms = time_ms
        self.rows: list[Row] = []
        self.topics: dict[TopicId, Topic] = {}
        self.states: dict[TopicId, TopicState] = {}
        self._free = book.store.free_bytes()
        self._numbers = len(book.topics)

    def place(self, entry: Entry) -> Receipt | IncameraError:
        """Order `entry` and return its receipt, or return why not."""
        try:
            return self._place(entry)
        except (PeerError, LedgerError) as error:
            # The rules refuse what was ordered already; its bytes get its receipt.
            return self._find(entry) or error

    def _place(self, entry: Entry) -> Receipt:
        topic = topic_of(entry, self.book.ledger)
        known = self.topics.get(topic) or self.book.topics.get(topic)
        if known and known.is_pruned:
            raise PeerError(Code.ENDED, "the topic has ended and was pruned")
        count = known.count if known else 0
        context = Context(
            ledger_id=self.book.ledger, rules=RULES, index=count, time_ms=self.time_ms
        )
        before = self.states.get(topic) or self.book.state(topic)
        state = apply(before, entry, context)
        self._check_room(opens=known is None, size=len(entry.data))
        return self._chain(topic, known or self._open(), entry, state)

    def _chain(
        self, topic: TopicId, known: Topic, entry: Entry, state: TopicState
    ) -> Receipt:
        head = fold_head(known.head, entry.data, self.time_ms)
        record = Record(time_ms=self.time_ms, entry=entry.data)
        self.rows.append(Row(topic, known.number, known.count, record, head))
        self.topics[topic] = Topic(known.number, known.count + 1, head)
        self.states[topic] = state
        return Receipt(
            topic=topic,
            entry=entry.id,
            count=known.count + 1,
            head=head,
            time_ms=self.time_ms,
        )

    def _open(self) -> Topic:
        self._numbers += 1
        return Topic(self._numbers, 0, EMPTY_HEAD)

    def _check_room(self, *, opens: bool, size: int) -> None:
        limits = self.book.limits
        if self._free < (limits.to_open if opens else limits.to_follow):
            raise LedgerError(Code.STORAGE, "no room left on the ledger")
        self._free -= size

    def _find(self, entry: Entry) -> Receipt | None:
        topic = topic_of(entry, self.book.ledger)
        for row in self.rows:
            if row.topic == topic and row.record.entry == entry.data:
                return _receipt(topic, entry, (row.index, row.head, self.time_ms))
        known = self.book.topics.get(topic)
        found = known and self.book.store.find(known.number, entry.data)
        return _receipt(topic, entry, found) if found else None


def _receipt(topic: TopicId, entry: Entry, found: tuple[int, Head, int]) -> Receipt:
    index, head, time_ms = found
    return Receipt(
        topic=topic, entry=entry.id, count=index + 1, head=head, time_ms=time_ms
    )


def _altered(topic: TopicId) -> LedgerError:
    return LedgerError(
        Code.STORAGE, f"stored entries of topic {topic.hex()[:8]} were altered"
    )

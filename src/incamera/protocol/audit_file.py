# SPDX-License-Identifier: Apache-2.0
"""How a meeting's record is written to a file (spec/audit.md, section 2).

A CBOR sequence (RFC 8742): items in our profile, one behind another, in one order.
Parsing checks form and damage alone; what the file proves, `audit` finds out.
"""

import hmac
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from hashlib import sha256
from typing import Final, TypeVar

from incamera.errors import Code, PeerError
from incamera.protocol import labels
from incamera.protocol.descriptor import MAX_DESCRIPTOR, Numbered
from incamera.protocol.encoding import Value, encode, parse
from incamera.protocol.fields import ENTRY_ID, ID32, LEDGER_ID, MAX_NAME, TIME
from incamera.protocol.ids import EntryId, LedgerId, MeetingId, TopicId, UserId
from incamera.protocol.message_bodies import MAX_OPENING
from incamera.protocol.proof import MAX_PROOF, RECORD, Record
from incamera.protocol.schema import (
    ArrayOf,
    As,
    Codec,
    MapOf,
    Simple,
    key,
    octets,
    record,
    refuse,
    text,
    uint,
)
from incamera.protocol.statement import IdentityOpening

MAX_AUDIT: Final = 64 * 1024 * 1024
"""Bytes of an audit file: a thousand members with the largest openings fit."""
MAX_ITEM: Final = MAX_OPENING + 36
"""Bytes of one item: the largest opening, the id of its entry and three heads."""
FORMAT: Final = f"{labels.VERSION} audit"
_END: Final = b"\x82\x09\x58\x20"
"""Head of the last item, `[9, 32 bytes]`; the hash of all bytes before it follows."""
_END_BYTES: Final = len(_END) + 32

T = TypeVar("T")


@record
class Opened:
    """An identity opening, and the publish or request whose commitment it opens."""

    opening: IdentityOpening = key(0, MapOf(IdentityOpening))
    entry: EntryId = key(1, ENTRY_ID)


@record
class OwnName:
    """What the exporter calls a user; proven by nothing."""

    user: UserId = key(0, As(ID32, UserId))
    name: str = key(1, text(MAX_NAME))


@dataclass(frozen=True, slots=True, kw_only=True)
class AuditFile:
    """The content of an audit file; nothing in it is verified."""

    meeting: MeetingId
    rules: int
    made_ms: int
    """When the exporter says that it wrote the file."""
    descriptor: bytes
    ledger: LedgerId
    topic: TopicId
    records: tuple[Record, ...]
    proof: bytes
    openings: tuple[Opened, ...] = ()
    names: tuple[OwnName, ...] = ()


def _format(value: Value) -> str:
    if value != FORMAT:
        raise refuse("not an audit file of this version")
    return FORMAT


@record
class _About:
    format: str = key(1, Simple(_format))
    meeting: MeetingId = key(2, As(ID32, MeetingId))
    rules: int = key(3, uint())
    made_ms: int = key(4, TIME)


@record
class _Segment:
    ledger: LedgerId = key(0, LEDGER_ID)
    topic: TopicId = key(1, As(ID32, TopicId))
    first: int = key(2, uint(0))
    """Number of the first record: this version starts at the beginning."""


@dataclass(frozen=True, slots=True)
class _Item(Codec[T]):
    """`[number, one value]`."""

    number: int
    inner: Codec[T]

    def encode(self, value: T, /) -> Value:
        return [self.number, self.inner.encode(value)]

    def decode(self, value: Value, /) -> T:
        if type(value) is not list or len(value) != 2:
            raise refuse(f"item {self.number} is not two values")
        return self.inner.decode(value[1])


_START: Final = _Item(0, MapOf(_About))
_DESCRIPTOR: Final = _Item(1, octets(1, MAX_DESCRIPTOR))
_SEGMENT: Final = Numbered(2, ArrayOf(_Segment))
_RECORD: Final = _Item(3, RECORD)
_PROOF: Final = _Item(4, octets(1, MAX_PROOF))
_OPENING: Final = Numbered(5, ArrayOf(Opened))
_NAME: Final = Numbered(8, ArrayOf(OwnName))
_KNOWN: Final = frozenset({0, 1, 2, 3, 4, 5, 8, 9})


def encode_audit(file: AuditFile) -> bytes:
    """Return the file's bytes; PeerError(TOO_LARGE) above MAX_AUDIT."""
    about = _About(
        format=FORMAT, meeting=file.meeting, rules=file.rules, made_ms=file.made_ms
    )
    segment = _Segment(ledger=file.ledger, topic=file.topic, first=0)
    items = [
        _START.encode(about),
        _DESCRIPTOR.encode(file.descriptor),
        _SEGMENT.encode(segment),
        *map(_RECORD.encode, file.records),
        _PROOF.encode(file.proof),
        *map(_OPENING.encode, file.openings),
        *map(_NAME.encode, file.names),
    ]
    body = b"".join(map(encode, items))
    return _within(body + _END + sha256(body).digest())


def parse_audit(data: bytes) -> AuditFile:
    """Parse an audit file.

    Raises PeerError: TOO_LARGE, SCHEMA (cut off, something behind the end, an item out
    of its place), BAD_PROOF (the closing hash), NOT_CANONICAL, UNKNOWN_TYPE.
    """
    body = _undamaged(_within(data))
    reader = _Reader(_items(body))
    about = reader.one(0, _START)
    descriptor = reader.one(1, _DESCRIPTOR)
    segment = reader.one(2, _SEGMENT)
    file = AuditFile(
        meeting=about.meeting,
        rules=about.rules,
        made_ms=about.made_ms,
        descriptor=descriptor,
        ledger=segment.ledger,
        topic=segment.topic,
        records=tuple(reader.all(3, _RECORD)),
        proof=reader.one(4, _PROOF),
        openings=tuple(reader.all(5, _OPENING)),
        names=tuple(reader.all(8, _NAME)),
    )
    reader.finish()
    _refuse_twice(opened.entry for opened in file.openings)
    _refuse_twice(own.user for own in file.names)
    return file


def _within(data: bytes) -> bytes:
    if len(data) > MAX_AUDIT:
        raise PeerError(Code.TOO_LARGE, f"audit file above {MAX_AUDIT} bytes")
    return data


def _undamaged(data: bytes) -> bytes:
    """Return what comes before the closing hash, once that is found to hold."""
    body, end = data[:-_END_BYTES], data[-_END_BYTES:]
    if not end.startswith(_END):
        raise refuse("audit file does not end as it must: cut off, or lengthened")
    if not hmac.compare_digest(sha256(body).digest(), end[len(_END) :]):
        raise PeerError(Code.BAD_PROOF, "audit file is damaged")
    return body


def _refuse_twice(ids: Iterable[bytes]) -> None:
    known = list(ids)
    if len(set(known)) != len(known):
        raise refuse("the same thing twice in an audit file")


class _Reader:
    """Takes the items of a file in their order."""

    def __init__(self, items: "Iterator[list[Value]]") -> None:
        self._items = items
        self._next = next(items, None)

    def one(self, number: int, codec: Codec[T]) -> T:
        """Return the item that has to stand here."""
        if self._number() != number:
            raise refuse(f"item {number} of an audit file is not in its place")
        return self._take(codec)

    def all(self, number: int, codec: Codec[T]) -> Iterator[T]:
        """Yield the items of this number that stand here."""
        while self._number() == number:
            yield self._take(codec)

    def finish(self) -> None:
        """Refuse what is left."""
        if self._number() is not None:
            raise refuse("an item of an audit file is not in its place")

    def _take(self, codec: Codec[T]) -> T:
        value = codec.decode(self._next)  # the caller has just read its number
        self._next = next(self._items, None)
        return value

    def _number(self) -> int | None:
        if self._next is None:
            return None
        number = self._next[0]
        if type(number) is not int or number not in _KNOWN:
            raise PeerError(Code.UNKNOWN_TYPE, "unknown item in an audit file")
        return number


# ------------------------------------------------------------------ a CBOR sequence


def _items(body: bytes) -> "Iterator[list[Value]]":
    """Yield the items of a sequence: arrays, none empty or above MAX_ITEM bytes."""
    start = 0
    while start < len(body):
        end = _end_of_item(body, start)
        item = parse(body[start:end], MAX_ITEM)
        if type(item) is not list or not item:
            raise refuse("an item of an audit file is not a numbered array")
        yield item
        start = end


def _end_of_item(body: bytes, start: int) -> int:
    """Return where the item at `start` ends, by its heads alone.

    A decoder would build the values of a hostile item before its size is known.
    """
    at, open_items = start, 1
    while open_items:
        kind, argument, at = _head(body, at)
        open_items -= 1
        if kind in (2, 3):  # bytes, text: their content follows
            at += argument
        elif kind in (4, 5):  # arrays, maps: items or pairs follow
            open_items += argument * (kind - 3)
        # Checked here and not at the end: counts may promise more than there is.
        if at > len(body):
            raise PeerError(Code.NOT_CANONICAL, "audit file ends inside an item")
        if at + open_items - start > MAX_ITEM:
            raise PeerError(Code.TOO_LARGE, f"item above {MAX_ITEM} bytes")
    return at


def _head(body: bytes, at: int) -> tuple[int, int, int]:
    """Return an item's major type, its argument and where its head ends."""
    if at == len(body):
        raise PeerError(Code.NOT_CANONICAL, "audit file ends inside an item")
    kind, short = body[at] >> 5, body[at] & 31
    if short < 24:
        return kind, short, at + 1
    if short > 27:
        raise PeerError(Code.NOT_CANONICAL, "an item without a definite length")
    end = at + 1 + (1 << (short - 24))
    return kind, int.from_bytes(body[at + 1 : end], "big"), end

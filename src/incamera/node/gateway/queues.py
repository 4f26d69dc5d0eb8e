# SPDX-License-Identifier: Apache-2.0
"""What waits at the relay for one receiver (spec/relay.md, section 4)?

Oldest first.  An item stays until the receiver acknowledges it, so nothing is lost
when a connection breaks; it is sent once per connection.  Items die of age, and a
newer heartbeat or presence of the same sender replaces the older one.
"""

import asyncio
from collections import Counter
from dataclasses import dataclass
from typing import Final

from incamera.errors import Code, LedgerError, PeerError
from incamera.node.gateway.limits import Limits
from incamera.protocol.encoding import MAX_MESSAGE, parse
from incamera.protocol.envelope import parse_signed
from incamera.protocol.ids import Kid, VerifyKey
from incamera.protocol.message import parse_wrap_batch
from incamera.protocol.message_bodies import WrapBatch, WrapOne
from incamera.protocol.schema import MapOf
from incamera.protocol.signing import kid_of

ITEM_BYTES: Final = 128
"""What an item costs beside its message; else empty messages would be free."""
_TYPE_KEY: Final = 16
_ONLY_NEWEST: Final = frozenset({69, 70, 71})
"""Heartbeat, presence, presence path: the newest says all that an older one says."""
_MAP_OF_TWO: Final = b"\xa2"
_SIGNED: Final = b"\xd2"
_ONE: Final = MapOf(WrapOne)


@dataclass(frozen=True, slots=True)
class Parcel:
    """A message, who sent it and how it is treated in queues."""

    sender: VerifyKey
    kid: Kid
    message: bytes
    requester: bool
    kind: int | None
    is_wrap: bool

    @property
    def cost(self) -> int:
        """Bytes that it counts for."""
        return len(self.message) + ITEM_BYTES


@dataclass(frozen=True, slots=True)
class Waiting:
    """One parcel in a queue; `until_ms` is when it dies."""

    number: int
    parcel: Parcel
    until_ms: int


@dataclass(slots=True)
class Space:
    """Bytes used by all queues of a gateway."""

    used: int = 0


def pack(sender: VerifyKey, message: bytes, *, requester: bool = False) -> Parcel:
    """Return the parcel of a message; looks at its form only, never at signatures."""
    return Parcel(
        sender,
        kid_of(sender),
        message,
        requester=requester,
        kind=_signed_type(message),
        is_wrap=_is_wrap(message),
    )


def find_batch(message: bytes) -> WrapBatch | None:
    """Return the batch of wraps that `message` is, or None for anything else."""
    try:
        return parse_wrap_batch(message) if message[:1] == _MAP_OF_TWO else None
    except PeerError:
        return None


def _is_wrap(message: bytes) -> bool:
    try:
        return message[:1] == _MAP_OF_TWO and bool(_ONE.decode(parse(message)))
    except PeerError:
        return False


def _signed_type(message: bytes) -> int | None:
    if message[:1] != _SIGNED:
        return None
    try:
        header = parse(parse_signed(message, MAX_MESSAGE).protected)
    except PeerError:
        return None
    kind = header.get(_TYPE_KEY) if isinstance(header, dict) else None
    return kind if isinstance(kind, int) else None


class Queue:
    """The messages that one receiver has not acknowledged."""

    def __init__(self, limits: Limits, space: Space) -> None:
        self._limits = limits
        self._space = space
        self._items: dict[int, Waiting] = {}
        self._bytes: Counter[VerifyKey | bool] = Counter()  # by sender and by class
        self._next = 1
        self.arrived = asyncio.Event()

    def __len__(self) -> int:
        return len(self._items)

    def put(self, parcel: Parcel, now_ms: int) -> None:
        """Add a message at the end; LedgerError(QUEUE_FULL) if there is no room."""
        self._replace(parcel)
        if not self._fits(parcel):
            self.expire(now_ms)
            if not self._fits(parcel):
                raise LedgerError(Code.QUEUE_FULL, "the receiver's queue is full")
        limits = self._limits
        life = limits.wrap_life_ms if parcel.is_wrap else limits.message_life_ms
        self._items[self._next] = Waiting(self._next, parcel, now_ms + life)
        self._account(parcel, parcel.cost)
        self._next += 1
        self.arrived.set()

    def after(self, number: int, now_ms: int) -> Waiting | None:
        """Return the oldest living item behind `number`, None if there is none."""
        # Numbers rise in the dict's order: skip from its end, where new items are.
        found = None
        for item in reversed(self._items.values()):
            if item.number <= number:
                break
            if item.until_ms > now_ms:
                found = item
        return found

    def delivered(self, number: int) -> None:
        """Forget every item up to `number`."""
        while self._items and next(iter(self._items)) <= number:
            self._drop(next(iter(self._items)))

    def expire(self, now_ms: int) -> None:
        """Forget every item whose time is over."""
        for item in list(self._items.values()):
            if item.until_ms <= now_ms:
                self._drop(item.number)

    def clear(self) -> None:
        """Forget everything: the receiver was dropped or the meeting is over."""
        for number in list(self._items):
            self._drop(number)

    def _fits(self, parcel: Parcel) -> bool:
        limits = self._limits
        most = limits.requester_queue_bytes if parcel.requester else limits.queue_bytes
        mine = self._bytes[parcel.sender]
        return (
            self._bytes[parcel.requester] + parcel.cost <= most
            and (not mine or mine + parcel.cost <= limits.sender_bytes)
            and self._space.used + parcel.cost <= limits.relay_bytes
        )

    def _replace(self, parcel: Parcel) -> None:
        if parcel.kind not in _ONLY_NEWEST:
            return
        for old in list(self._items.values()):
            if (old.parcel.kind, old.parcel.sender) == (parcel.kind, parcel.sender):
                self._drop(old.number)

    def _drop(self, number: int) -> None:
        parcel = self._items.pop(number).parcel
        self._account(parcel, -parcel.cost)

    def _account(self, parcel: Parcel, change: int) -> None:
        self._space.used += change
        self._bytes[parcel.requester] += change
        self._bytes[parcel.sender] += change
        if not self._bytes[parcel.sender]:
            del self._bytes[parcel.sender]

# SPDX-License-Identifier: Apache-2.0
"""Which key protects which frame of which stream (spec/media.md, section 2).

A member sends up to four streams, one per kind; each has its own base key in each
epoch.  The KID on the wire says slot, kind and the epoch's last two bits.  The rest of
the epoch and the stream's generation are in the base key and in the metadata, so that
a frame of another epoch, stream, meeting or member can only fail to authenticate.

Epochs are taken to rise; an epoch leaves when `uninstall` says so or when another with
the same last two bits arrives.
"""

from dataclasses import dataclass
from enum import IntEnum
from typing import Final, Generic, NamedTuple, TypeVar

from incamera.errors import Code, PeerError, UsageError
from incamera.protocol.encoding import MAX_UINT
from incamera.protocol.ids import MeetingId
from incamera.protocol.secret import Secret
from incamera.protocol.sframe import (
    MAX_HEADER,
    TAG_BYTES,
    OpenContext,
    SealContext,
    split_header,
)

MAX_SLOT: Final = 4095
"""Highest slot whose KID fits in two bytes; also the CDDL's largest roster."""
MAX_FRAME: Final = 2**22
"""Bytes of one frame: a 4K key frame takes less than 1 MiB."""
MAX_DUMMY: Final = 255
"""Bytes in front of the SFrame: their number is one byte of the metadata."""
MAX_PROTECTED: Final = MAX_DUMMY + MAX_HEADER + MAX_FRAME + TAG_BYTES
"""Bytes of one protected frame."""
VP8_DELTA: Final = bytes.fromhex("11")
"""What stands in clear before a VP8 delta frame: packetisers read its lowest bit."""
_VP8_KEY: Final = bytes.fromhex("1000009d012a")
_VP8_KEY_SIZE: Final = 10
_LENGTHS: Final = tuple(bytes([size]) for size in range(MAX_DUMMY + 1))


class StreamKind(IntEnum):
    """What a stream shows; its number modulo 4."""

    AUDIO = 0
    VIDEO = 1
    SCREEN = 2
    SCREEN_AUDIO = 3


@dataclass(frozen=True, slots=True)
class StreamId:
    """One stream: its sender's slot, and number = 4 * generation + kind.

    A number is used once in a meeting: every start of a sender takes a new generation.
    Raises UsageError(BAD_ARGUMENT) for a slot or number out of range.
    """

    slot: int
    number: int

    def __post_init__(self) -> None:
        if not 0 <= self.slot <= MAX_SLOT or not 0 <= self.number <= MAX_UINT:
            raise UsageError(Code.BAD_ARGUMENT, "no such stream")

    @property
    def kind(self) -> StreamKind:
        """What the stream shows."""
        return kind_of(self.number)


class Opened(NamedTuple):
    """An authentic frame, its stream, and its counter: a gap is a lost frame."""

    kind: StreamKind
    number: int
    epoch: int
    counter: int
    frame: bytes


def kind_of(number: int) -> StreamKind:
    """Return the kind of stream `number`."""
    return StreamKind(number & 3)


def kid_of_stream(stream: StreamId, epoch: int) -> int:
    """Return the KID: slot << 4 | kind << 2 | epoch mod 4."""
    return stream.slot << 4 | stream.kind << 2 | epoch & 3


def vp8_key(width: int, height: int) -> bytes:
    """Return what stands in clear before a VP8 key frame; sizes in pixels, below 2^14.

    Use one constant size per stream: the true one is inside the frame.
    """
    return _VP8_KEY + width.to_bytes(2, "little") + height.to_bytes(2, "little")


def vp8_dummy_size(data: bytes) -> int:
    """Return how many bytes stand before the SFrame in `data`, a VP8 frame.

    Raises PeerError(SCHEMA) if it begins like neither of our two dummies.
    """
    if data.startswith(VP8_DELTA):
        return len(VP8_DELTA)
    if data.startswith(_VP8_KEY) and len(data) >= _VP8_KEY_SIZE:
        return _VP8_KEY_SIZE
    raise PeerError(Code.SCHEMA, "video frame has no known first bytes")


def metadata_tail(meeting: MeetingId, stream: StreamId) -> bytes:
    """Return the metadata behind the dummy: M[0:8] || u32 slot || u64 number.

    The whole metadata is u8 len(dummy) || dummy || this.
    """
    return (
        meeting[:8] + stream.slot.to_bytes(4, "big") + stream.number.to_bytes(8, "big")
    )


C = TypeVar("C", SealContext, OpenContext)


@dataclass(frozen=True, slots=True)
class _Live(Generic[C]):
    """A key that is installed, with all that a frame under it needs."""

    context: C
    epoch: int
    number: int
    kind: StreamKind
    tail: bytes
    bare: bytes
    """The whole metadata of a frame without dummy."""


class _Keys(Generic[C]):
    """The installed keys by KID; none of them is ever installed twice."""

    def __init__(self, make: type[C], meeting: MeetingId) -> None:
        self.live: dict[int, _Live[C]] = {}
        self._make: type[C] = make
        self._meeting = meeting
        # Identities of all keys so far, which are no secrets: 32 bytes per epoch.
        self._used: set[bytes] = set()
        self._wiped = False

    def install(self, stream: StreamId, epoch: int, base_key: Secret) -> None:
        kid = kid_of_stream(stream, epoch)
        there = self.live.get(kid)
        if self._wiped or (there is not None and epoch <= there.epoch):
            raise UsageError(Code.WRONG_STATE, "this or a later epoch is installed")
        context = self._make(base_key, kid)
        if context.identity in self._used:
            raise UsageError(Code.WRONG_STATE, "this key was installed before")
        self._used.add(context.identity)
        tail = metadata_tail(self._meeting, stream)
        self.live[kid] = _Live(
            context, epoch, stream.number, stream.kind, tail, _LENGTHS[0] + tail
        )

    def find(self, epoch: int) -> "_Live[C] | None":
        return next((live for live in self.live.values() if live.epoch == epoch), None)

    def drop_epoch(self, epoch: int) -> None:
        self.live = {k: live for k, live in self.live.items() if live.epoch != epoch}

    def drop_kind(self, kind: StreamKind) -> None:
        self.live = {k: live for k, live in self.live.items() if live.kind != kind}

    def wipe(self) -> None:
        self._wiped = True
        self.live = {}


class StreamSender:
    """Protects the frames of one own stream."""

    def __init__(self, meeting: MeetingId, stream: StreamId) -> None:
        """Start without a key.  `stream.number` must be new in this meeting."""
        self._stream = stream
        self._keys = _Keys(SealContext, meeting)
        self._active: _Live[SealContext] | None = None
        self._earliest = 0  # the first epoch that can be switched to

    @property
    def epoch(self) -> int | None:
        """The epoch that protects at present; None if nothing can be protected."""
        return None if self._active is None else self._active.epoch

    def install(self, epoch: int, base_key: Secret) -> None:
        """Make `epoch` ready to switch to; `base_key` stays the caller's to wipe.

        Drops the epoch with the same last two bits.  Raises UsageError(WRONG_STATE) if
        the epoch is installed, if a later one with these bits is, if this very key was
        ever installed here (its counters would repeat), or after `wipe`.
        """
        self._keys.install(self._stream, epoch, base_key)
        self._check_active()

    def switch(self, epoch: int) -> None:
        """Protect under `epoch` from now on.

        Raises UsageError: MISSING_KEY if it is not installed; WRONG_STATE if it is not
        later than the epoch in use, or below what the last `stop` asks for.
        """
        live = self._keys.find(epoch)
        if live is None:
            raise UsageError(Code.MISSING_KEY, "epoch is not installed")
        in_use = self._active
        if epoch < self._earliest or (in_use is not None and epoch <= in_use.epoch):
            raise UsageError(Code.WRONG_STATE, "keys never move back")
        self._active = live

    def stop(self, *, until: int | None = None) -> None:
        """Protect nothing: a removal was seen, and the removed member holds our keys.

        `until` is the number of the first epoch without that member: only it and later
        ones can be switched to, and only ones later than the epoch in use.  Without it,
        only epochs later than all installed so far.  The last call counts, for the
        epoch of a claim may be numbered lower than the epoch it replaces.
        """
        if until is None:
            until = 1 + max((k.epoch for k in self._keys.live.values()), default=-1)
        if self._active is not None:
            until = max(until, self._active.epoch + 1)
        self._active = None
        self._earliest = until

    def uninstall(self, epoch: int) -> None:
        """Drop the key of `epoch`, if there is one; in use, nothing is protected."""
        self._keys.drop_epoch(epoch)
        self._check_active()

    def _check_active(self) -> None:
        """Stop if the key in use has just been dropped."""
        if self._active is not None and self._active not in self._keys.live.values():
            self._active = None

    def protect(self, frame: bytes, *, dummy: bytes = b"") -> bytes:
        """Return dummy || SFrame of `frame`; the dummy is authenticated.

        Raises UsageError: MISSING_KEY while there is no key to use (also after `stop`),
        TOO_LARGE, COUNTER_EXHAUSTED.
        """
        live = self._active
        if live is None:
            raise UsageError(Code.MISSING_KEY, "no key to protect with")
        if len(frame) > MAX_FRAME or len(dummy) > MAX_DUMMY:
            raise UsageError(Code.TOO_LARGE, "frame or dummy is too large")
        metadata = _LENGTHS[len(dummy)] + dummy + live.tail
        return dummy + live.context.protect(frame, metadata=metadata)

    def wipe(self) -> None:
        """Drop all keys for good."""
        self._keys.wipe()
        self._active = None


class StreamReceiver:
    """Opens the frames of all streams of one other member."""

    def __init__(self, meeting: MeetingId, slot: int) -> None:
        """Start without streams and keys."""
        self._slot = slot
        self._keys = _Keys(OpenContext, meeting)
        self._streams: dict[StreamKind, StreamId] = {}

    @property
    def slot(self) -> int:
        """Whose frames it opens."""
        return self._slot

    @property
    def numbers(self) -> tuple[int, ...]:
        """The announced streams, at most one per kind, in the order of kinds."""
        return tuple(self._streams[kind].number for kind in sorted(self._streams))

    def announce(self, number: int) -> None:
        """Take note of a stream that the member's signed message announced.

        It replaces the stream of its kind and drops that one's keys; announcing again
        changes nothing.  Raises PeerError(OUT_OF_SEQUENCE) for an earlier generation.
        """
        stream = StreamId(self._slot, number)
        there = self._streams.get(stream.kind)
        if there == stream:
            return
        if there is not None and number < there.number:
            raise PeerError(Code.OUT_OF_SEQUENCE, "stream number was used before")
        self._keys.drop_kind(stream.kind)
        self._streams[stream.kind] = stream

    def install(self, epoch: int, number: int, base_key: Secret) -> None:
        """Open frames of stream `number` in `epoch`; `base_key` stays the caller's.

        Drops the epoch with the same last two bits.  Raises UsageError(WRONG_STATE) if
        the stream is not announced, the epoch is installed, a later one with these bits
        is, this very key was ever installed here (its frames could be replayed), or
        after `wipe`.
        """
        stream = StreamId(self._slot, number)
        if self._streams.get(stream.kind) != stream:
            raise UsageError(Code.WRONG_STATE, "stream is not announced")
        self._keys.install(stream, epoch, base_key)

    def uninstall(self, epoch: int) -> None:
        """Drop the keys of `epoch` for all streams."""
        self._keys.drop_epoch(epoch)

    def open(self, data: bytes, *, dummy: int = 0) -> Opened:
        """Return the frame in `data`, whose first `dummy` bytes stand in clear.

        Raises PeerError, changing nothing: TOO_LARGE, NOT_CANONICAL (header),
        WRONG_SENDER (KID of another slot), MISSING_KEY (no key for this KID: wait, it
        is no attack), REPLAYED, BAD_BOX (everything that fails to authenticate).
        """
        if len(data) > MAX_PROTECTED:
            raise PeerError(Code.TOO_LARGE, "frame is too large")
        sealed = data[dummy:]
        kid, counter, size = split_header(sealed)
        live = self._keys.live.get(kid)
        if live is None:
            raise self._unknown(kid)
        metadata = _LENGTHS[dummy] + data[:dummy] + live.tail if dummy else live.bare
        frame = live.context.open_parsed(sealed, counter, size, metadata=metadata)
        found = (live.kind, live.number, live.epoch, counter, frame)
        return tuple.__new__(Opened, found)  # half the time of Opened(...)

    def _unknown(self, kid: int) -> PeerError:
        if kid >> 4 != self._slot:
            return PeerError(Code.WRONG_SENDER, "frame names another member")
        return PeerError(Code.MISSING_KEY, "no key for this frame")

    def wipe(self) -> None:
        """Drop all keys for good."""
        self._keys.wipe()

# SPDX-License-Identifier: Apache-2.0
"""Which key protects which frame of which stream (spec/media.md, sections 2 and 3).

A member sends up to four streams, one per kind; each has its own base key in each
epoch.  The KID on the wire says slot, kind and the epoch's last two bits.  The rest of
the epoch and the stream's generation are in the base key and in the metadata, so that
a frame of another epoch, stream, meeting or member can only fail to authenticate.

Epochs are taken to rise; an epoch leaves when `uninstall` says so or when another with
the same last two bits arrives.
"""

from dataclasses import dataclass
from enum import IntEnum
from typing import Final, NamedTuple

from incamera.errors import Code, PeerError, UsageError
from incamera.protocol.encoding import MAX_UINT
from incamera.protocol.ids import MeetingId
from incamera.protocol.secret import Secret
from incamera.protocol.sframe import OpenContext, SealContext, parse_header  # noqa: F401

MAX_SLOT: Final = 4095
"""Highest slot whose KID fits in two bytes; also the CDDL's largest roster."""
MAX_FRAME: Final = 2**22
"""Bytes of one frame on the wire: a 4K key frame takes less than 1 MiB."""
MAX_DUMMY: Final = 255
"""Bytes in front of the SFrame: its length is one byte of the metadata."""
VP8_DELTA: Final = bytes.fromhex("11")
"""What stands in clear before a VP8 delta frame: packetisers read its lowest bit."""
_VP8_KEY: Final = bytes.fromhex("1000009d012a")
_VP8_KEY_SIZE: Final = 10


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
    """An authentic frame and the stream it belongs to.

    A tuple and not a dataclass because one is made per frame: a quarter of the time.
    """

    kind: StreamKind
    number: int
    epoch: int
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


class StreamSender:
    """Protects the frames of one own stream."""

    def __init__(self, meeting: MeetingId, stream: StreamId) -> None:
        """Start without a key.  `stream.number` must be new in this meeting."""
        raise NotImplementedError

    @property
    def epoch(self) -> int | None:
        """The epoch that protects at present; None if nothing can be protected."""
        raise NotImplementedError

    def install(self, epoch: int, base_key: Secret) -> None:
        """Make `epoch` ready to switch to; `base_key` stays the caller's to wipe.

        Drops the epoch with the same last two bits.  Raises UsageError(WRONG_STATE) if
        the epoch is installed, if a later one with these bits is, if this very key was
        ever installed here (its counters would repeat), or after `wipe`.
        """
        raise NotImplementedError

    def switch(self, epoch: int) -> None:
        """Protect under `epoch` from now on.

        Raises UsageError: MISSING_KEY if it is not installed; WRONG_STATE if it is not
        later than the epoch in use, or below what the last `stop` asks for.
        """
        raise NotImplementedError

    def stop(self, *, until: int | None = None) -> None:
        """Protect nothing: a removal was seen, and the removed member holds our keys.

        `until` is the number of the first epoch without that member: only it and later
        ones can be switched to.  Without it, only epochs later than all installed so
        far.  The last call counts, so that a claim's epoch may be numbered lower than
        the epoch it replaces.
        """
        raise NotImplementedError

    def uninstall(self, epoch: int) -> None:
        """Drop the key of `epoch`, if there is one; in use, nothing is protected."""
        raise NotImplementedError

    def protect(self, frame: bytes, *, dummy: bytes = b"") -> bytes:
        """Return dummy || SFrame of `frame`; the dummy is authenticated.

        Raises UsageError: MISSING_KEY while there is no key to use (also after `stop`),
        TOO_LARGE, COUNTER_EXHAUSTED.
        """
        raise NotImplementedError

    def wipe(self) -> None:
        """Drop all keys for good."""
        raise NotImplementedError


class StreamReceiver:
    """Opens the frames of all streams of one other member."""

    def __init__(self, meeting: MeetingId, slot: int) -> None:
        """Start without streams and keys."""
        raise NotImplementedError

    @property
    def numbers(self) -> tuple[int, ...]:
        """The announced streams, at most one per kind, in the order of kinds."""
        raise NotImplementedError

    def announce(self, number: int) -> None:
        """Take note of a stream that the member's signed message announced.

        It replaces the stream of its kind and drops that one's keys; announcing again
        changes nothing.  Raises PeerError(OUT_OF_SEQUENCE) for an earlier generation.
        """
        raise NotImplementedError

    def install(self, epoch: int, number: int, base_key: Secret) -> None:
        """Open frames of stream `number` in `epoch`; `base_key` stays the caller's.

        Drops the epoch with the same last two bits.  Raises UsageError(WRONG_STATE) if
        the stream is not announced, the epoch is installed, a later one with these bits
        is, or this very key was ever installed here (its frames could be replayed).
        """
        raise NotImplementedError

    def uninstall(self, epoch: int) -> None:
        """Drop the keys of `epoch` for all streams."""
        raise NotImplementedError

    def open(self, data: bytes, *, dummy: int = 0) -> Opened:
        """Return the frame in `data`, whose first `dummy` bytes stand in clear.

        Raises PeerError, changing nothing: TOO_LARGE, NOT_CANONICAL (header),
        WRONG_SENDER (KID of another slot), MISSING_KEY (no key for this KID: wait, it
        is no attack), REPLAYED, BAD_BOX (everything that fails to authenticate).
        """
        raise NotImplementedError

    def wipe(self) -> None:
        """Drop all keys for good."""
        raise NotImplementedError

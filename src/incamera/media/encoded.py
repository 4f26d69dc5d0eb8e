# SPDX-License-Identifier: Apache-2.0
"""What one encoded frame is, and what of it stays readable (spec/media.md, section 2).

Opus frames are encrypted whole.  A VP8 packetiser reads the frame type from the first
bytes, so a constant dummy stands before the ciphertext: it says "key" or "delta" and
nothing else, and is authenticated with the frame.
"""

from dataclasses import dataclass, field
from typing import Final

from incamera.errors import Code, PeerError
from incamera.protocol.frames import VP8_DELTA, StreamKind, vp8_dummy_size, vp8_key

VIDEO_CLOCK: Final = 90_000
"""RTP ticks per second of VP8 (RFC 7741, section 4.1)."""
AUDIO_CLOCK: Final = 48_000
"""RTP ticks per second of Opus (RFC 7587, section 4.1)."""
KEY_DUMMY: Final = vp8_key(640, 360)
"""Stands before every sealed VP8 key frame, whatever the true size."""

_KEY_FRAME_HEADER: Final = 10
_SIZE_MASK: Final = 0x3FFF


@dataclass(frozen=True, slots=True)
class EncodedFrame:
    """One VP8 picture or one Opus packet; `time` counts ticks of the kind's clock."""

    kind: StreamKind
    data: bytes = field(repr=False)
    time: int

    @property
    def is_key(self) -> bool:
        """True if a decoder can start here; every Opus packet is such a place."""
        return not is_video(self.kind) or (bool(self.data) and not self.data[0] & 1)


def is_video(kind: StreamKind) -> bool:
    """True for camera and screen pictures."""
    return kind in (StreamKind.VIDEO, StreamKind.SCREEN)


def media_type(kind: StreamKind) -> str:
    """Return SDP's word for the kind: "video" or "audio"."""
    return "video" if is_video(kind) else "audio"


def clock_rate(kind: StreamKind) -> int:
    """Return the kind's ticks per second."""
    return VIDEO_CLOCK if is_video(kind) else AUDIO_CLOCK


def dummy_of(frame: EncodedFrame) -> bytes:
    """Return the bytes that stand before the sealed frame."""
    if not is_video(frame.kind):
        return b""
    return KEY_DUMMY if frame.is_key else VP8_DELTA


def measure_dummy(kind: StreamKind, data: bytes) -> int:
    """Return how many bytes of received `data` are the dummy.

    Raises PeerError(SCHEMA) for a VP8 frame that begins with neither dummy.
    """
    return vp8_dummy_size(data) if is_video(kind) else 0


def parse_picture_size(frame: EncodedFrame) -> tuple[int, int]:
    """Return width and height of a VP8 key frame (RFC 6386, section 9.1).

    Raises PeerError(SCHEMA) if this is not the start of a VP8 key frame.
    """
    header = frame.data[:_KEY_FRAME_HEADER]
    is_start = len(header) == _KEY_FRAME_HEADER and header[3:6] == KEY_DUMMY[3:6]
    width = int.from_bytes(header[6:8], "little") & _SIZE_MASK
    height = int.from_bytes(header[8:10], "little") & _SIZE_MASK
    if not (frame.is_key and is_start and width and height):
        raise PeerError(Code.SCHEMA, "not the start of a VP8 key frame")
    return width, height

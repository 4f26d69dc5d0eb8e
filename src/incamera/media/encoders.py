# SPDX-License-Identifier: Apache-2.0
"""How do pictures and sound become VP8 and Opus? (spec/media.md, section 8)

Opus runs at a constant bit rate, so that packet sizes do not tell who speaks, and in
packets of 40 ms: in a mesh the cost is per packet, not per byte.
"""

from collections.abc import Iterator
from fractions import Fraction
from typing import Final

import av
from av.audio.codeccontext import AudioCodecContext
from av.video.codeccontext import VideoCodecContext
from av.video.frame import PictureType

from incamera.media.encoded import AUDIO_CLOCK, VIDEO_CLOCK

AUDIO_PACKET_MS: Final = 40
"""Sound per Opus packet."""
AUDIO_BIT_RATE: Final = 48_000
"""Bits per second of sound."""
VIDEO_BITS_PER_PIXEL: Final = 0.1
"""Bits per pixel and picture: 460 kbit/s for 640x480 at 15 pictures per second."""
KEY_FRAME_EVERY: Final = 300
"""Pictures after which a key frame comes even if nobody asks."""

_MIN_BIT_RATE: Final = 150_000
_MAX_BIT_RATE: Final = 2_500_000
_REALTIME: Final = {
    "deadline": "realtime",
    "cpu-used": "8",
    "lag-in-frames": "0",
    "auto-alt-ref": "0",
}


class PictureEncoder:
    """Encodes pictures as VP8; starts again when their size changes."""

    def __init__(self, rate: float, *, key_frame_every: int = KEY_FRAME_EVERY) -> None:
        self._rate = Fraction(rate).limit_denominator(1001)
        self._key_frame_every = key_frame_every
        self._codec: VideoCodecContext | None = None

    def encode(self, picture: av.VideoFrame, *, key: bool) -> bytes:
        """Return the picture as one VP8 frame, a key frame if `key`."""
        if picture.format.name != "yuv420p":
            picture = picture.reformat(format="yuv420p")
        codec = self._codec_for(picture.width, picture.height)
        picture.pict_type = PictureType.I if key else PictureType.NONE
        return b"".join(bytes(packet) for packet in codec.encode(picture))

    def _codec_for(self, width: int, height: int) -> VideoCodecContext:
        codec = self._codec
        if codec is None or (codec.width, codec.height) != (width, height):
            codec = self._new_codec(width, height)
            self._codec = codec
        return codec

    def _new_codec(self, width: int, height: int) -> VideoCodecContext:
        codec = VideoCodecContext.create("libvpx", "w")
        codec.width, codec.height, codec.pix_fmt = width, height, "yuv420p"
        codec.time_base, codec.framerate = Fraction(1, VIDEO_CLOCK), self._rate
        wanted = int(width * height * self._rate * VIDEO_BITS_PER_PIXEL)
        codec.bit_rate = max(_MIN_BIT_RATE, min(wanted, _MAX_BIT_RATE))
        codec.gop_size = self._key_frame_every
        codec.thread_count = 1
        codec.options = dict(_REALTIME)
        return codec


class SoundEncoder:
    """Encodes sound of any rate and layout as Opus packets of equal length."""

    def __init__(self) -> None:
        self._codec = AudioCodecContext.create("libopus", "w")
        self._codec.sample_rate = AUDIO_CLOCK
        self._codec.format = "s16"
        self._codec.layout = "stereo"
        self._codec.bit_rate = AUDIO_BIT_RATE
        self._codec.time_base = Fraction(1, AUDIO_CLOCK)
        self._codec.options = {
            "vbr": "off",
            "frame_duration": str(AUDIO_PACKET_MS),
            "application": "audio",
        }
        self._resampler = av.AudioResampler(
            format="s16",
            layout="stereo",
            rate=AUDIO_CLOCK,
            frame_size=AUDIO_CLOCK * AUDIO_PACKET_MS // 1000,
        )

    def encode(self, sound: av.AudioFrame) -> Iterator[bytes]:
        """Yield the packets that `sound` completes, 40 ms each."""
        sound.pts = None
        for part in self._resampler.resample(sound):
            part.pts = None
            for packet in self._codec.encode(part):
                yield bytes(packet)

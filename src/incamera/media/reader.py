# SPDX-License-Identifier: Apache-2.0
"""Which encoded frames does a file or device hold? (spec/media.md, section 8)

VP8 and Opus pass as they are; everything else is encoded again.  A VP8 file cannot give
a key frame on request, so pictures are then encoded again, up to the file's next one.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from typing import Final

import av
from av.container import InputContainer
from av.packet import Packet
from av.stream import Stream

from incamera.errors import Code, MediaError
from incamera.media.encoded import (
    AUDIO_CLOCK,
    VIDEO_CLOCK,
    EncodedFrame,
    is_video,
    media_type,
)
from incamera.media.encoders import AUDIO_PACKET_MS, PictureEncoder, SoundEncoder
from incamera.protocol.frames import StreamKind

DEVICE_FORMATS: Final = ("v4l2", "alsa", "pulse", "avfoundation", "dshow", "lavfi")
"""Kinds of device, by the names PyAV gives them; not every build has every one."""
DEFAULT_RATE: Final = 15.0
"""Pictures per second where the file does not say."""
UNREADABLE: Final = (av.FFmpegError, OSError, ValueError)
"""What PyAV raises for a file or device that is absent, broken or full."""

_PACKET_TICKS: Final = AUDIO_CLOCK * AUDIO_PACKET_MS // 1000


@dataclass(frozen=True, slots=True)
class MediaInput:
    """A file (`format` None) or a device: its path or name, and the kind of device.

    `loop`: begin again at the end.
    """

    path: str
    format: str | None = None
    loop: bool = False


def open_input(source: MediaInput) -> InputContainer:
    """Open a file or device.

    Raises MediaError: MEDIA_FILE or MEDIA_DEVICE if it is absent or unreadable.
    """
    code = Code.MEDIA_FILE if source.format is None else Code.MEDIA_DEVICE
    try:
        return av.open(source.path, format=source.format)
    except UNREADABLE as error:
        reason = getattr(error, "strerror", None) or "unknown format"
        raise MediaError(code, f"cannot open {source.path}: {reason}") from error


def kinds_in(source: MediaInput) -> tuple[StreamKind, ...]:
    """Return what a file or device can give: sound, pictures or both."""
    with open_input(source) as container:
        found = []
        if container.streams.audio:
            found.append(StreamKind.AUDIO)
        if container.streams.video:
            found.append(StreamKind.VIDEO)
        return tuple(found)


class FrameReader:
    """Reads the frames of one stream of an input, once, as fast as asked."""

    def __init__(self, source: MediaInput, kind: StreamKind) -> None:
        """Open the input; raises MediaError if it has no such stream."""
        self.kind: Final = kind
        self._code = Code.MEDIA_FILE if source.format is None else Code.MEDIA_DEVICE
        self._container = open_input(source)
        self._stream = self._pick(source.path)
        self._key_frame_wanted = False

    @property
    def duration_s(self) -> float:
        """Seconds that the whole input lasts; 0 if unknown."""
        return (self._container.duration or 0) / av.time_base

    def request_key_frame(self) -> None:
        """Make the next picture a key frame; called from any thread."""
        self._key_frame_wanted = True

    def frames(self) -> Iterator[EncodedFrame]:
        """Yield the frames; `time` starts near 0.  Raises MediaError in mid-file."""
        try:
            yield from self._pictures() if is_video(self.kind) else self._sounds()
        except UNREADABLE as error:
            raise MediaError(self._code, "the input cannot be read on") from error
        finally:
            self._container.close()

    def _pick(self, path: str) -> Stream:
        streams = self._container.streams
        found = streams.video if is_video(self.kind) else streams.audio
        if not found:
            self._container.close()
            raise MediaError(self._code, f"{path} has no {media_type(self.kind)}")
        return found[0]

    def _packets(self) -> Iterator["Packet[Stream]"]:
        for packet in self._container.demux(self._stream):
            if packet.size:
                yield packet

    def _time(self, packet: "Packet[Stream]", clock: int) -> int:
        """Return when the packet is shown, in ticks from the start of the input."""
        base = packet.time_base or self._stream.time_base
        stamp = packet.pts if packet.pts is not None else packet.dts
        start = (self._container.start_time or 0) * clock // av.time_base
        return int((stamp or 0) * base * clock) - start if base else 0

    def _sounds(self) -> Iterator[EncodedFrame]:
        if self._stream.codec_context.name.endswith("opus"):
            for packet in self._packets():
                time = self._time(packet, AUDIO_CLOCK)
                yield EncodedFrame(self.kind, bytes(packet), time)
            return
        encoder = SoundEncoder()
        time = 0
        for sound in self._container.decode(self._stream):
            for data in encoder.encode(sound):  # type: ignore[arg-type]  # audio stream
                yield EncodedFrame(self.kind, data, time)
                time += _PACKET_TICKS

    def _pictures(self) -> Iterator[EncodedFrame]:
        rate = float(self._stream.average_rate or DEFAULT_RATE)
        passes = self._stream.codec_context.name.endswith(("vp8", "libvpx"))
        encoder = None if passes else PictureEncoder(rate)
        for packet in self._packets():
            if passes and packet.is_keyframe:
                encoder, self._key_frame_wanted = None, False
            elif passes and self._key_frame_wanted and encoder is None:
                encoder = PictureEncoder(rate)
            yield from self._picture(packet, encoder)

    def _picture(
        self, packet: "Packet[Stream]", encoder: PictureEncoder | None
    ) -> Iterator[EncodedFrame]:
        """Yield the packet itself, or what the encoder makes of its pictures.

        Every packet is decoded: the encoder may be needed at the next one.
        """
        pictures = packet.decode()
        if encoder is None:
            time = self._time(packet, VIDEO_CLOCK)
            yield EncodedFrame(self.kind, bytes(packet), time)
            return
        for picture in pictures:
            assert isinstance(picture, av.VideoFrame)  # a video stream's packet
            wanted, self._key_frame_wanted = self._key_frame_wanted, False
            time = int((picture.time or 0) * VIDEO_CLOCK)
            picture.pts = time
            picture.time_base = Fraction(1, VIDEO_CLOCK)
            data = encoder.encode(picture, key=wanted)
            if data:
                yield EncodedFrame(self.kind, data, time)

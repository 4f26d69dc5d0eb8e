# SPDX-License-Identifier: Apache-2.0
"""How does one own stream reach every member, sealed? (spec/media.md, section 4)

A frame is sealed once and the same ciphertext goes to all connections.  What is on the
way to aiortc is ciphertext only: a frame that cannot be sealed is dropped, and pictures
then wait for the next key frame.
"""

import asyncio
import time
from collections import deque
from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing
from fractions import Fraction
from typing import Final, Protocol, TypeAlias

import av
from aiortc import MediaStreamTrack
from aiortc.mediastreams import MediaStreamError

from incamera.errors import Code, IncameraError
from incamera.media.encoded import (
    EncodedFrame,
    clock_rate,
    dummy_of,
    is_video,
    media_type,
)
from incamera.media.statistics import Tally
from incamera.protocol.frames import StreamId, StreamKind, StreamSender

KEY_FRAME_GAP_S: Final = 0.3
"""Shortest time between two forced key frames: anyone may ask, all pay."""
MAX_QUEUED: Final = 50
"""Sealed frames that wait for a connection: a second or two, then we start afresh."""


SealedPacket: TypeAlias = "av.Packet[av.stream.Stream]"
"""A packet of ciphertext, as aiortc takes it."""


class FrameSource(Protocol):
    """Gives the encoded frames of one stream, in real time."""

    @property
    def kind(self) -> StreamKind:
        """What the frames are."""

    def frames(self) -> AsyncGenerator[EncodedFrame, None]:
        """Yield each frame when it is due; raises MediaError."""

    def request_key_frame(self) -> None:
        """Make one of the next pictures a key frame."""


class SealedTrack(MediaStreamTrack):
    """The sealed frames of one stream for one connection."""

    def __init__(self, kind: StreamKind, wanted: Callable[[], None]) -> None:
        super().__init__()
        self.kind = media_type(kind)
        self.tally: Final = Tally()
        self.stream_kind: Final = kind
        self._wanted = wanted
        self._queue: deque[SealedPacket] = deque()
        self._ready = asyncio.Event()
        self._started = False
        self._muted = False
        self._needs_key_frame = is_video(kind)

    def push(self, sealed: bytes, frame: EncodedFrame) -> None:
        """Queue a sealed frame; `frame` tells its time and whether it is a key frame.

        Dropped before the connection reads, when muted, and pictures before a key.
        """
        if not self._started or self._muted or self.readyState != "live":
            return
        if len(self._queue) >= MAX_QUEUED:
            self._start_afresh()
        if self._needs_key_frame and not frame.is_key:
            return
        self._needs_key_frame = False
        self._queue.append(_packet(sealed, frame))
        self._ready.set()

    def mute(self) -> None:
        """Send nothing more, not even what waits."""
        self._muted = True
        self._queue.clear()

    def key_frame_asked(self) -> None:
        """The member at the other end asks for a key frame."""
        self.tally.asked += 1
        self._wanted()

    async def recv(self) -> SealedPacket:
        """Return the next sealed frame; aiortc only cuts it into packets."""
        if not self._started:
            self._started = True
            self._wanted()
        while not self._queue:
            if self.readyState != "live":
                raise MediaStreamError
            self._ready.clear()
            await self._ready.wait()
        self.tally.sent += 1
        return self._queue.popleft()

    def stop(self) -> None:
        """End the track; whoever waits in `recv` is told."""
        super().stop()
        self._ready.set()

    def _start_afresh(self) -> None:
        self._queue.clear()
        self._needs_key_frame = is_video(self.stream_kind)
        self._wanted()


class Outgoing:
    """Takes frames from a source, seals each once, gives it to every track."""

    def __init__(
        self,
        source: FrameSource,
        sender: StreamSender,
        stream: StreamId,
        *,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.kind: Final = source.kind
        self.tally: Final = Tally()
        self._source = source
        self._sender = sender
        self.stream: Final = stream
        self._clock = clock
        self._tracks: list[SealedTrack] = []
        self._key_frame_wanted = False
        self._key_frame_s = float("-inf")
        self._broken = False
        self._epoch: int | None = None

    def open_track(self) -> SealedTrack:
        """Return a new track for one connection."""
        track = SealedTrack(self.kind, self._want_key_frame)
        self._tracks.append(track)
        return track

    def close_track(self, track: SealedTrack) -> None:
        """Mute and forget a track."""
        track.mute()
        if track in self._tracks:
            self._tracks.remove(track)

    async def run(self) -> None:
        """Seal and send until the source ends; raises MediaError if it breaks."""
        async with aclosing(self._source.frames()) as frames:
            async for frame in frames:
                self._ask_source()
                self._send(frame)

    def _send(self, frame: EncodedFrame) -> None:
        if not self._tracks:
            return
        if self._broken and not frame.is_key:
            self._want_key_frame()  # its reference was never sent
            return
        try:
            sealed = self._sender.protect(frame.data, dummy=dummy_of(frame))
        except IncameraError as error:
            self._refuse(error.code)
            return
        self._broken = False
        self._note_epoch()
        self.tally.sent += 1
        for track in self._tracks:
            track.push(sealed, frame)

    def _note_epoch(self) -> None:
        """A new key brings a key frame: those who only have that key can begin."""
        if self._sender.epoch != self._epoch:
            self._epoch = self._sender.epoch
            self._want_key_frame()

    def _refuse(self, code: Code) -> None:
        self.tally.refused[code] += 1
        self._broken = is_video(self.kind)

    def _want_key_frame(self) -> None:
        self._key_frame_wanted = is_video(self.kind)

    def _ask_source(self) -> None:
        now_s = self._clock()
        if self._key_frame_wanted and now_s - self._key_frame_s >= KEY_FRAME_GAP_S:
            self._key_frame_wanted = False
            self._key_frame_s = now_s
            self.tally.asked += 1
            self._source.request_key_frame()


def _packet(sealed: bytes, frame: EncodedFrame) -> SealedPacket:
    packet: SealedPacket = av.Packet(sealed)
    packet.pts = packet.dts = frame.time
    packet.time_base = Fraction(1, clock_rate(frame.kind))
    return packet

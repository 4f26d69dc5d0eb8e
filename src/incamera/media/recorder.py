# SPDX-License-Identifier: Apache-2.0
"""How do opened frames become a file?

VP8 and Opus go into a WebM file as they are, nothing is decoded.  The file is written
as a live stream: clusters of at most a second, complete once written, no index and no
sizes to fill in at the end.  Whatever kills the process, the file plays up to its last
cluster.
"""

import time
from collections import deque
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path
from typing import Final

import av
from av.container import OutputContainer
from av.stream import Stream

from incamera.errors import Code, MediaError
from incamera.media.encoded import (
    AUDIO_CLOCK,
    EncodedFrame,
    clock_rate,
    is_video,
    parse_picture_size,
)
from incamera.media.reader import UNREADABLE
from incamera.protocol.frames import StreamKind

WAIT_FOR_PICTURE_S: Final = 5.0
"""How long sound waits for the first picture before the file starts without one."""
CLUSTER_MS: Final = 500
"""Most that is lost when the process is killed."""

_OPTIONS: Final = {
    "live": "1",
    "flush_packets": "1",
    "cluster_time_limit": str(CLUSTER_MS),
}
_UNKNOWN_SIZE: Final = (640, 360)
_TICKS_IN_FILE: Final = 1000  # Matroska counts milliseconds


class Recorder:
    """Writes the frames of one member into one WebM file."""

    def __init__(
        self,
        path: Path,
        kinds: frozenset[StreamKind],
        *,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Record `kinds`; the file appears with the first key frame."""
        self._path = path
        self._kinds = kinds
        self._clock = clock
        self._start_s: float | None = None
        self._waiting: deque[tuple[EncodedFrame, int]] = deque()
        self._sizes: dict[StreamKind, tuple[int, int]] = {}
        self._container: OutputContainer | None = None
        self._streams: dict[StreamKind, Stream] = {}
        self._offsets: dict[StreamKind, int] = {}
        self._last: dict[StreamKind, int] = {}

    def write(self, frame: EncodedFrame) -> None:
        """Take the next frame of any of the kinds.

        Raises MediaError(MEDIA_FILE) if the file cannot be written.
        """
        if frame.kind not in self._kinds:
            return
        now_ms = self._milliseconds()
        self._note_size(frame)
        if self._container is None and not self._is_ready(now_ms):
            self._waiting.append((frame, now_ms))
            return
        self._open_if_needed()
        self._mux(frame, now_ms)

    def close(self) -> None:
        """Finish the file; with no frame written there is none.

        Raises MediaError(MEDIA_FILE) if its last part cannot be written.
        """
        if self._waiting and not self._lacks_all_pictures():
            self._open_if_needed()
        self._waiting.clear()
        container, self._container = self._container, None
        self._kinds = frozenset()
        try:
            if container is not None:
                container.close()
        except UNREADABLE as error:
            raise _not_written(self._path) from error

    def _milliseconds(self) -> int:
        now_s = self._clock()
        if self._start_s is None:
            self._start_s = now_s
        return round((now_s - self._start_s) * 1000)

    def _note_size(self, frame: EncodedFrame) -> None:
        if is_video(frame.kind) and frame.kind not in self._sizes and frame.is_key:
            self._sizes[frame.kind] = parse_picture_size(frame)

    def _pictures(self) -> set[StreamKind]:
        return {kind for kind in self._kinds if is_video(kind)}

    def _lacks_all_pictures(self) -> bool:
        return self._pictures() == self._kinds and not self._sizes

    def _is_ready(self, now_ms: int) -> bool:
        """True when the sizes of all pictures are known, or were waited for."""
        all_known = self._pictures() <= self._sizes.keys()
        return all_known or now_ms >= WAIT_FOR_PICTURE_S * 1000

    def _open_if_needed(self) -> None:
        if self._container is not None:
            return
        try:
            self._container = av.open(
                str(self._path), "w", format="webm", options=_OPTIONS
            )
            self._add_streams(self._container)
            self._container.start_encoding()
        except UNREADABLE as error:
            raise _not_written(self._path) from error
        while self._waiting:
            self._mux(*self._waiting.popleft())

    def _add_streams(self, container: OutputContainer) -> None:
        for kind in sorted(self._kinds):
            if is_video(kind):
                width, height = self._sizes.get(kind, _UNKNOWN_SIZE)
                stream = container.add_mux_stream("vp8", width=width, height=height)
            else:
                # The encoder only writes its header; no frame passes through it.
                stream = container.add_stream("libopus", rate=AUDIO_CLOCK)
            self._streams[kind] = stream

    def _mux(self, frame: EncodedFrame, now_ms: int) -> None:
        """Write a frame where it arrived first, then where its own time says."""
        assert self._container is not None  # the callers have opened it
        if frame.kind not in self._last and not frame.is_key:
            return
        packet = av.Packet(frame.data)
        packet.pts = packet.dts = self._place(frame, now_ms)
        packet.time_base = Fraction(1, _TICKS_IN_FILE)
        packet.stream = self._streams[frame.kind]
        packet.is_keyframe = frame.is_key
        try:
            self._container.mux_one(packet)
        except UNREADABLE as error:
            raise _not_written(self._path) from error

    def _place(self, frame: EncodedFrame, now_ms: int) -> int:
        """Return the frame's milliseconds in the file; they never go back."""
        own_ms = frame.time * _TICKS_IN_FILE // clock_rate(frame.kind)
        offset = self._offsets.setdefault(frame.kind, now_ms - own_ms)
        place = max(own_ms + offset, self._last.get(frame.kind, -1) + 1)
        self._last[frame.kind] = place
        return place


def _not_written(path: Path) -> MediaError:
    return MediaError(Code.MEDIA_FILE, f"cannot write {path}")

# SPDX-License-Identifier: Apache-2.0
"""When is each frame of a file or device due? (spec/media.md, section 8)

Sound and pictures of one input share one start, so that they stay together.  Reading,
decoding and encoding run in a thread of their own per stream.
"""

import asyncio
import time
from collections.abc import AsyncGenerator, Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Final

from incamera.media.encoded import EncodedFrame, clock_rate
from incamera.media.reader import FrameReader, MediaInput, kinds_in
from incamera.protocol.frames import StreamKind

SCREENS: Final = {
    StreamKind.AUDIO: StreamKind.SCREEN_AUDIO,
    StreamKind.VIDEO: StreamKind.SCREEN,
}
"""What sound and pictures are called when they are a shared screen's."""


@dataclass(slots=True)
class Start:
    """When the streams of one input began, in seconds of the clock; set by the first.

    It is shared by all streams of an input.
    """

    clock: Callable[[], float] = time.monotonic
    at_s: float | None = field(default=None)

    def due_s(self, offset_s: float) -> float:
        """Return how many seconds are left until `offset_s` after the start."""
        if self.at_s is None:
            self.at_s = self.clock()
        return self.at_s + offset_s - self.clock()


class Source:
    """One stream of one input, in real time."""

    def __init__(self, source: MediaInput, kind: StreamKind, start: Start) -> None:
        self._input = source
        self._kind = kind
        self._start = start
        self._reader: FrameReader | None = None
        self._last = -1

    @property
    def kind(self) -> StreamKind:
        """What the frames are."""
        return self._kind

    def request_key_frame(self) -> None:
        """Make one of the next pictures a key frame."""
        if self._reader is not None:
            self._reader.request_key_frame()

    async def frames(self) -> AsyncGenerator[EncodedFrame, None]:
        """Yield each frame when it is due; raises MediaError (MEDIA_FILE, _DEVICE).

        Times go on growing when the input begins again.
        """
        loop = asyncio.get_running_loop()
        name = f"incamera-{self._kind.name.lower()}"
        thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix=name)
        try:
            frames = self._passes()
            while frame := await loop.run_in_executor(thread, next, frames, None):
                await asyncio.sleep(self._start.due_s(self._seconds(frame)))
                yield frame
        finally:  # without waiting: a device may hang in its read
            thread.shutdown(wait=False, cancel_futures=True)

    def _passes(self) -> Iterator[EncodedFrame]:
        """Yield the input's frames once, or for ever with `loop`."""
        offset_s = 0.0
        while True:
            self._reader = FrameReader(self._input, self._kind)
            duration_s = self._reader.duration_s
            for frame in self._reader.frames():
                yield self._moved(frame, offset_s)
            if not self._input.loop or self._last < 0:
                return
            offset_s += duration_s or self._last / clock_rate(self._kind) - offset_s

    def _moved(self, frame: EncodedFrame, offset_s: float) -> EncodedFrame:
        """Return the frame at its time in the stream; no two have the same."""
        time = frame.time + round(offset_s * clock_rate(self._kind))
        self._last = max(time, self._last + 1)
        return EncodedFrame(frame.kind, frame.data, self._last)

    def _seconds(self, frame: EncodedFrame) -> float:
        return frame.time / clock_rate(self._kind)


def open_sources(
    source: MediaInput,
    *,
    screen: bool = False,
    kinds: Sequence[StreamKind] | None = None,
    clock: Callable[[], float] = time.monotonic,
) -> tuple[Source, ...]:
    """Return a source for each stream of a file or device, or for those of `kinds`.

    `screen`: they are a shared screen's.  Raises MediaError (MEDIA_FILE, MEDIA_DEVICE).
    """
    found = kinds_in(source)
    if screen:
        found = tuple(SCREENS[kind] for kind in found)
    start = Start(clock)
    wanted = found if kinds is None else tuple(kinds)
    return tuple(Source(source, kind, start) for kind in found if kind in wanted)

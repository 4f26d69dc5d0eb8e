# SPDX-License-Identifier: Apache-2.0
"""Whose test card does a recording show, second by second?

A picture counts if its check byte is right and it is not the one before it; sound
counts for a sender if most of its energy lies in that sender's tone.
"""

import math
from array import array
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import av

from incamera.errors import Code, MediaError
from incamera.media.reader import UNREADABLE
from incamera.media.testcard import (
    COLUMNS,
    MAX_SENDER,
    ROWS,
    parse_code,
    tone_of,
)

ENOUGH: Final = 0.9
"""Part of the expected seconds in which a sender must be seen, or heard."""

_RATE: Final = 8_000  # samples per second, enough for the highest tone
_WINDOW: Final = _RATE // 4
_PURE: Final = 0.5  # of a window's energy in one tone
_SILENT: Final = 100.0  # mean square below which there is no sound
_DARK: Final = 96
_BRIGHT: Final = 160


@dataclass(frozen=True, slots=True)
class Second:
    """What one second of a recording shows: new pictures and tone windows, by sender.

    Pictures and windows that are nobody's count for sender None.
    """

    pictures: Counter[int | None]
    windows: Counter[int | None]

    def shows(self, sender: int, rate: float) -> bool:
        """True if most pictures of the second, at `rate`, are there and nobody else's.

        A neighbour's single picture at a seam does not matter.
        """
        mine, others = self.pictures[sender], self.pictures.total()
        return mine >= ENOUGH * rate and mine >= ENOUGH * others

    def sounds(self, sender: int) -> bool:
        """True if most of the second carries the sender's tone."""
        return self.windows[sender] * 4 >= 3 * max(1, self.windows.total())


@dataclass(frozen=True, slots=True)
class Recognition:
    """What a recording shows, second by second."""

    seconds: tuple[Second, ...]

    def seen(self, sender: int, rate: float) -> int:
        """Return in how many seconds the sender's pictures are there."""
        return sum(second.shows(sender, rate) for second in self.seconds)

    def heard(self, sender: int) -> int:
        """Return in how many seconds the sender's tone is there."""
        return sum(second.sounds(sender) for second in self.seconds)

    def shows_and_sounds(self, sender: int, *, rate: float, seconds: float) -> bool:
        """True if the sender is seen and heard in 90 % of the expected seconds."""
        least = ENOUGH * seconds
        return self.seen(sender, rate) >= least and self.heard(sender) >= least


def recognise(path: Path) -> Recognition:
    """Read a recording; raises MediaError(MEDIA_FILE) if it cannot be read."""
    try:
        pictures = list(_pictures(path))
        windows = list(_windows(path))
    except UNREADABLE as error:
        raise MediaError(Code.MEDIA_FILE, f"cannot read {path}") from error
    last_s = max((at for at, _ in (*pictures, *windows)), default=-1.0)
    seconds = tuple(Second(Counter(), Counter()) for _ in range(int(last_s) + 1))
    for at, sender in pictures:
        seconds[int(at)].pictures[sender] += 1
    for at, sender in windows:
        seconds[int(at)].windows[sender] += 1
    return Recognition(seconds)


def read_picture(frame: av.VideoFrame) -> tuple[int, int] | None:
    """Return sender and frame number of a picture, or None if it is no test card."""
    if frame.format.name != "yuv420p":
        frame = frame.reformat(format="yuv420p")
    luma, line_size = bytes(frame.planes[0]), frame.planes[0].line_size
    code = 0
    for row in range(ROWS):
        y = (2 * row + 1) * (frame.height // ROWS) // 2
        for column in range(COLUMNS):
            x = (2 * column + 1) * (frame.width // COLUMNS) // 2
            level = _level(luma, y * line_size + x, line_size)
            if _DARK < level < _BRIGHT:
                return None
            code = code << 1 | (level >= _BRIGHT)
    return parse_code(code)


def find_tone(samples: Sequence[int]) -> int | None:
    """Return whose tone a window of 8 kHz samples is, or None if nobody's."""
    power = sum(value * value for value in samples) / len(samples)
    if power < _SILENT:
        return None
    parts = {
        sender: _part(samples, tone_of(sender)) for sender in range(MAX_SENDER + 1)
    }
    best = max(parts, key=lambda sender: parts[sender])
    return best if parts[best] >= _PURE * power else None


def _level(luma: bytes, centre: int, line_size: int) -> int:
    """Return the mean of nine points around the middle of a block."""
    rows = (-4 * line_size, 0, 4 * line_size)
    return sum(luma[centre + row + side] for row in rows for side in (-4, 0, 4)) // 9


def _part(samples: Sequence[int], hertz: int) -> float:
    """Return the power of one frequency in the window (Goertzel's algorithm)."""
    turn = 2 * math.cos(2 * math.pi * hertz / _RATE)
    one = two = 0.0
    for value in samples:
        one, two = value + turn * one - two, one
    energy = one * one + two * two - turn * one * two
    return 2 * energy / len(samples) ** 2


def _pictures(path: Path) -> Iterator[tuple[float, int | None]]:
    """Yield the second and the sender of each picture that differs from the last."""
    with av.open(str(path)) as container:
        if not container.streams.video:
            return
        last: tuple[int, int] | None = None
        for frame in container.decode(video=0):
            found = read_picture(frame)
            if found is None or found != last:
                yield frame.time or 0.0, found[0] if found else None
            last = found


def _windows(path: Path) -> Iterator[tuple[float, int | None]]:
    """Yield the second and the sender of each quarter of a second of sound."""
    resampler = av.AudioResampler(format="s16", layout="mono", rate=_RATE)
    samples = array("h")
    with av.open(str(path)) as container:
        if not container.streams.audio:
            return
        start: float | None = None
        done = 0
        for frame in container.decode(audio=0):
            start = (frame.time or 0.0) if start is None else start
            for part in resampler.resample(frame):
                samples.frombytes(bytes(part.planes[0])[: 2 * part.samples])
            while len(samples) >= _WINDOW:
                yield start + done / _RATE, find_tone(samples[:_WINDOW])
                del samples[:_WINDOW]
                done += _WINDOW

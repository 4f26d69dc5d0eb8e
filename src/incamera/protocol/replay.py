# SPDX-License-Identifier: Apache-2.0
"""Which counters have been seen under one key (spec/media.md, section 5).

A window in the manner of RFC 4303, section 3.4.3.  `check` comes before the frame is
authenticated and `commit` after it, so that a forged counter can never push the window
ahead of the sender.
"""

from typing import Final

from incamera.errors import Code, PeerError

WINDOW: Final = 1024
"""Counters behind the highest that may still arrive: 20 s of audio, 17 s of video."""
_MASK: Final = (1 << WINDOW) - 1


class ReplayWindow:
    """Remembers the `highest` counter and which of the `WINDOW` up to it were seen."""

    __slots__ = ("_seen", "highest")

    def __init__(self) -> None:
        self.highest = -1
        self._seen = 0  # bit i: counter highest - i has been seen

    def check(self, counter: int) -> None:
        """Raise PeerError(REPLAYED) if `counter` was seen or is behind the window."""
        age = self.highest - counter
        if age >= 0 and (age >= WINDOW or self._seen >> age & 1):
            raise PeerError(Code.REPLAYED, "frame counter is not new")

    def commit(self, counter: int) -> None:
        """Remember an authenticated `counter` that `check` has let through."""
        ahead = counter - self.highest
        if ahead <= 0:
            self._seen |= 1 << -ahead
            return
        if ahead < WINDOW:
            self._seen = (self._seen << ahead | 1) & _MASK
        else:  # a jump by 2^63 must not build a huge integer
            self._seen = 1
        self.highest = counter

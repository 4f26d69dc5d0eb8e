# SPDX-License-Identifier: Apache-2.0
"""By which way do frames come (spec/media.md, section 5)?

Today straight from the member at the other end of a connection; later through a server
that forwards without keys.  Who sealed a frame is what its key says; a path says only
whose it may be, takes requests for key frames, and names a frame as it was sent.
"""

from hashlib import sha256
from typing import Protocol

from incamera.protocol.frames import StreamKind


class MediaPath(Protocol):
    """One way by which sealed frames come to us."""

    def origin(self, frame: bytes) -> int | None:
        """Return the slot whose frame this must be, as it came; None: nobody's."""

    def request_key_frame(self, kind: StreamKind) -> None:
        """Ask whoever sends on this path for a key frame of its stream of this kind."""

    def sealed(self, frame: bytes) -> bytes:
        """Return 32 bytes that name this frame, as it was sealed, to third persons.

        For sender authentication and reports, which come later.
        """


def digest(frame: bytes) -> bytes:
    """Return SHA-256 of a frame exactly as its sender sealed it."""
    return sha256(frame).digest()

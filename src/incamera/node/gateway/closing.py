# SPDX-License-Identifier: Apache-2.0
"""How does a relay connection end, and what is one (spec/relay.md, section 2)?

The close codes are of WebSocket's own range for applications (RFC 6455, section 7.4.2).
"""

from typing import Final, Protocol

CLOSE_NORMAL: Final = 1000
CLOSE_FAILED: Final = 1011
CLOSE_MALFORMED: Final = 4400
CLOSE_NOT_PROVEN: Final = 4401
CLOSE_NOT_ALLOWED: Final = 4403
CLOSE_SLOW: Final = 4408
CLOSE_REPLACED: Final = 4409
CLOSE_OVER: Final = 4410
CLOSE_TOO_MANY: Final = 4429


class Socket(Protocol):
    """One WebSocket, as the room needs it."""

    async def send(self, data: bytes) -> None:
        """Send one binary message; waits while the receiver is slow."""

    async def receive(self) -> bytes | None:
        """Return the next binary message, None when the socket is closed."""

    async def close(self, code: int) -> None:
        """Close; further calls do nothing."""

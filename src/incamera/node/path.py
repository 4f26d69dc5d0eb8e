# SPDX-License-Identifier: Apache-2.0
"""By which way do the members' messages travel (spec/relay.md, section 1)?

Today through the gateway's relay; later beside it over data channels.  A path is
trusted for nothing: what it brings is judged by its signatures alone.
"""

from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Protocol

from incamera.protocol.ids import Kid
from incamera.protocol.ports import Signer
from incamera.protocol.seat import Seat


@dataclass(frozen=True, slots=True)
class Message:
    """What somebody posted to us; the path vouches for `sender`, nothing else does."""

    sender: Kid
    message: bytes


class Path(Protocol):
    """One open way to the other members of one meeting."""

    async def send(self, to: Kid | None, message: bytes) -> tuple[Kid, ...]:
        """Bring a message to one receiver, or to all other members (None).

        Returns who did not get it.  Raises PeerError if it is refused for good, and
        LedgerError: QUEUE_FULL, QUOTA, UNREACHABLE.
        """

    def __aiter__(self) -> AsyncIterator[Message]:
        """Yield what others post; asking for the next one acknowledges the last.

        Ends with the error that closed the path, silently after `close`.
        """

    async def close(self) -> None:
        """Close the path."""


class OpenPath(Protocol):
    """Opens a path as the holder of a seat."""

    async def __call__(self, seat: Seat, gate: Signer | None, /) -> Path:
        """Return an open path; `gate` is needed until our request is on the ledger.

        Raises PeerError if we are not let in, LedgerError(UNREACHABLE) and the like.
        """

# SPDX-License-Identifier: Apache-2.0
"""Which meetings have a relay room open right now?

A room opens when somebody needs it and goes when nobody is there and nothing waits.
"""

import asyncio
import time

from incamera.errors import Code, LedgerError
from incamera.node.gateway.relay import Room, Shared
from incamera.protocol.ids import MeetingId


class Rooms:
    """All rooms of a gateway."""

    def __init__(self, shared: Shared) -> None:
        self.shared = shared
        self._rooms: dict[MeetingId, Room] = {}
        self._opening: dict[MeetingId, asyncio.Task[Room]] = {}

    async def open(self, meeting: MeetingId) -> Room:
        """Return the meeting's room, opened now if it is not.

        Raises PeerError(UNKNOWN_TOPIC), LedgerError(QUOTA) when too many are open.
        """
        room = self._rooms.get(meeting)
        if room is not None and not room.has_failed:
            return room
        if meeting not in self._opening:
            self._opening[meeting] = asyncio.create_task(self._open(meeting))
        # Shielded: others wait for the same room.
        return await asyncio.shield(self._opening[meeting])

    async def tidy(self) -> None:
        """Expire messages and close rooms that nobody needs."""
        now_ms = int(time.time() * 1000)
        for meeting, room in list(self._rooms.items()):
            room.expire()
            # Idle twice in a row: somebody may just have been given this room.
            idle, room.was_idle = room.is_idle and room.was_idle, room.is_idle
            if idle or room.has_failed or room.access.state.ends_ms <= now_ms:
                del self._rooms[meeting]
                await room.close()

    async def close(self) -> None:
        """Close every room."""
        for room in list(self._rooms.values()):
            await room.close()
        self._rooms.clear()

    async def _open(self, meeting: MeetingId) -> Room:
        try:
            if len(self._rooms) >= self.shared.limits.meetings:
                await self.tidy()
            if len(self._rooms) >= self.shared.limits.meetings:
                raise LedgerError(Code.QUOTA, "too many meetings at this gateway")
            room = Room(meeting, self.shared)
            await room.open()
            self._rooms[meeting] = room
            return room
        finally:
            del self._opening[meeting]

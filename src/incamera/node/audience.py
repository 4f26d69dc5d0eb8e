# SPDX-License-Identifier: Apache-2.0
"""Who hears what happens: every subscriber from its call on (spec/local-api.md)."""

import asyncio
from collections.abc import AsyncGenerator
from typing import Final

from incamera.node.service import Event

MAX_EVENTS: Final = 1024
"""Events kept for a subscriber that does not read; older ones are dropped."""


class Audience:
    """The subscribers to one daemon's events."""

    def __init__(self) -> None:
        self._queues: list[asyncio.Queue[Event]] = []

    def tell(self, event: Event) -> None:
        """Give everybody an event."""
        for queue in self._queues:
            if queue.full():
                queue.get_nowait()
            queue.put_nowait(event)

    def events(self, meeting: str | None) -> AsyncGenerator[Event, None]:
        """Return what happens from this call on, in one meeting or in all."""
        queue: asyncio.Queue[Event] = asyncio.Queue(MAX_EVENTS)
        self._queues.append(queue)

        async def drain() -> AsyncGenerator[Event, None]:
            try:
                while True:
                    event = await queue.get()
                    if meeting is None or event["meeting"].startswith(meeting):
                        yield event
            finally:
                self._queues.remove(queue)

        return drain()

# SPDX-License-Identifier: Apache-2.0
"""Who carries our posts to the others, and theirs to us (spec/relay.md, section 4)?

One courier per session.  It keeps a path open, opens another when one breaks, and sends
again what did not get through.  Which kind of path it is, it does not know.
"""

import asyncio
import contextlib
import logging
from collections.abc import Awaitable, Callable
from typing import Final

from incamera.errors import Code, IncameraError, LedgerError, PeerError
from incamera.node.path import Path
from incamera.protocol import effects as fx

RETRY_S: Final = (0.1, 0.3, 1, 2, 5)
"""Pauses between attempts to reach the gateway; the last one goes on."""
MAX_OUTBOX: Final = 4096
"""Posts that wait for a connection; a member that is cut off so long asks again."""

_log = logging.getLogger(__name__)


class Pauses:
    """RETRY_S, its last value for ever."""

    def __init__(self) -> None:
        self._number = -1

    def __iter__(self) -> "Pauses":
        return self

    def __next__(self) -> float:
        self._number = min(self._number + 1, len(RETRY_S) - 1)
        return RETRY_S[self._number]


class Courier:
    """Carries until the meeting has ended or its task is cancelled."""

    def __init__(
        self,
        open_path: Callable[[], Awaitable[Path]],
        *,
        heard: Callable[[bytes], None],
        answers: Callable[[LedgerError | None], None],
    ) -> None:
        """`heard` takes each message; `answers` learns that a path opened or broke."""
        self._open_path = open_path
        self._heard = heard
        self._answers = answers
        self._posts: asyncio.Queue[fx.Post] = asyncio.Queue(MAX_OUTBOX)

    def post(self, post: fx.Post) -> None:
        """Send this as soon as may be; forgotten when too much waits."""
        if not self._posts.full():
            self._posts.put_nowait(post)

    async def run(self) -> None:
        """Stay connected; what was not sent is sent again.  Returns after the end."""
        unsent: list[fx.Post] = []
        pauses = Pauses()
        while True:
            try:
                path = await self._open_path()
                pauses = Pauses()
                self._answers(None)
                await self._talk(path, unsent)
            except LedgerError as error:
                self._answers(error)
            except IncameraError as error:
                if error.code is Code.ENDED:
                    return
                _log.info("path: %s", error.code.value)
            await asyncio.sleep(next(pauses))

    async def _talk(self, path: Path, unsent: list[fx.Post]) -> None:
        """Send and receive until the path breaks; raises why it did."""
        sending = asyncio.create_task(self._send(path, unsent))
        receiving = asyncio.create_task(self._receive(path))
        try:
            done, _ = await asyncio.wait(
                {sending, receiving}, return_when=asyncio.FIRST_COMPLETED
            )
            for task in done:
                task.result()
        finally:
            for task in (sending, receiving):
                task.cancel()
            await asyncio.gather(sending, receiving, return_exceptions=True)
            with contextlib.suppress(IncameraError):
                await path.close()

    async def _send(self, path: Path, unsent: list[fx.Post]) -> None:
        while True:
            if not unsent:
                unsent.append(await self._posts.get())
            try:
                await path.send(unsent[0].to, unsent[0].message)
            except PeerError as error:
                # Refused for good: its receiver is gone, or we are not let to.
                _log.info("post refused: %s", error.code.value)
            except LedgerError as error:
                if error.code is not Code.QUEUE_FULL:
                    raise
            unsent.clear()

    async def _receive(self, path: Path) -> None:
        async for message in path:
            self._heard(message.message)

# SPDX-License-Identifier: Apache-2.0
"""The courier carries over any path; here over one that lives in memory."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress

import pytest

from incamera.errors import Code, IncameraError, LedgerError, PeerError
from incamera.node.courier import MAX_OUTBOX, RETRY_S, Courier, Pauses
from incamera.node.path import Message, Path
from incamera.protocol import effects as fx
from incamera.protocol.ids import Kid

ADA = Kid(b"a" * 16)
BROKEN = LedgerError(Code.UNREACHABLE, "broken")


class MemoryPath:
    """A data channel to one neighbour, as far as a courier can tell."""

    def __init__(self, **refuse: IncameraError) -> None:
        self.refuse = refuse
        self.sent: list[tuple[Kid | None, bytes]] = []
        self.inbox: asyncio.Queue[bytes | IncameraError] = asyncio.Queue()
        self.closed = False

    async def send(self, to: Kid | None, message: bytes) -> tuple[Kid, ...]:
        error = self.refuse.get(message.decode())
        if error is not None:
            raise error
        self.sent.append((to, message))
        return ()

    async def __aiter__(self) -> AsyncIterator[Message]:
        while isinstance(item := await self.inbox.get(), bytes):
            yield Message(ADA, item)
        raise item

    async def close(self) -> None:
        self.closed = True


class Bench:
    """A courier, the paths that it is given in turn, and what it reports."""

    def __init__(self, *paths: MemoryPath | IncameraError) -> None:
        self.paths = list(paths)
        self.heard: list[bytes] = []
        self.answers: list[LedgerError | None] = []
        self.courier = Courier(
            self._open, heard=self.heard.append, answers=self.answers.append
        )

    async def _open(self) -> Path:
        path = self.paths.pop(0)
        if isinstance(path, IncameraError):
            raise path
        return path

    @asynccontextmanager
    async def running(self) -> AsyncIterator[asyncio.Task[None]]:
        task = asyncio.create_task(self.courier.run())
        yield task
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task


async def until(fact: Callable[[], bool]) -> None:
    async with asyncio.timeout(5):
        while not fact():
            await asyncio.sleep(0.01)


@pytest.mark.parametrize("to", [None, ADA])
async def test_it_carries_both_ways(to: Kid | None) -> None:
    path = MemoryPath()
    bench = Bench(path)
    bench.courier.post(fx.Post(to, b"one"))
    path.inbox.put_nowait(b"two")
    async with bench.running():
        await until(lambda: path.sent != [] and bench.heard != [])
    assert (path.sent, bench.heard) == ([(to, b"one")], [b"two"])
    assert path.closed
    assert bench.answers == [None]


async def test_what_did_not_get_through_goes_by_the_next_path() -> None:
    first, second = MemoryPath(one=BROKEN), MemoryPath()
    bench = Bench(first, BROKEN, second)
    bench.courier.post(fx.Post(None, b"one"))
    bench.courier.post(fx.Post(None, b"two"))
    async with bench.running():
        await until(lambda: len(second.sent) == 2)
    assert [message for _, message in second.sent] == [b"one", b"two"]
    assert first.closed
    assert bench.answers == [None, BROKEN, BROKEN, None]


async def test_what_is_refused_does_not_hold_up_the_rest() -> None:
    path = MemoryPath(
        gone=PeerError(Code.NOT_ALLOWED, "gone"), full=LedgerError(Code.QUEUE_FULL, "")
    )
    bench = Bench(path)
    for message in (b"gone", b"full", b"last"):
        bench.courier.post(fx.Post(None, message))
    async with bench.running():
        await until(lambda: path.sent != [])
    assert path.sent == [(None, b"last")]


async def test_it_returns_when_the_meeting_has_ended() -> None:
    path = MemoryPath()
    path.inbox.put_nowait(PeerError(Code.ENDED, "over"))
    bench = Bench(PeerError(Code.NOT_ALLOWED, "not yet"), path)
    await asyncio.wait_for(bench.courier.run(), 5)
    assert (bench.answers, path.closed) == ([None], True)


async def test_posts_do_not_pile_up_for_ever() -> None:
    path = MemoryPath()
    bench = Bench(path)
    for _ in range(MAX_OUTBOX + 1):
        bench.courier.post(fx.Post(None, b"x"))
    async with bench.running():
        await until(lambda: len(path.sent) == MAX_OUTBOX)
        await asyncio.sleep(0.01)
    assert len(path.sent) == MAX_OUTBOX


def test_pauses_grow_and_go_on() -> None:
    pauses = Pauses()
    found = [next(iter(pauses)) for _ in range(len(RETRY_S) + 2)]
    assert found == [*RETRY_S, RETRY_S[-1], RETRY_S[-1]]

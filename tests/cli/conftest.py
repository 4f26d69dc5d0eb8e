# SPDX-License-Identifier: Apache-2.0
"""Runs commands as a shell would, against a real control socket."""

import asyncio
import io
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from incamera.cli.main import run
from incamera.cli.terminal import Terminal
from incamera.node.control import ControlServer


class Shell:
    """Runs `incamera` words for one home."""

    def __init__(self, home: Path, programs: Any) -> None:
        self.home, self.programs = home, programs
        self.out = self.err = ""

    def run(self, *words: str, stdin: str = "") -> int:
        out, err = io.StringIO(), io.StringIO()
        terminal = Terminal(io.StringIO(stdin), out, err)
        command = ["--home", str(self.home), *words]
        status = run(command, terminal, lambda: self.programs)
        self.out, self.err = out.getvalue(), err.getvalue()
        return status


@pytest.fixture
def shell(short_home: Path, programs: object) -> Shell:
    return Shell(short_home, programs)


@pytest.fixture
def daemon(short_home: Path, new_service: Callable[[], Any]) -> Iterator[Any]:
    """A daemon in memory that answers on the home's socket, from its own thread."""
    loop = asyncio.new_event_loop()
    ready, made = threading.Event(), []

    async def serve() -> None:
        service = new_service()
        service.loop = loop
        made.append(service)
        async with ControlServer(short_home, service):
            ready.set()
            await service.stopped.wait()

    thread = threading.Thread(target=lambda: loop.run_until_complete(serve()))
    thread.start()
    assert ready.wait(5)
    yield made[0]
    loop.call_soon_threadsafe(made[0].stopped.set)
    thread.join()
    loop.close()

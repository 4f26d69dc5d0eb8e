# SPDX-License-Identifier: Apache-2.0
"""The gateway that a daemon starts for its owner's meetings: always another process.

It holds no key of any member.  It ends when this process does, because its standard
input closes then, also after kill -9.
"""

import asyncio
import contextlib
import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Final, NamedTuple, Self

from incamera.errors import Code, LedgerError
from incamera.protocol.ids import LedgerId, VerifyKey

READY_S: Final = 20.0
"""Seconds for a gateway to open its ledger and listen, on a slow disk."""
STOP_S: Final = 5.0


class Reachable(NamedTuple):
    """Where a gateway is, and which ledger it fronts."""

    address: str
    pin: bytes | None
    ledger_id: LedgerId


class OwnGateway:
    """A running child process."""

    def __init__(self, process: asyncio.subprocess.Process, place: Reachable) -> None:
        """Use `start`."""
        self._process = process
        self.place = place

    @classmethod
    async def start(
        cls, home: Path, *, owners: Sequence[VerifyKey], host: str, port: int
    ) -> Self:
        """Start a gateway and wait until it listens; LedgerError(UNREACHABLE)."""
        arguments = ["--home", str(home), "--host", host, "--port", str(port)]
        for owner in owners:
            arguments += ["--owner", owner.hex()]
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-m",
            "incamera.node.gateway",
            *arguments,
            "--parent",
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
        )
        try:
            return cls(process, await _ready(process))
        except BaseException:
            await _end(process)
            raise

    @property
    def pid(self) -> int:
        """The process id."""
        return self._process.pid

    async def stop(self) -> None:
        """End the process."""
        await _end(self._process)


async def _ready(process: asyncio.subprocess.Process) -> Reachable:
    assert process.stdout is not None
    try:
        async with asyncio.timeout(READY_S):
            line = await process.stdout.readline()
        said = json.loads(line)
        ledger_id = LedgerId(bytes.fromhex(said["ledger_id"]))
        return Reachable(said["address"], bytes.fromhex(said["pin"]), ledger_id)
    except (TimeoutError, ValueError, KeyError) as error:
        message = "our own gateway did not start"
        raise LedgerError(Code.UNREACHABLE, message) from error


async def _end(process: asyncio.subprocess.Process) -> None:
    with contextlib.suppress(ProcessLookupError):
        process.terminate()
    try:
        async with asyncio.timeout(STOP_S):
            await process.wait()
    except TimeoutError:
        process.kill()
        await process.wait()

# SPDX-License-Identifier: Apache-2.0
"""The gateway that a daemon starts for its owner's meetings: always another process.

It holds no key of any member.  It ends when this process does, because its standard
input closes then, also after kill -9.  If it dies first it is started again, at the
same place: links name its address.
"""

import asyncio
import contextlib
import json
import logging
import sys
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final, NamedTuple, Self

from incamera.errors import Code, LedgerError
from incamera.node.files import replace as replace_file
from incamera.protocol.ids import LedgerId, VerifyKey

READY_S: Final = 20.0
"""Seconds for a gateway to open its ledger and listen, on a slow disk."""
STOP_S: Final = 5.0
RESTART_S: Final = 0.5
"""Before a gateway that died is started again."""
PORT_FILE: Final = "port"

_log = logging.getLogger(__name__)


class Reachable(NamedTuple):
    """Where a gateway is, and which ledger it fronts."""

    address: str
    pin: bytes | None
    ledger_id: LedgerId


@dataclass(frozen=True, slots=True, kw_only=True)
class GatewayPlan:
    """How to start it; `port` 0 takes the one it had before, or a free one."""

    home: Path
    owners: Sequence[VerifyKey]
    host: str
    port: int


class OwnGateway:
    """A child process that is kept running."""

    def __init__(
        self,
        plan: GatewayPlan,
        process: asyncio.subprocess.Process,
        place: Reachable,
    ) -> None:
        """Use `start`."""
        self.place = place
        self._plan = plan
        self._process = process
        self._keeping = asyncio.create_task(self._keep())

    @classmethod
    async def start(cls, plan: GatewayPlan) -> Self:
        """Start a gateway and wait until it listens; LedgerError(UNREACHABLE)."""
        if plan.port == 0:
            with contextlib.suppress(LedgerError):
                known = replace(plan, port=_known_port(plan.home))
                return cls(known, *await _start(known))
        process, place = await _start(plan)
        port = int(place.address.rpartition(":")[2])
        replace_file(plan.home / PORT_FILE, str(port).encode())
        return cls(replace(plan, port=port), process, place)

    @property
    def pid(self) -> int:
        """The process id."""
        return self._process.pid

    async def stop(self) -> None:
        """End the process."""
        self._keeping.cancel()
        await asyncio.gather(self._keeping, return_exceptions=True)
        await _end(self._process)

    async def _keep(self) -> None:
        while True:
            status = await self._process.wait()
            _log.warning("our gateway ended with %d; it is started again", status)
            await asyncio.sleep(RESTART_S)
            with contextlib.suppress(LedgerError):
                self._process, self.place = await _start(self._plan)


def _known_port(home: Path) -> int:
    try:
        return int((home / PORT_FILE).read_text())
    except (OSError, ValueError):
        raise LedgerError(Code.UNREACHABLE, "our gateway never ran") from None


async def _start(plan: GatewayPlan) -> tuple[asyncio.subprocess.Process, Reachable]:
    arguments = ["--home", str(plan.home), "--host", plan.host]
    arguments += ["--port", str(plan.port)]
    for owner in plan.owners:
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
        return process, await _ready(process)
    except BaseException:
        await _end(process)
        raise


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

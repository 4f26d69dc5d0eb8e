# SPDX-License-Identifier: Apache-2.0
"""How the process starts and stops, and to whom a client speaks."""

import asyncio
import signal
import socket
import stat
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from incamera.errors import Code
from incamera.node.gateway import process
from incamera.node.gateway.config import GatewayConfig
from incamera.node.gateway_client import GatewayClient
from incamera.node.permits import Invitation, invite
from incamera.node.ports import SystemClock

Refused = Callable[[Code], Any]


def test_keys_are_made_once_and_private(gateway_tools: Any, tmp_path: Path) -> None:
    home = tmp_path / "home"
    seen = []
    for _ in range(2):
        with gateway_tools.started(home, gateway_tools.arguments(home)) as running:
            seen.append((running.pin, running.ledger_id))
    assert seen[0] == seen[1]
    for name in ("tls.key", "checkpoint.key"):
        assert stat.S_IMODE((home / name).stat().st_mode) == 0o600
    assert stat.S_IMODE(home.stat().st_mode) == 0o700


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_signals_stop_it_cleanly(
    gateway_tools: Any, tmp_path: Path, number: signal.Signals
) -> None:
    home = tmp_path / "home"
    with gateway_tools.started(home, gateway_tools.arguments(home)) as running:
        running.process.send_signal(number)
        assert running.process.wait(5) == 0


@pytest.mark.parametrize("more", [["--parent"], []])
def test_it_ends_with_its_parent_only_if_told(
    gateway_tools: Any, tmp_path: Path, more: list[str]
) -> None:
    home = tmp_path / "home"
    with gateway_tools.started(home, gateway_tools.arguments(home, *more)) as running:
        running.process.stdin.close()
        if more:
            assert running.process.wait(5) == 0
        else:
            with pytest.raises(Exception, match="timed out"):
                running.process.wait(1)


async def test_an_answer_does_not_wait_for_an_acknowledgement(tmp_path: Path) -> None:
    delays = asyncio.get_running_loop().create_future()

    def accepted(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        connection = writer.get_extra_info("socket")
        option = connection.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)
        delays.set_result(option == 0)
        writer.close()

    config = GatewayConfig(home=tmp_path, owners=frozenset())
    with process._listen(config) as listener:
        async with await asyncio.start_server(accepted, sock=listener):
            _, client = await asyncio.open_connection(*listener.getsockname())
            assert not await delays
            client.close()


async def test_another_key_gets_no_request(stage: Any, refused: Refused) -> None:
    wrong = GatewayClient(stage.running.address, bytes(32), clock=SystemClock())
    for ask in (wrong.get("/v0/descriptor"), wrong.connect("/", max_size=1)):
        with refused(Code.TLS_PIN):
            await ask
    await wrong.close()


async def test_without_a_pin_the_authorities_decide(
    stage: Any, refused: Refused
) -> None:
    unpinned = GatewayClient(stage.running.address, None, clock=SystemClock())
    with refused(Code.UNREACHABLE):
        await unpinned.get("/v0/descriptor")
    await unpinned.close()


async def test_nobody_there(refused: Refused) -> None:
    with refused(Code.UNREACHABLE):
        await GatewayClient("127.0.0.1:1", bytes(32), clock=SystemClock()).get("/")


async def publish_as(stage: Any, author: str, guest: Invitation | None) -> None:
    """Publish a meeting with the permit of somebody."""
    stage.client._opener = (stage.signer(author), stage.running.ledger_id, guest)
    await stage.meeting()


async def test_who_opens_meetings(stage: Any, refused: Refused) -> None:
    now, ledger_id = stage.clock.now_ms(), stage.running.ledger_id
    owner, guest = stage.signer("owner"), stage.signer("guest").public
    good = invite(owner, guest, ledger_id=ledger_id, until_ms=now + 60_000)
    old = invite(owner, guest, ledger_id=ledger_id, until_ms=now - 1)
    forged = invite(
        stage.signer("m"), guest, ledger_id=ledger_id, until_ms=now + 60_000
    )
    await publish_as(stage, "owner", None)
    await publish_as(stage, "guest", good)
    for author, paper in (("m", None), ("m", good), ("guest", old), ("guest", forged)):
        with refused(Code.NOT_ALLOWED):
            await publish_as(stage, author, paper)
    stage.client._opener = None
    with refused(Code.NOT_ALLOWED):
        await stage.meeting()

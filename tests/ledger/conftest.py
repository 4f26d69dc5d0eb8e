# SPDX-License-Identifier: Apache-2.0
"""Engines, a clock that obeys, and meetings on the ledger under test."""

import asyncio
import importlib
import socket
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from hashlib import sha256
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from incamera.errors import Code, IncameraError
from incamera.ledger.base import Ledger
from incamera.ledger.engine import Setup
from incamera.ledger.memory import memory_ledger
from incamera.ledger.remembered import Memory
from incamera.ledger.remote import RemoteLedger
from incamera.ledger.sqlite import sqlite_ledger
from incamera.node.gateway.config import GatewayConfig
from incamera.node.gateway.limits import Limits, Rate
from incamera.node.gateway.process import make_server
from incamera.node.gateway.service import Service
from incamera.node.gateway.tls import open_tls
from incamera.node.gateway_client import GatewayClient
from incamera.protocol.descriptor import Descriptor, embedded_descriptor
from incamera.protocol.entry import Entry, parse_entry
from incamera.protocol.ids import Head, LedgerId, TopicId
from incamera.protocol.proof import EMPTY_HEAD, Proof, Record, fold_head, verify_proof
from incamera.protocol.secret import Secret
from incamera.protocol.signer import Ed25519Signer
from incamera.protocol.topic import RULES, Context, TopicState, apply

HOME = Path(__file__).parents[2]


class SetClock:
    """Stands still until it is set."""

    def __init__(self, now_ms: int) -> None:
        self.ms = now_ms

    def now_ms(self) -> int:
        return self.ms


def load_meetings() -> ModuleType:
    if str(HOME) not in sys.path:
        sys.path.insert(0, str(HOME))
    return importlib.import_module("spec.generators._scene")


MEETINGS = load_meetings()


class Meeting(MEETINGS.Scene):  # type: ignore[misc,name-defined]  # loaded by path
    """A scene on one ledger; `name` tells it from the others there."""

    def __init__(self, ledger: LedgerId, name: str = "one") -> None:
        super().__init__()
        self.ledger, self.name = ledger, name

    def context(self) -> Context:
        return Context(self.ledger, RULES, len(self.history), self.time_ms)

    def publish(self, who: str = "ann", **changes: Any) -> Entry:
        nonce = sha256(self.name.encode()).digest()
        here = {"header": {"place": self.ledger}, "nonce": nonce}
        entry: Entry = super().publish(who, **{**here, **changes})
        return entry

    @property
    def topic(self) -> TopicId:
        return TopicId(self.history[0][1].id)

    @property
    def entries(self) -> list[bytes]:
        return [entry.data for _, entry in self.history]

    def busy(self, policies: int) -> "Meeting":
        """Publish, seat Bob and Cleo, then change the policy some times."""
        self.open().seat("bob", "cleo")
        for _ in range(policies):
            self.land(self.policy())
        return self


Open = Callable[[Setup, Path], Awaitable[Ledger]]


async def open_memory(setup: Setup, folder: Path) -> Ledger:
    return memory_ledger(setup)


async def open_sqlite(setup: Setup, folder: Path) -> Ledger:
    return sqlite_ledger(folder / "ledger.db", setup)


class GatewayLedger(RemoteLedger):
    """A remote ledger that takes its gateway down with it."""

    stop: Callable[[], Awaitable[None]]

    async def close(self) -> None:
        await super().close()
        await self.stop()


async def open_remote(setup: Setup, folder: Path) -> Ledger:
    """Serve a ledger in memory by a gateway, over TLS on a real socket."""
    anybody = Limits(stranger_meetings=Rate(1000, 1000))
    config = GatewayConfig(home=folder, limits=anybody)
    tls, engine = open_tls(folder), memory_ledger(setup)
    service = Service(config, engine, tls.pin)
    server, up = make_server(service, tls), asyncio.Event()
    server.ready = up.set
    listener = socket.create_server(("127.0.0.1", 0))
    serving = asyncio.create_task(server.serve(sockets=[listener]))
    await up.wait()
    address = f"127.0.0.1:{listener.getsockname()[1]}"
    client = GatewayClient(address, tls.pin, clock=setup.clock)
    ledger = await GatewayLedger.connect(
        client, engine.ledger_id, memory=Memory(), clock=setup.clock
    )

    async def stop() -> None:
        server.should_exit = True
        await client.close()
        await service.close()
        await serving

    assert isinstance(ledger, GatewayLedger)
    ledger.stop = stop
    return ledger


# Every engine named here passes the whole contract suite.
ENGINES: dict[str, Open] = {
    "memory": open_memory,
    "remote": open_remote,
    "sqlite": open_sqlite,
}


@pytest.fixture
def clock() -> SetClock:
    return SetClock(MEETINGS.START_MS)


@pytest.fixture
def key() -> Ed25519Signer:
    return Ed25519Signer(Secret(bytearray(b"k" * 32)))


@pytest.fixture
def descriptor(key: Ed25519Signer) -> Descriptor:
    return embedded_descriptor(key.public)


@pytest.fixture
def setup(key: Ed25519Signer, clock: SetClock, descriptor: Descriptor) -> Setup:
    return Setup(key, clock, descriptor)


@pytest.fixture(params=sorted(ENGINES))
async def ledger(
    request: pytest.FixtureRequest, setup: Setup, tmp_path: Path
) -> AsyncIterator[Ledger]:
    opened = await ENGINES[request.param](setup, tmp_path)
    yield opened
    await opened.close()


@pytest.fixture
def refused() -> Callable[[Code], Any]:
    """`with refused(Code.X):` passes only if that very code is raised."""

    def expect(code: Code) -> Any:
        return pytest.raises(IncameraError, check=lambda error: error.code is code)

    return expect


@pytest.fixture(scope="session")
def meeting_on() -> Callable[..., Meeting]:
    """Make a meeting on a ledger: `meeting_on(ledger_id, name)`."""
    return Meeting


@pytest.fixture(scope="session")
def meetings() -> ModuleType:
    """The generator of meetings, for its fixed people."""
    return MEETINGS


@pytest.fixture(scope="session")
def as_peer() -> Callable[..., TopicState | None]:
    """Judge a topic as any peer would: proof, chain, rules."""

    def judge(
        records: Sequence[Record], proof: Proof, descriptor: Descriptor
    ) -> TopicState | None:
        proven = verify_proof(proof, descriptor)
        head, state = EMPTY_HEAD, None
        for index, record in enumerate(records):
            head = fold_head(head, record.entry, record.time_ms)
            context = Context(proven.ledger, RULES, index, record.time_ms)
            state = apply(state, parse_entry(record.entry), context)
        if (head, len(records)) != (proven.head or Head(bytes(32)), proven.count):
            raise IncameraError(Code.BAD_PROOF, "not the proven entries")
        return state

    return judge

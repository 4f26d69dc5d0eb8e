# SPDX-License-Identifier: Apache-2.0
"""A real gateway process, people with meeting keys, and a scanner for secrets."""

import base64
import importlib.util
import json
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from incamera.errors import Code, IncameraError
from incamera.ledger.remembered import Memory
from incamera.ledger.remote import RemoteLedger
from incamera.node.gateway_client import GatewayClient
from incamera.node.ports import SystemClock
from incamera.node.relay_connection import RelayConnection, open_relay
from incamera.protocol.context import RULES, Context
from incamera.protocol.entry import Entry
from incamera.protocol.ids import Kid, LedgerId, MeetingId
from incamera.protocol.signing import kid_of

GENERATORS = Path(__file__).parents[3] / "spec" / "generators"
PROXY = Path(__file__).parent / "lying_proxy.py"
HOUR_MS = 3_600_000


def load_meetings() -> Any:
    """Load the scene of the meeting vectors: its fixed people serve here too."""
    path = GENERATORS / "_scene.py"
    spec = importlib.util.spec_from_file_location("meeting_scene", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


MEETINGS = load_meetings()
Scene: Any = MEETINGS.Scene


@dataclass(frozen=True)
class Running:
    """A child process that serves at an address under a pin."""

    process: subprocess.Popen[bytes]
    address: str
    pin: bytes
    ledger_id: LedgerId
    home: Path


@contextmanager
def started(home: Path, arguments: list[str]) -> Iterator[Running]:
    """Run a program that says in one line of JSON where it serves; end it after."""
    process = subprocess.Popen(
        [sys.executable, "-W", "error", *arguments],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    try:
        assert process.stdout is not None
        ready = json.loads(process.stdout.readline())
        ledger_id = LedgerId(bytes.fromhex(ready["ledger_id"]))
        pin = bytes.fromhex(ready["pin"])
        yield Running(process, ready["address"], pin, ledger_id, home)
    finally:
        process.terminate()
        process.wait(10)
        for pipe in (process.stdin, process.stdout):
            assert pipe is not None
            pipe.close()


def gateway_arguments(home: Path, *more: str) -> list[str]:
    owner = MEETINGS.signer_of("owner").public.hex()
    program = ["-m", "incamera.node.gateway", "--home", str(home)]
    return [*program, "--owner", owner, *more]


class LiveScene(Scene):  # type: ignore[misc]  # loaded by path
    """A meeting of Ann's that is held on a real ledger, now."""

    def __init__(self, ledger: RemoteLedger, title: str) -> None:
        super().__init__()
        self.ledger, self.title = ledger, title

    @property
    def meeting(self) -> MeetingId:
        return MeetingId(self.now.meeting_id)

    def context(self) -> Context:
        return Context(self.ledger.ledger_id, RULES, len(self.history), self.time_ms)

    def publish(self, who: str = "ann", **changes: Any) -> Entry:
        now = time.time_ns() // 1_000_000
        fields = {
            "header": {"place": self.ledger.ledger_id},
            "nonce": MEETINGS.digest(self.title + str(now)),
            "opens_ms": now - HOUR_MS,
            "ends_ms": now + HOUR_MS,
        }
        entry: Entry = super().publish(who, **fields, **changes)
        return entry

    async def post(self, *entries: Entry) -> None:
        """Append entries to the ledger and take over what it ordered."""
        for entry in entries:
            receipt = await self.ledger.append(entry.data)
            self.time_ms = receipt.time_ms
            self.land(entry)

    async def invite(self, *names: str) -> None:
        """Let people ask, and admit them in one epoch."""
        first = self.now.next_ordinal
        for name in names:
            await self.post(self.request(name))
        await self.post(self.epoch(admit=range(first, self.now.next_ordinal)))


def kid(who: str) -> Kid:
    """Return the key id of one of the fixed people."""
    return kid_of(MEETINGS.signer_of(who).public)


@dataclass
class Stage:
    """One gateway with a client and its ledger; hands out meetings and relays."""

    kid = staticmethod(kid)
    signer = staticmethod(MEETINGS.signer_of)
    clock = SystemClock()

    @staticmethod
    def seed(who: str) -> bytes:
        """Return the private seed of one of the fixed people."""
        seed: bytes = MEETINGS.digest(f"key of {who}")
        return seed

    running: Running
    client: GatewayClient
    ledger: RemoteLedger
    relays: list[RelayConnection]

    async def meeting(self, *names: str, title: str = "tea") -> LiveScene:
        """Publish a meeting of Ann's with these people inside."""
        scene = LiveScene(self.ledger, title)
        await scene.post(scene.publish())
        if names:
            await scene.invite(*names)
        return scene

    async def relay(
        self, scene: LiveScene, who: str, *, gate: str | None = None
    ) -> RelayConnection:
        """Connect somebody to a meeting's relay."""
        connection = await open_relay(
            self.client,
            meeting=scene.meeting,
            signer=MEETINGS.signer_of(who),
            gate=None if gate is None else MEETINGS.signer_of(gate),
        )
        self.relays.append(connection)
        return connection


def client_of(running: Running, ledger_id: LedgerId | None = None) -> GatewayClient:
    """Return a client of the gateway's owner."""
    ledger_id = ledger_id or running.ledger_id
    opener = (MEETINGS.signer_of("owner"), ledger_id, None)
    return GatewayClient(
        running.address, running.pin, clock=SystemClock(), opener=opener
    )


async def remote_of(
    client: GatewayClient, ledger_id: LedgerId, memory: Memory | None = None
) -> RemoteLedger:
    """Return the verified ledger behind a client."""
    return await RemoteLedger.connect(
        client, ledger_id, memory=memory or Memory(), clock=SystemClock()
    )


@pytest.fixture(scope="session")
def gateway(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    """One gateway process that many tests share, each with a meeting of its own."""
    home = tmp_path_factory.mktemp("gateway") / "home"
    with started(home, gateway_arguments(home)) as running:
        yield running


class ShiftedClock(SystemClock):
    """The machine's clock, or one that goes wrong by `shift_ms`."""

    shift_ms = 0

    def now_ms(self) -> int:
        return super().now_ms() + self.shift_ms


@pytest.fixture(scope="session")
def gateway_tools() -> SimpleNamespace:
    """What other test files need to run processes and meetings of their own."""
    return SimpleNamespace(
        started=started,
        arguments=gateway_arguments,
        proxy=PROXY,
        clock=ShiftedClock,
        client=client_of,
        scene=LiveScene,
        signer=MEETINGS.signer_of,
    )


@pytest.fixture
async def stage(gateway: Running) -> AsyncIterator[Stage]:
    """A client of the shared gateway."""
    client = client_of(gateway)
    stage = Stage(gateway, client, await remote_of(client, gateway.ledger_id), [])
    yield stage
    for relay in stage.relays:
        await relay.close()
    await client.close()


@pytest.fixture
def refused() -> Callable[..., Any]:
    """`with refused(Code.X):` passes only if that very code is raised."""

    def expect(code: Code) -> Any:
        return pytest.raises(IncameraError, check=lambda error: error.code is code)

    return expect


def find_secret(secret: bytes, place: bytes) -> bool:
    """Say whether `place` has a secret, raw, in hex or in base64 at any offset."""
    forms = [secret, secret.hex().encode(), secret.hex().upper().encode()]
    for shift in range(3):
        # Base64 of a middle part depends on the offset modulo 3; its ends on others.
        padded = base64.b64encode(bytes(shift) + secret)
        middle = padded[4 if shift else 0 : -4]
        forms += [middle, middle.translate(bytes.maketrans(b"+/", b"-_"))]
    return any(form in place for form in forms)


def memory_of(process: int) -> bytes:
    """Return all writable memory of a process of ours."""
    found = bytearray()
    maps = Path(f"/proc/{process}/maps").read_text().splitlines()
    with Path(f"/proc/{process}/mem").open("rb", buffering=0) as memory:
        for line in maps:
            span, access = line.split()[:2]
            start, end = (int(part, 16) for part in span.split("-"))
            if not access.startswith("rw") or "[vvar]" in line:
                continue
            memory.seek(start)
            try:
                found += memory.read(end - start)
            except OSError:  # guard pages cannot be read
                continue
    return bytes(found)


def files_of(home: Path) -> bytes:
    """Return the content of every file below a folder."""
    return b"".join(f.read_bytes() for f in sorted(home.rglob("*")) if f.is_file())


@pytest.fixture
def scan(gateway: Running) -> Callable[[bytes], tuple[bool, bool]]:
    """Say whether a secret is in the gateway's (memory, files)."""

    def look(secret: bytes) -> tuple[bool, bool]:
        memory = memory_of(gateway.process.pid)
        return find_secret(secret, memory), find_secret(secret, files_of(gateway.home))

    return look

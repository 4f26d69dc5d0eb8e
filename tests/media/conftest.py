# SPDX-License-Identifier: Apache-2.0
"""Members with real keys, sources and connections, all in one process on loopback."""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterable, Sequence
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path

import pytest

from incamera.errors import MediaError
from incamera.media.encoded import EncodedFrame
from incamera.media.mesh import Mesh, MeshPorts, Remote
from incamera.media.peer import FrameSink
from incamera.media.reader import MediaInput
from incamera.media.recorder import Recorder
from incamera.media.source import Source, open_sources
from incamera.media.testcard import Card, write_testcard
from incamera.protocol.frames import (
    StreamId,
    StreamKind,
    StreamReceiver,
    StreamSender,
)
from incamera.protocol.ids import EntryId, MeetingId
from incamera.protocol.schedule import base_key
from incamera.protocol.secret import Secret

MEETING = MeetingId(sha256(b"a meeting").digest())
LOOPBACK = ("127.0.0.1",)
KINDS = (StreamKind.AUDIO, StreamKind.VIDEO)


def meeting_key(name: str) -> Secret:
    return Secret(bytearray(sha256(name.encode()).digest()))


class Keys:
    """What a node keeps for media: senders of one slot, receivers of all others."""

    def __init__(self, slot: int) -> None:
        self.slot = slot
        self.senders = {
            kind: StreamSender(MEETING, self.stream(kind)) for kind in StreamKind
        }
        self.receivers: dict[int, StreamReceiver] = {}

    def stream(self, kind: StreamKind) -> StreamId:
        return StreamId(self.slot, int(kind))

    def sender(self, kind: StreamKind) -> StreamSender:
        return self.senders[kind]

    def receiver(self, slot: int) -> StreamReceiver:
        return self.receivers.setdefault(slot, StreamReceiver(MEETING, slot))

    def send_with(self, name: str, epoch: int) -> None:
        for kind, sender in self.senders.items():
            sender.install(epoch, self._base_key(name, epoch, self.stream(kind)))
            sender.switch(epoch)

    def receive_with(self, name: str, epoch: int, *, slot: int) -> None:
        receiver = self.receiver(slot)
        for kind in StreamKind:
            receiver.announce(int(kind))
            key = self._base_key(name, epoch, StreamId(slot, int(kind)))
            receiver.install(epoch, int(kind), key)

    def _base_key(self, name: str, epoch: int, stream: StreamId) -> Secret:
        return base_key(
            meeting_key(name),
            meeting=MEETING,
            epoch=epoch,
            slot=stream.slot,
            number=stream.number,
        )


@dataclass
class Seen:
    """A sink that keeps the frames; `inner` gets them too."""

    frames: list[EncodedFrame] = field(default_factory=list)
    inner: FrameSink | None = None
    closed: bool = False

    def write(self, frame: EncodedFrame) -> None:
        self.frames.append(frame)
        if self.inner is not None:
            self.inner.write(frame)

    def close(self) -> None:
        self.closed = True
        if self.inner is not None:
            self.inner.close()

    def count(self, kind: StreamKind) -> int:
        return sum(frame.kind == kind for frame in self.frames)


class Member:
    """One member: its keys, its mesh, and what it has received, by slot."""

    def __init__(self, slot: int, sources: Sequence[Source], folder: Path) -> None:
        self.remote = Remote(EntryId(sha256(bytes([slot])).digest()), slot)
        self.keys = Keys(slot)
        self.seen: dict[int, Seen] = {}
        self._folder = folder
        self.ended: dict[StreamKind, MediaError | None] = {}
        ports = MeshPorts(self._open_sink, self.ended.__setitem__, addresses=LOOPBACK)
        self.mesh = Mesh(self.keys, sources, ports)
        self.mesh.start()

    def recording(self, slot: int) -> Path:
        return self._folder / f"{self.remote.slot}-of-{slot}.webm"

    def _open_sink(self, remote: Remote, kinds: frozenset[StreamKind]) -> FrameSink:
        recorder = Recorder(self.recording(remote.slot), kinds)
        self.seen[remote.slot] = Seen(inner=recorder)
        return self.seen[remote.slot]


async def connect(one: Member, two: Member) -> None:
    offer = await one.mesh.offer(two.remote)
    answer = await two.mesh.accept_offer(one.remote, offer)
    await one.mesh.accept_answer(two.remote.member, answer)
    async with asyncio.timeout(10):
        await one.mesh.link(two.remote.member).wait_connected()
        await two.mesh.link(one.remote.member).wait_connected()


async def until(condition: Callable[[], bool], seconds: float = 8.0) -> None:
    """Wait until the condition holds; fail the test if it does not in time."""
    async with asyncio.timeout(seconds):
        while not condition():
            await asyncio.sleep(0.01)


def share(name: str, epoch: int, members: Iterable[Member]) -> None:
    """Give every member the key of an epoch, for sending and for receiving."""
    everyone = list(members)
    for member in everyone:
        member.keys.send_with(name, epoch)
        for other in everyone:
            if other is not member:
                member.keys.receive_with(name, epoch, slot=other.remote.slot)
        member.mesh.keys_changed()


@dataclass
class Room:
    """Makes members whose slots are also their test cards' senders."""

    cards: Path
    folder: Path
    members: list[Member] = field(default_factory=list)

    connect = staticmethod(connect)
    until = staticmethod(until)
    share = staticmethod(share)

    def member(
        self, slot: int, *, silent: bool = False, screen: bool = False
    ) -> Member:
        card = MediaInput(str(self.cards / f"{slot}.webm"), loop=True)
        sources = () if silent else open_sources(card)
        if screen:
            other = MediaInput(str(self.cards / "3.webm"), loop=True)
            sources += open_sources(other, screen=True, kinds=[StreamKind.SCREEN])
        return self.member_with(slot, sources)

    def member_with(self, slot: int, sources: Sequence[Source]) -> Member:
        self.members.append(Member(slot, sources, self.folder))
        return self.members[-1]

    async def close(self) -> None:
        await asyncio.gather(*(member.mesh.close() for member in self.members))


@pytest.fixture(scope="session")
def cards(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("cards")
    for sender in (1, 2, 3):
        write_testcard(folder / f"{sender}.webm", Card(sender, seconds=12))
    return folder


@pytest.fixture
async def room(cards: Path, tmp_path: Path) -> AsyncIterator[Room]:
    room = Room(cards, tmp_path)
    yield room
    await room.close()


@pytest.fixture(scope="session")
def make_room(cards: Path) -> Callable[[Path], Room]:
    return lambda folder: Room(cards, folder)


@pytest.fixture(scope="session")
def make_keys() -> type[Keys]:
    return Keys

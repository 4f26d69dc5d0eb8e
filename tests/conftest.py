# SPDX-License-Identifier: Apache-2.0
"""A daemon of its own kind: meetings in memory, no ledger, no keys, no network.

It is a second implementation of `Service`, so that the control socket and the commands
are tested against the seam and not against one daemon.
"""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path

import pytest

from incamera.errors import Code, MediaError, PeerError, UsageError
from incamera.node.programs import (
    Announce,
    DaemonSettings,
    GatewaySettings,
    Running,
)
from incamera.node.service import (
    Audit,
    Done,
    Event,
    Identity,
    MeetingLink,
    Meetings,
    MeetingSummary,
    MeetingView,
    MemberView,
    PendingLink,
    Reply,
    RequestView,
    Status,
)

LINK = "incamera:?g=gate.example:1&l=00&m={}#SECRET-OF-THE-LINK.leader"


def hex_of(text: str) -> str:
    return sha256(text.encode()).hexdigest()


def member(slot: int, name: str, *, leader: bool = False) -> MemberView:
    return MemberView(
        slot=slot,
        name=name,
        user=hex_of(name),
        checked=slot < 2,
        leader=leader,
        you=leader,
        leaving=False,
    )


@dataclass
class Room:
    title: str
    status: str = "open"
    doors: str = "open"
    members: list[MemberView] = field(default_factory=list)
    requests: list[RequestView] = field(default_factory=list)
    said: list[str] = field(default_factory=list)


class MemoryService:
    def __init__(self, stopped: asyncio.Event, home: str = "a home") -> None:
        self.stopped, self.home = stopped, home
        self.name: str | None = None
        self.public = False
        self.rooms: dict[str, Room] = {}
        self.queues: list[asyncio.Queue[Event]] = []
        self.media: list[tuple[str | None, str | None]] = []

    async def status(self) -> Status:
        user = None if self.name is None else hex_of(self.name)
        return Status(
            home=self.home,
            version="0",
            user=user,
            gateway=None,
            meetings=len(self.rooms),
        )

    async def stop(self) -> Reply:
        self.stopped.set()
        return {}

    async def identity_create(self, *, name: str, public: bool) -> Identity:
        if self.name is not None:
            raise UsageError(Code.WRONG_STATE, "this home has an identity already")
        self.name, self.public = name, public
        return await self.identity_show()

    async def identity_show(self) -> Identity:
        if self.name is None:
            raise UsageError(Code.NO_IDENTITY, "create one first: incamera identity")
        return Identity(
            user=hex_of(self.name),
            device=hex_of("device")[:32],
            name=self.name,
            public=self.public,
            ledger=hex_of("ledger"),
        )

    async def meeting_new(
        self, *, title: str, public: bool, play: str | None, record: str | None
    ) -> MeetingLink:
        await self.identity_show()
        self._open_media(play, record)
        meeting = hex_of(title)
        assert self.name is not None
        self.rooms[meeting] = Room(title, members=[member(0, self.name, leader=True)])
        return await self.meeting_link(meeting=meeting)

    async def meeting_join(
        self, *, link: str, public: bool, play: str | None, record: str | None
    ) -> Done:
        await self.identity_show()
        self._open_media(play, record)
        meeting = _meeting_of(link)
        if meeting not in self.rooms:
            raise PeerError(Code.UNKNOWN_TOPIC, "the gateway has no such meeting")
        self.knock(meeting, str(self.name))
        return Done(meeting=meeting)

    async def meeting_list(self) -> Meetings:
        return Meetings(
            meetings=[
                MeetingSummary(
                    meeting=meeting,
                    title=room.title,
                    status=room.status,
                    role="leader",
                    members=len(room.members),
                )
                for meeting, room in self.rooms.items()
            ]
        )

    async def meeting_show(self, *, meeting: str) -> MeetingView:
        room = self._room(meeting)
        return MeetingView(
            meeting=meeting,
            title=room.title,
            status=room.status,
            role="leader",
            epoch=len(room.members),
            ledger=hex_of("ledger"),
            strength="host",
            doors="open" if room.doors == "open" else "closed",
            members=room.members,
            requests=room.requests,
        )

    async def meeting_link(self, *, meeting: str) -> MeetingLink:
        self._room(meeting)
        return MeetingLink(meeting=meeting, link=LINK.format(meeting))

    async def meeting_admit(self, *, meeting: str, request: int) -> Done:
        room = self._room(meeting)
        name = self._take_request(room, request)
        slot = len(room.members)
        room.members.append(member(slot, name))
        self.tell(Event(kind="joined", meeting=meeting, text=f"{name} came in"))
        return Done(meeting=meeting)

    async def meeting_deny(self, *, meeting: str, request: int) -> Done:
        self._take_request(self._room(meeting), request)
        return Done(meeting=meeting)

    async def meeting_remove(self, *, meeting: str, slot: int) -> Done:
        room = self._room(meeting)
        if all(m["slot"] != slot for m in room.members):
            raise UsageError(Code.BAD_ARGUMENT, f"there is no member {slot}")
        room.members = [m for m in room.members if m["slot"] != slot]
        return Done(meeting=meeting)

    async def meeting_leave(self, *, meeting: str) -> Done:
        return await self.meeting_end(meeting=meeting)

    async def meeting_end(self, *, meeting: str) -> Done:
        self._room(meeting).status = "ended"
        self.tell(Event(kind="ended", meeting=meeting, text="the meeting ended"))
        return Done(meeting=meeting)

    async def meeting_say(self, *, meeting: str, text: str) -> Done:
        self._room(meeting).said.append(text)
        self.tell(Event(kind="message", meeting=meeting, text=text, slot=0))
        return Done(meeting=meeting)

    async def meeting_doors(self, *, meeting: str, doors: str) -> Done:
        self._room(meeting).doors = doors
        return Done(meeting=meeting)

    async def audit(self, *, meeting: str, export: str | None) -> Audit:
        room = self._room(meeting)
        return audit_of(meeting, room.title)

    async def link_open(self, *, link: str) -> PendingLink:
        return PendingLink(
            meeting=_meeting_of(link),
            ledger=hex_of("ledger"),
            leader="leader",
            gateways=["gate.example:1"],
        )

    def events(self, *, meeting: str | None) -> AsyncGenerator[Event, None]:
        queue: asyncio.Queue[Event] = asyncio.Queue()
        self.queues.append(queue)

        async def drain() -> AsyncGenerator[Event, None]:
            try:
                while True:
                    event = await queue.get()
                    if meeting in {None, event["meeting"]}:
                        yield event
            finally:
                self.queues.remove(queue)

        return drain()

    def tell(self, event: Event) -> None:
        for queue in self.queues:
            queue.put_nowait(event)

    def knock(self, meeting: str, name: str) -> None:
        """Let somebody ask to come in."""
        room = self.rooms[meeting]
        number = len(room.requests) + len(room.members) - 1
        room.requests.append(
            RequestView(request=number, name=name, user=hex_of(name), checked=True)
        )
        text = f"{name} asks to come in"
        self.tell(Event(kind="request", meeting=meeting, text=text, request=number))

    def _room(self, meeting: str) -> Room:
        if meeting not in self.rooms:
            raise UsageError(Code.NO_MEETING, "no such meeting")
        return self.rooms[meeting]

    def _take_request(self, room: Room, number: int) -> str:
        for request in room.requests:
            if request["request"] == number:
                room.requests.remove(request)
                return str(request["name"])
        raise UsageError(Code.BAD_ARGUMENT, f"there is no request {number}")

    def _open_media(self, play: str | None, record: str | None) -> None:
        if play is not None and not Path(play).is_file():
            raise MediaError(Code.MEDIA_FILE, f"cannot read {Path(play).name}")
        self.media.append((play, record))


def audit_of(meeting: str, title: str) -> Audit:
    return Audit(
        meeting=meeting,
        title=title,
        ledger=hex_of("ledger"),
        strength="host",
        entries=[
            {"index": 0, "time_ms": 0, "type": "publish", "text": "Ada published it"},
            {"index": 1, "time_ms": 61_001, "type": "epoch", "text": "epoch 1"},
        ],
        warnings=["no witness has signed this ledger"],
    )


def _meeting_of(link: str) -> str:
    if not link.startswith("incamera:?") or "#" not in link:
        raise UsageError(Code.BAD_LINK, "not a link of ours")
    return link.partition("m=")[2].partition("#")[0]


class MemoryPrograms:
    """Programs over the service in memory; remembers what it was asked to run."""

    def __init__(self) -> None:
        self.services: list[MemoryService] = []
        self.settings: list[DaemonSettings | GatewaySettings] = []

    @asynccontextmanager
    async def daemon(self, settings: DaemonSettings) -> AsyncIterator[Running]:
        self.settings.append(settings)
        stopped = asyncio.Event()
        service = MemoryService(stopped, str(settings.home))
        self.services.append(service)
        settings.home.mkdir(mode=0o700, exist_ok=True)
        yield Running(service, stopped)

    async def gateway(self, settings: GatewaySettings, announce: Announce) -> None:
        self.settings.append(settings)
        announce({"address": f"{settings.host}:1", "pin": "00", "ledger_id": "11"})

    async def audit_file(self, path: Path) -> Audit:
        return audit_of(hex_of("Tea"), path.read_text())


@pytest.fixture
def new_service() -> Callable[[], MemoryService]:
    """Return what makes a service inside a running event loop."""
    return lambda: MemoryService(asyncio.Event())


@pytest.fixture
def programs() -> MemoryPrograms:
    return MemoryPrograms()


@pytest.fixture
def short_home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A home whose path is short enough for a Unix socket."""
    return tmp_path_factory.mktemp("h")


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Keep the tests of an `xdist_group` on one worker.

    pytest 9.2 keeps ids as objects and no longer reads the text that xdist 3.8 sets.
    """
    for item in items:
        grouped = getattr(item, "_nodeid", item.nodeid)
        if grouped != item.nodeid:
            item._id = type(item._id).parse(grouped)

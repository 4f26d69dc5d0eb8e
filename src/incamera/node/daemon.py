# SPDX-License-Identifier: Apache-2.0
"""The user's daemon: one home, its identity and its meetings (spec/local-api.md).

It holds the device's keys, starts a keyless gateway process, runs a session per meeting
and resumes them all after a restart.
"""

import asyncio
import contextlib
import logging
from collections.abc import AsyncGenerator, Callable, Coroutine
from pathlib import Path
from typing import Any, Final

import incamera
from incamera.errors import Code, IncameraError, LedgerError, UsageError
from incamera.ledger.remote import RemoteLedger
from incamera.node.doorway import look
from incamera.node.gateway_client import GatewayClient, Opener
from incamera.node.hosted import Hosted
from incamera.node.own_gateway import OwnGateway, Reachable
from incamera.node.places import Note, Places
from incamera.node.ports import HpkeSealer, SystemClock, SystemEntropy
from incamera.node.programs import DaemonSettings
from incamera.node.service import (
    Audit,
    Done,
    Event,
    Identity,
    MeetingLink,
    Meetings,
    MeetingView,
    PendingLink,
    Reply,
    Status,
)
from incamera.node.session import Desk, Session
from incamera.node.store import Store, meeting_item
from incamera.node.who import Who
from incamera.protocol import effects as fx
from incamera.protocol.account import UserPlan, new_user
from incamera.protocol.arrival import MeetingPlan
from incamera.protocol.fields import Gateway
from incamera.protocol.ids import MeetingId, TopicId, UserId
from incamera.protocol.link import (
    Link,
    LinkGateway,
    LinkRecord,
    format_link,
    parse_link,
)
from incamera.protocol.member import Member
from incamera.protocol.policy import (
    Doors,
    Follow,
    Identities,
    Limits,
    Policy,
    Succession,
)
from incamera.protocol.proof import Record
from incamera.protocol.room import Phase
from incamera.protocol.seat import Tools
from incamera.protocol.secret import Secret, wipe
from incamera.protocol.signer import Ed25519Signer

LONGEST_MEETING_MS: Final = 24 * 3_600_000
"""A meeting ends by itself after a day: nobody leads it for longer."""
WAIT_S: Final = 20.0
"""How long a command waits for the ledger; the work goes on after it."""
MAX_EVENTS: Final = 1024
"""Events kept for a subscriber that does not read; older ones are dropped."""
RESUME_PAUSE_S: Final = 3.0
OWNER_ITEM: Final = "owner"
POLICY: Final = Policy(
    doors=Doors.OPEN,
    strict=False,
    verify_first=False,
    identities=Identities.EVERYONE,
    succession=Succession.TIME_ORDER,
    grants=(),
    limits=Limits(
        members=1000,
        unreachable_s=600,
        identity_stale_s=600,
        leaderless_s=600,
        before_host_s=0,
    ),
    minimum_strength=0,
    before_host=False,
    follow=Follow.FINAL,
)

_log = logging.getLogger(__name__)
OnPoint = Callable[[str], None]


class Daemon:
    """Implements `Service` for one home."""

    def __init__(
        self,
        settings: DaemonSettings,
        store: Store,
        stopped: asyncio.Event,
        *,
        on_point: OnPoint = lambda point: None,  # noqa: ARG005
    ) -> None:
        """Use `start` before anything else; `on_point` is for crash tests."""
        entropy = SystemEntropy()
        self._settings = settings
        self._store = store
        self._stopped = stopped
        self._on_point = on_point
        self._clock = SystemClock()
        self._tools = Tools(entropy, HpkeSealer(entropy))
        self._places = Places(store, self._clock)
        self._who: Who | None = None
        self._gateway: OwnGateway | None = None
        self._hosted: dict[MeetingId, Hosted] = {}
        self._queues: list[asyncio.Queue[Event]] = []
        self._tasks: set[asyncio.Task[None]] = set()

    # ------------------------------------------------------------------- life and death

    async def start(self) -> None:
        """Start our gateway and resume every meeting."""
        self._who = Who.load(self._store)
        if self._settings.gateway:
            self._gateway = await OwnGateway.start(
                self._settings.home / "gateway",
                owners=[self._owner().public],
                host=self._settings.host,
                port=self._settings.port,
            )
        for meeting in self._places.noted():
            note = self._places.find(meeting)
            hosted = Hosted(meeting, note, self._tell)
            self._hosted[meeting] = hosted
            if meeting in self._store.meetings():
                self._spawn(self._resume(hosted))

    async def close(self) -> None:
        """Stop everything; meetings go on at the next start."""
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        for hosted in self._hosted.values():
            if hosted.session is not None and hosted.ended is None:
                await hosted.session.close()
        self._places.remember()
        if self._gateway is not None:
            await self._gateway.stop()

    def _owner(self) -> Ed25519Signer:
        """Return the key that lets us open meetings at our own gateway."""
        if OWNER_ITEM not in self._store.names():
            fresh = self._tools.secret()
            self._store.save(OWNER_ITEM, fresh.buffer)
            fresh.wipe()
        seed = Secret(self._store.load(OWNER_ITEM))
        signer = Ed25519Signer(seed)
        seed.wipe()
        return signer

    def _spawn(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._finished)

    def _finished(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and task.exception() is not None:
            _log.error("a task of the daemon broke", exc_info=task.exception())

    # ------------------------------------------------------------------------- identity

    async def status(self) -> Status:
        """Tell how the daemon is."""
        running = [h for h in self._hosted.values() if h.role() != "former"]
        return Status(
            home=str(self._settings.home),
            version=incamera.__version__,
            user=None if self._who is None else self._who.user_id.hex(),
            gateway=None if self._gateway is None else self._gateway.place.address,
            meetings=len(running),
        )

    async def stop(self) -> Reply:
        """End the process soon after the reply."""
        self._stopped.set()
        return {}

    async def identity_create(self, *, name: str, public: bool) -> Identity:
        """Create the owner's user topic on our own gateway's ledger."""
        if self._who is not None:
            raise UsageError(Code.WRONG_STATE, "this home has an identity already")
        place = self._own_place()
        plan = UserPlan(name=name, clear=public, device_name="computer")
        user = new_user(self._tools, plan, ledger_id=place.ledger_id)
        who = Who.of(user, place.ledger_id)
        # Saved first: an identity on the ledger whose key is lost would be nobody's.
        who.save(self._store)
        ledger, client = await self._places.open(place)
        try:
            await ledger.append(who.root)
        finally:
            await _close(ledger, client)
        self._places.remember()
        self._who = who
        return await self.identity_show()

    async def identity_show(self) -> Identity:
        """Show it."""
        who = self._require_who()
        account_device = who.device.public
        return Identity(
            user=who.user_id.hex(),
            device=account_device.hex(),
            name=who.name,
            public=who.public,
            ledger=who.ledger_id.hex(),
        )

    def _require_who(self) -> Who:
        if self._who is None:
            message = "create an identity first: incamera identity create NAME"
            raise UsageError(Code.NO_IDENTITY, message)
        return self._who

    def _own_place(self) -> Reachable:
        if self._gateway is None:
            message = "this daemon runs without a gateway (--no-gateway)"
            raise UsageError(Code.NOT_RUNNING, message)
        return self._gateway.place

    # ------------------------------------------------------------------------- meetings

    async def meeting_new(
        self, *, title: str, public: bool, play: str | None, record: str | None
    ) -> MeetingLink:
        """Publish a meeting at our own gateway and lead it."""
        who, place = self._require_who(), self._own_place()
        opener: Opener = (self._owner(), place.ledger_id, None)
        ledger, client = await self._places.open(place, opener=opener)
        now_ms = self._clock.now_ms()
        plan = MeetingPlan(
            info=title,
            public=public,
            policy=POLICY,
            gateways=(Gateway(host=place.address, pin=place.pin),),
            opens_ms=now_ms,
            ends_ms=now_ms + LONGEST_MEETING_MS,
        )
        account = await who.account(ledger)
        member, effects = Member.lead(
            account, self._tools, plan=plan, ledger_id=place.ledger_id
        )
        note = Note(place, title, play, record, public)
        hosted = await self._host(member, effects, note, ledger=ledger, client=client)
        await hosted.until(lambda: _keyed(hosted), limit_s=WAIT_S)
        return await self.meeting_link(meeting=hosted.meeting.hex())

    async def meeting_join(
        self, *, link: str, public: bool, play: str | None, record: str | None
    ) -> Done:
        """Ask to be let in; returns once the request is on the ledger."""
        who, found = self._require_who(), parse_link(link)
        if found.meeting in self._hosted and not self._hosted[found.meeting].note.over:
            raise UsageError(Code.WRONG_STATE, "you are in that meeting already")
        place, ledger, client = await self._reach(found)
        doorway = await look(found, ledger, client)
        if doorway.asking.invitation.public and not public:
            await _close(ledger, client)
            message = "this meeting publishes who takes part: join with --public"
            raise UsageError(Code.BAD_ARGUMENT, message)
        home, home_client = await self._places.open(self._own_place())
        try:
            account = await who.account(home)
        finally:
            await _close(home, home_client)
        now_ms = self._clock.now_ms()
        member, effects = Member.ask(
            account, self._tools, asking=doorway.asking, now_ms=now_ms
        )
        note = Note(place, doorway.title, play, record, public)
        hosted = await self._host(member, effects, note, ledger=ledger, client=client)
        await hosted.until(lambda: _asked(hosted), limit_s=WAIT_S)
        if hosted.ended == "refused" and hosted.error is not None:
            raise hosted.error
        return Done(meeting=hosted.meeting.hex())

    async def _reach(self, link: Link) -> tuple[Reachable, RemoteLedger, GatewayClient]:
        """Connect to the first of the link's gateways that answers."""
        error: IncameraError = UsageError(Code.BAD_LINK, "the link names no gateway")
        for gateway in link.gateways:
            place = Reachable(gateway.address, gateway.pin, link.ledger_id)
            try:
                return place, *await self._places.open(place)
            except LedgerError as refused:
                error = refused
        raise error

    async def _host(
        self,
        member: Member,
        first: list[fx.Effect],
        note: Note,
        *,
        ledger: RemoteLedger,
        client: GatewayClient,
    ) -> Hosted:
        """Run a member; its note is kept before its first entry leaves."""
        meeting = member.room.seat.meeting
        hosted = Hosted(meeting, note, self._tell)
        self._places.note(meeting, note)
        self._hosted[meeting] = hosted
        session = self._session(hosted, member, ledger=ledger, client=client)
        await session.start(first)
        return hosted

    def _session(
        self,
        hosted: Hosted,
        member: Member,
        *,
        ledger: RemoteLedger,
        client: GatewayClient,
    ) -> Session:
        item = meeting_item(hosted.meeting)

        def save(snapshot: bytearray) -> None:
            self._store.save(item, snapshot)
            self._places.remember()

        def destroy() -> None:
            self._store.destroy(item)
            hosted.note.over = True
            self._places.note(hosted.meeting, hosted.note)

        desk = Desk(ledger, client, self._clock, save, destroy, self._on_point)
        session = Session(member, desk, hosted)
        hosted.session = session
        note = hosted.note
        if note.play is not None or note.record is not None:
            session.media = self._media(hosted, session)
        return session

    def _media(
        self, hosted: Hosted, session: Session
    ) -> "Any":  # Studio needs the media extra
        # Imported here: a daemon without media does not need aiortc.
        from incamera.media.reader import MediaInput
        from incamera.media.source import Source, open_sources
        from incamera.node.studio import Studio, StudioSettings

        note = hosted.note
        sources: tuple[Source, ...] = ()
        if note.play is not None:
            sources = open_sources(MediaInput(note.play, loop=True))
        settings = StudioSettings(
            sources=sources,
            record=None if note.record is None else Path(note.record),
            addresses=("127.0.0.1",) if self._settings.loopback else None,
        )
        return Studio(session, settings, hosted.media_changed)

    async def _resume(self, hosted: Hosted) -> None:
        """Go on with a meeting after a restart, once its gateway answers."""
        note, owner = hosted.note, self._owner()
        if self._gateway is not None:
            own = self._gateway.place
            if own.ledger_id == note.place.ledger_id:
                note.place = own  # our own gateway came back at another port
        while True:
            try:
                opener: Opener = (owner, note.place.ledger_id, None)
                ledger, client = await self._places.open(note.place, opener=opener)
                break
            except LedgerError as error:
                hosted.troubled(error)
                await asyncio.sleep(RESUME_PAUSE_S)
        snapshot = self._store.load(meeting_item(hosted.meeting))
        member = Member.restore(snapshot, self._tools)
        wipe(snapshot)
        session = self._session(hosted, member, ledger=ledger, client=client)
        await session.start([])
        session.resume()

    async def meeting_list(self) -> Meetings:
        """List the meetings that this home knows."""
        return Meetings(meetings=[h.summary() for h in self._hosted.values()])

    async def meeting_show(self, *, meeting: str) -> MeetingView:
        """Show one meeting."""
        return self._find(meeting).view()

    async def meeting_link(self, *, meeting: str) -> MeetingLink:
        """Show the link again."""
        hosted = self._find(meeting)
        room, place = hosted.room, hosted.note.place
        record = None
        if room.leads:
            who = self._require_who()
            record = LinkRecord(leader=UserId(who.user_id), name=who.name or None)
        link = Link(
            gateways=(LinkGateway(place.address, place.pin),),
            ledger_id=place.ledger_id,
            meeting=hosted.meeting,
            secret=room.seat.link_secret,
            record=record,
        )
        return MeetingLink(meeting=hosted.meeting.hex(), link=format_link(link))

    async def meeting_admit(self, *, meeting: str, request: int) -> Done:
        """Admit a requester."""
        hosted = self._find(meeting)
        who = hosted.request_of(request)
        return self._do(hosted, lambda m: m.admit(who, self._clock.now_ms()))

    async def meeting_deny(self, *, meeting: str, request: int) -> Done:
        """Tell a requester no."""
        hosted = self._find(meeting)
        who = hosted.request_of(request)
        return self._do(hosted, lambda m: m.deny(who, self._clock.now_ms()))

    async def meeting_remove(self, *, meeting: str, slot: int) -> Done:
        """Remove a member."""
        hosted = self._find(meeting)
        who = hosted.member_in(slot)
        return self._do(hosted, lambda m: m.remove(who, self._clock.now_ms()))

    async def meeting_leave(self, *, meeting: str) -> Done:
        """Leave, and erase the meeting's keys here."""
        hosted = self._find(meeting)
        done = self._do(hosted, lambda m: m.leave(self._clock.now_ms()))
        await hosted.until(lambda: hosted.ended is not None, limit_s=WAIT_S)
        return done

    async def meeting_end(self, *, meeting: str) -> Done:
        """Dismiss the meeting for all."""
        hosted = self._find(meeting)
        done = self._do(hosted, lambda m: m.end(self._clock.now_ms()))
        await hosted.until(lambda: hosted.ended is not None, limit_s=WAIT_S)
        return done

    async def meeting_say(self, *, meeting: str, text: str) -> Done:
        """Send a chat message."""
        hosted = self._find(meeting)
        return self._do(hosted, lambda m: m.say(text, self._clock.now_ms()))

    async def meeting_doors(self, *, meeting: str, doors: str) -> Done:
        """Open or close the doors."""
        hosted = self._find(meeting)
        wanted = Doors.CLOSED if doors == "closed" else Doors.OPEN
        return self._do(hosted, lambda m: m.doors(wanted, self._clock.now_ms()))

    def _do(self, hosted: Hosted, step: Callable[[Member], list[fx.Effect]]) -> Done:
        hosted.running.do(step)
        return Done(meeting=hosted.meeting.hex())

    def _find(self, meeting: str) -> Hosted:
        """Return the meeting with that id, or the only one that begins so."""
        found = [h for m, h in self._hosted.items() if m.hex().startswith(meeting)]
        if len(found) != 1 or not meeting:
            raise UsageError(Code.NO_MEETING, "no meeting of that id here")
        return found[0]

    # ----------------------------------------------------------------- record and links

    async def audit(self, *, meeting: str, export: str | None) -> Audit:
        """Verify a meeting's record, and write it to a file if asked."""
        from incamera.node.audit import make_audit_file, read_audit

        hosted = self._find(meeting)
        ledger, client = await self._places.open(hosted.note.place)
        try:
            topic, records = TopicId(hosted.meeting), list[Record]()
            while page := await ledger.read(topic, start=len(records)):
                records += page
            proof = await ledger.prove(topic)
        finally:
            await _close(ledger, client)
        session = hosted.session
        openings = {} if session is None else session.member.room.people.openings
        data = make_audit_file(
            descriptor=ledger.descriptor,
            topic=topic,
            records=records,
            proof=proof,
            openings=openings,
            made_ms=self._clock.now_ms(),
        )
        if export is not None:
            await asyncio.to_thread(Path(export).write_bytes, data)
        return read_audit(data)

    async def link_open(self, *, link: str) -> PendingLink:
        """Tell what a link leads to; nothing is contacted."""
        found = parse_link(link)
        record = found.record
        leader = "not named"
        if record is not None:
            leader = f"{record.name or 'unnamed'} (user {record.leader.hex()[:16]})"
        return PendingLink(
            meeting=found.meeting.hex(),
            ledger=found.ledger_id.hex(),
            leader=leader,
            gateways=[gateway.address for gateway in found.gateways],
        )

    # --------------------------------------------------------------------------- events

    def events(self, *, meeting: str | None) -> AsyncGenerator[Event, None]:
        """Return what happens from this call on."""
        queue: asyncio.Queue[Event] = asyncio.Queue(MAX_EVENTS)
        self._queues.append(queue)

        async def drain() -> AsyncGenerator[Event, None]:
            try:
                while True:
                    event = await queue.get()
                    if meeting is None or event["meeting"].startswith(meeting):
                        yield event
            finally:
                self._queues.remove(queue)

        return drain()

    def _tell(self, event: Event) -> None:
        for queue in self._queues:
            if queue.full():
                queue.get_nowait()
            queue.put_nowait(event)


def _keyed(hosted: Hosted) -> bool:
    """True once we hold the first key of a meeting that we lead, or it failed."""
    if hosted.ended is not None:
        return True
    return hosted.room.keyring.sending is not None


def _asked(hosted: Hosted) -> bool:
    """True once our request is on the ledger, or it was refused."""
    if hosted.ended is not None:
        return True
    room = hosted.room
    return room.phase is not Phase.ASKING or room.seat.entry in room.people


async def _close(ledger: RemoteLedger, client: GatewayClient) -> None:
    with contextlib.suppress(IncameraError):
        await ledger.close()
        await client.close()

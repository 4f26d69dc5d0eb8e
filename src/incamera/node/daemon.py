# SPDX-License-Identifier: Apache-2.0
"""The user's daemon: one home, its identity and its meetings (spec/local-api.md).

It holds the device's keys, starts a keyless gateway process, runs a session per meeting
and resumes them all after a restart.
"""

import asyncio
import contextlib
import logging
from collections.abc import AsyncGenerator, Callable
from pathlib import Path
from typing import Final

import incamera
from incamera.errors import Code, IncameraError, UsageError
from incamera.ledger.remote import RemoteLedger
from incamera.node.audience import Audience
from incamera.node.audit import make_audit_file, read_audit, write_audit_file
from incamera.node.doorway import look
from incamera.node.gateway_client import GatewayClient, Opener
from incamera.node.hosted import Hosted
from incamera.node.keeper import Keeper, OnPoint
from incamera.node.own_gateway import GatewayPlan, OwnGateway, Reachable
from incamera.node.places import Note
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
from incamera.node.store import Store
from incamera.node.who import Who
from incamera.protocol import effects as fx
from incamera.protocol.account import UserPlan, new_user
from incamera.protocol.arrival import MeetingPlan
from incamera.protocol.descriptor import encode_descriptor
from incamera.protocol.fields import Gateway
from incamera.protocol.ids import TopicId, UserId
from incamera.protocol.link import (
    Link,
    LinkGateway,
    LinkRecord,
    format_link,
    parse_link,
)
from incamera.protocol.member import Member
from incamera.protocol.policy import DEFAULT_POLICY, Doors
from incamera.protocol.proof import Record
from incamera.protocol.room import Phase
from incamera.protocol.seat import Tools
from incamera.protocol.secret import Secret
from incamera.protocol.signer import Ed25519Signer

LONGEST_MEETING_MS: Final = 24 * 3_600_000
"""A meeting ends by itself after a day: nobody leads it for longer."""
WAIT_S: Final = 20.0
"""How long a command waits for the ledger; the work goes on after it."""
OWNER_ITEM: Final = "owner"
_log = logging.getLogger(__name__)


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
        self._clock = SystemClock()
        self._tools = Tools(entropy, HpkeSealer(entropy))
        self._audience = Audience()
        self._keeper = Keeper(
            settings,
            store,
            clock=self._clock,
            tools=self._tools,
            tell=self._audience.tell,
            on_point=on_point,
        )
        self._who: Who | None = None
        self._gateway: OwnGateway | None = None

    # ------------------------------------------------------------------- life and death

    async def start(self) -> None:
        """Start our gateway and resume every meeting."""
        self._who = Who.load(self._store)
        if self._settings.gateway:
            plan = GatewayPlan(
                home=self._settings.home / "gateway",
                owners=(self._owner().public,),
                host=self._settings.host,
                port=self._settings.port,
            )
            self._gateway = await OwnGateway.start(plan)
        own = None if self._gateway is None else self._gateway.place
        opener = None if own is None else (self._owner(), own.ledger_id, None)
        self._keeper.resume_all(own, opener)

    async def close(self) -> None:
        """Stop everything; meetings go on at the next start."""
        await self._keeper.close()
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

    # ------------------------------------------------------------------------- identity

    async def status(self) -> Status:
        """Tell how the daemon is."""
        running = [h for h in self._keeper.all() if h.role() != "former"]
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
        ledger, client = await self._keeper.places.open(place)
        try:
            await ledger.append(who.root)
        finally:
            await _close(ledger, client)
        self._keeper.places.remember()
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
            message = "create an identity first: incamera identity create --name"
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
        ledger, client = await self._keeper.places.open(place, opener=opener)
        now_ms = self._clock.now_ms()
        plan = MeetingPlan(
            info=title,
            public=public,
            policy=DEFAULT_POLICY,
            gateways=(Gateway(host=place.address, pin=place.pin),),
            opens_ms=now_ms,
            ends_ms=now_ms + LONGEST_MEETING_MS,
        )
        account = await who.account(ledger)
        member, effects = Member.lead(
            account, self._tools, plan=plan, ledger_id=place.ledger_id
        )
        note = Note(place, title, play, record, public)
        hosted = await self._keeper.host(
            member, effects, note, ledger=ledger, client=client
        )
        await hosted.until(lambda: _keyed(hosted), limit_s=WAIT_S)
        return await self.meeting_link(meeting=hosted.meeting.hex())

    async def meeting_join(
        self, *, link: str, public: bool, play: str | None, record: str | None
    ) -> Done:
        """Ask to be let in; returns once the request is on the ledger."""
        who, found = self._require_who(), parse_link(link)
        self._keeper.refuse_second(found.meeting)
        place, ledger, client = await self._keeper.reach(found)
        doorway = await look(found, ledger, client)
        if doorway.asking.invitation.public and not public:
            await _close(ledger, client)
            message = "this meeting publishes who takes part: join with --public"
            raise UsageError(Code.BAD_ARGUMENT, message)
        home, home_client = await self._keeper.places.open(self._own_place())
        try:
            account = await who.account(home)
        finally:
            await _close(home, home_client)
        now_ms = self._clock.now_ms()
        member, effects = Member.ask(
            account, self._tools, asking=doorway.asking, now_ms=now_ms
        )
        note = Note(place, doorway.title, play, record, public)
        hosted = await self._keeper.host(
            member, effects, note, ledger=ledger, client=client
        )
        await hosted.until(lambda: _asked(hosted), limit_s=WAIT_S)
        if hosted.ended == "refused" and hosted.error is not None:
            raise hosted.error
        return Done(meeting=hosted.meeting.hex())

    async def meeting_list(self) -> Meetings:
        """List the meetings that this home knows."""
        return Meetings(meetings=[h.summary() for h in self._keeper.all()])

    async def meeting_show(self, *, meeting: str) -> MeetingView:
        """Show one meeting; nobody else proves to us who we are."""
        view, who = self._keeper.find(meeting).view(), self._require_who()
        for own in filter(lambda member: member["you"], view["members"]):
            own["name"], own["user"] = who.name, who.user_id.hex()
        return view

    async def meeting_link(self, *, meeting: str) -> MeetingLink:
        """Show the link again."""
        hosted = self._keeper.find(meeting)
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
        hosted = self._keeper.find(meeting)
        who = hosted.request_of(request)
        return self._do(hosted, lambda m: m.admit(who, self._clock.now_ms()))

    async def meeting_deny(self, *, meeting: str, request: int) -> Done:
        """Tell a requester no."""
        hosted = self._keeper.find(meeting)
        who = hosted.request_of(request)
        return self._do(hosted, lambda m: m.deny(who, self._clock.now_ms()))

    async def meeting_remove(self, *, meeting: str, slot: int) -> Done:
        """Remove a member."""
        hosted = self._keeper.find(meeting)
        who = hosted.member_in(slot)
        return self._do(hosted, lambda m: m.remove(who, self._clock.now_ms()))

    async def meeting_leave(self, *, meeting: str) -> Done:
        """Leave, and erase the meeting's keys here."""
        hosted = self._keeper.find(meeting)
        done = self._do(hosted, lambda m: m.leave(self._clock.now_ms()))
        await hosted.until(lambda: hosted.ended is not None, limit_s=WAIT_S)
        return done

    async def meeting_end(self, *, meeting: str) -> Done:
        """Dismiss the meeting for all."""
        hosted = self._keeper.find(meeting)
        done = self._do(hosted, lambda m: m.end(self._clock.now_ms()))
        await hosted.until(lambda: hosted.ended is not None, limit_s=WAIT_S)
        return done

    async def meeting_say(self, *, meeting: str, text: str) -> Done:
        """Send a chat message."""
        hosted = self._keeper.find(meeting)
        return self._do(hosted, lambda m: m.say(text, self._clock.now_ms()))

    async def meeting_doors(self, *, meeting: str, doors: str) -> Done:
        """Open or close the doors."""
        hosted = self._keeper.find(meeting)
        wanted = Doors.CLOSED if doors == "closed" else Doors.OPEN
        return self._do(hosted, lambda m: m.doors(wanted, self._clock.now_ms()))

    def _do(self, hosted: Hosted, step: Callable[[Member], list[fx.Effect]]) -> Done:
        hosted.running.do(step)
        return Done(meeting=hosted.meeting.hex())

    # ----------------------------------------------------------------- record and links

    async def audit(self, *, meeting: str, export: str | None) -> Audit:
        """Verify a meeting's record, and write it to a file if asked."""
        hosted = self._keeper.find(meeting)
        ledger, client = await self._keeper.places.open(hosted.note.place)
        try:
            topic, records = TopicId(hosted.meeting), list[Record]()
            proof = await ledger.prove(topic)
            while len(records) < proof.count:
                records += await ledger.read(topic, start=len(records))
            del records[proof.count :]  # what came after the proof was made
        finally:
            await _close(ledger, client)
        openings = hosted.openings()
        data = make_audit_file(
            descriptor=encode_descriptor(ledger.descriptor),
            topic=topic,
            records=records,
            proof=proof,
            openings=openings,
            made_ms=self._clock.now_ms(),
        )
        if export is not None:
            await asyncio.to_thread(write_audit_file, Path(export), data)
        found = read_audit(data)
        # The record commits to the title; those who were there know it.
        return Audit(**{**found, "title": found["title"] or hosted.note.title})

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

    def events(self, *, meeting: str | None) -> AsyncGenerator[Event, None]:
        """Return what happens from this call on."""
        return self._audience.events(meeting)


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

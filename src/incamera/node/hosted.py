# SPDX-License-Identifier: Apache-2.0
"""One meeting of this home: its session, and what people are shown of it."""

import asyncio
from collections.abc import Callable, Mapping
from typing import Literal, TypeAlias

from incamera.errors import Code, IncameraError, UsageError
from incamera.node.places import Note
from incamera.node.service import (
    Event,
    MeetingSummary,
    MeetingView,
    MemberView,
    RequestView,
)
from incamera.node.session import Session
from incamera.node.words import name_of, tell
from incamera.protocol import effects as fx
from incamera.protocol.identity import Identified
from incamera.protocol.ids import EntryId, MeetingId
from incamera.protocol.leader_moves import open_request, open_requests
from incamera.protocol.policy import Doors
from incamera.protocol.proof import Strength
from incamera.protocol.room import Phase, Room
from incamera.protocol.roster import StateMember
from incamera.protocol.statement import IdentityOpening

Role: TypeAlias = Literal["leader", "member", "waiting", "former"]


class Hosted:
    """A meeting that runs here; implements the session's `Listener`."""

    def __init__(
        self, meeting: MeetingId, note: Note, tell: Callable[[Event], None]
    ) -> None:
        """`tell` hears every event; `session` is set by the daemon at once."""
        self.meeting = meeting
        self.note = note
        self.session: Session | None = None
        self.changed = asyncio.Event()
        self.error: IncameraError | None = None
        self.ended: str | None = None
        self.strength = Strength.HOST
        self._tell = tell
        self._slots: dict[EntryId, int] = {}
        self._roster: Mapping[int, StateMember] | None = None
        """The one whose slots were noted last."""

    @property
    def room(self) -> Room:
        """The machine's room."""
        return self.running.member.room

    @property
    def running(self) -> Session:
        """The session.

        Raises UsageError: ENDED when the meeting is over, WRONG_STATE while it is not
        resumed yet after a restart.
        """
        if self.is_over:
            raise UsageError(Code.ENDED, "that meeting is over")
        if self.session is None:
            message = "that meeting goes on as soon as its gateway answers"
            raise UsageError(Code.WRONG_STATE, message)
        return self.session

    @property
    def is_over(self) -> bool:
        """Whether the meeting has ended for us, perhaps before a restart."""
        return self.ended is not None or self.note.over

    async def until(self, fact: Callable[[], bool], *, limit_s: float) -> None:
        """Wait until something holds; raise what went wrong if it does not in time."""
        try:
            async with asyncio.timeout(limit_s):
                while not fact():
                    self.changed.clear()
                    await self.changed.wait()
        except TimeoutError:
            if self.error is not None:
                raise self.error from None
            message = "the gateway took too long; it goes on in the background"
            raise UsageError(Code.UNREACHABLE, message) from None

    # ---------------------------------------------------------------------- listening

    def told(self, event: fx.Event) -> None:
        """Tell people in words, with the place of whoever it is about."""
        self._note_slots()
        self._tell_all(event)
        self.changed.set()

    def _note_slots(self) -> None:
        if self.session is None or self.session.member.room.state is None:
            return
        roster = self.session.member.room.state.roster
        if roster is not self._roster:
            self._roster = roster
            self._slots |= {member.id: slot for slot, member in roster.items()}

    def _tell_all(self, event: fx.Event) -> None:
        if isinstance(event, fx.Ended):
            self.ended = event.reason
        said = tell(event, self.name)
        self._say(said.kind, said.text, member=said.member, request=said.request)

    def _say(
        self,
        kind: str,
        text: str,
        *,
        member: EntryId | None = None,
        request: EntryId | None = None,
    ) -> None:
        event = Event(kind=kind, meeting=self.meeting.hex(), text=text)
        if member is not None and member in self._slots:
            event["slot"] = self._slots[member]
        if request is not None:
            event["request"] = self._ordinal(request)
        self._tell(event)

    def media_changed(self, member: EntryId, state: str) -> None:
        """A connection or an own stream changed."""
        self._note_slots()
        self._say("media", f"media with {self.name(member)}: {state}", member=member)

    def troubled(self, error: IncameraError) -> None:
        """The ledger or relay is in trouble."""
        self.error = error
        self._say("ledger", f"{error.args[0]} [{error.code.value}]")
        self.changed.set()

    def recovered(self) -> None:
        """The relay answers again."""
        self.error = None
        self._say("ledger", "the gateway answers again")

    def over(self) -> None:
        """The session has ended."""
        if self.ended is None:
            self.ended = "over"
        self.changed.set()

    # ------------------------------------------------------------------------- showing

    def name(self, member: EntryId) -> str:
        """Return how to call a member: the name it claims, once its proof holds."""
        if self.session is None:
            return "somebody"
        room = self.session.member.room
        if member == room.seat.entry:
            return "you"
        if member in room.people:
            result = room.people.find(member).result
            if isinstance(result, Identified):
                return name_of(result)
        slot = self._slots.get(member)
        return "somebody" if slot is None else f"member {slot}"

    def role(self) -> Role:
        """Return what we are in the meeting."""
        if self.is_over:
            return "former"
        if self.session is None:
            return "waiting"
        if self.room.leads:
            return "leader"
        return "member" if self.room.phase is Phase.INSIDE else "waiting"

    def summary(self) -> MeetingSummary:
        """Return one line of the list."""
        waits = self.is_over or self.session is None
        state = None if waits else self.room.state
        status = "ended" if self.is_over else "waiting"
        return MeetingSummary(
            meeting=self.meeting.hex(),
            title=self.note.title,
            status=status if state is None else state.status.name.lower(),
            role=self.role(),
            members=0 if state is None else len(state.roster),
        )

    def view(self) -> MeetingView:
        """Return the meeting in full; UsageError(ENDED)."""
        room = self.room
        state = room.meeting_state
        return MeetingView(
            meeting=self.meeting.hex(),
            title=self.note.title,
            status=state.status.name.lower(),
            role=self.role(),
            epoch=state.epoch,
            ledger=room.seat.ledger_id.hex(),
            strength=self.strength.name.lower(),
            doors="closed" if state.policy.doors is Doors.CLOSED else "open",
            members=[self._member(slot) for slot in sorted(state.roster)],
            requests=self._requests() if room.leads else [],
        )

    def _member(self, slot: int) -> MemberView:
        state = self.room.meeting_state
        member = state.roster[slot].id
        you = member == self.room.seat.entry
        result = self.room.people.find(member).result
        who = result if isinstance(result, Identified) else None
        return MemberView(
            slot=slot,
            name=who.info if who else None,
            user=who.user_id.hex() if who else None,
            checked=you or who is not None,
            leader=member == state.leader,
            you=you,
            leaving=slot in state.leaving,
        )

    def _requests(self) -> list[RequestView]:
        views = []
        for request in open_requests(self.room).values():
            result = self.room.people.find(request.id).result
            who = result if isinstance(result, Identified) else None
            views.append(
                RequestView(
                    request=request.ordinal,
                    name=who.info if who else None,
                    user=who.user_id.hex() if who else None,
                    checked=who is not None,
                )
            )
        return views

    def openings(self) -> dict[EntryId, IdentityOpening]:
        """Return the proofs of everybody who checked out here, and our own."""
        if self.session is None:
            return {}
        room = self.session.member.room
        return {**room.people.openings, room.seat.entry: room.seat.opening}

    def _ordinal(self, request: EntryId) -> int:
        waiting = open_request(self.room, request)
        assert waiting is not None, "only who waits is told of"
        return waiting.ordinal

    def request_of(self, ordinal: int) -> EntryId:
        """Return the request with that number; UsageError(BAD_ARGUMENT)."""
        for request in open_requests(self.room).values():
            if request.ordinal == ordinal:
                return request.id
        raise UsageError(Code.BAD_ARGUMENT, f"there is no request {ordinal}")

    def member_in(self, slot: int) -> EntryId:
        """Return who sits in a slot; UsageError(BAD_ARGUMENT)."""
        roster = self.room.meeting_state.roster
        if slot not in roster:
            raise UsageError(Code.BAD_ARGUMENT, f"there is no member {slot}")
        return roster[slot].id

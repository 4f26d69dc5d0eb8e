# SPDX-License-Identifier: Apache-2.0
"""One member of one meeting, as a machine (spec/meeting.md, section 7).

Inputs are what the ledger ordered, what the relay brought, what the person wants and
what the clock says; each returns its effects.  The shell saves `save()` first and runs
the effects after.  A refused input raises and changes nothing that is saved.
"""

from dataclasses import dataclass
from typing import Final

from incamera.errors import Code, PeerError, UsageError
from incamera.protocol.arrival import (
    Invitation,
    MeetingPlan,
    ask_to_join,
    publish_meeting,
)
from incamera.protocol.bodies import Dismiss, Leave
from incamera.protocol.effects import (
    Append,
    Effect,
    Erase,
    KeysDropped,
    KeysInstalled,
    Post,
    SendUnder,
    StopSending,
    Tell,
    WakeAt,
)
from incamera.protocol.entry import EntryType, sign_entry
from incamera.protocol.hearing import hear, hear_box
from incamera.protocol.ids import EntryId, KeyId, LedgerId
from incamera.protocol.keying import ask_for_wrap, give_proof
from incamera.protocol.landing import PROOF_KEYS_WAIT_MS, fold, land, over
from incamera.protocol.leader_moves import (
    advance,
    decline,
    identified,
    leader_card,
    open_request,
    remove,
    send_pending,
    send_switch,
    set_doors,
)
from incamera.protocol.leading import Leading, check_room
from incamera.protocol.meeting_state import next_header
from incamera.protocol.message import encode_unsigned
from incamera.protocol.message_bodies import (
    Answer,
    Chat,
    Control,
    ControlKind,
    DeclineReason,
    Offer,
    StreamMessage,
)
from incamera.protocol.people import BLOB_RETRY_MS, People
from incamera.protocol.policy import Doors
from incamera.protocol.proof import Record
from incamera.protocol.room import Phase, Room
from incamera.protocol.saving import restore_room, save_room
from incamera.protocol.schedule import base_key
from incamera.protocol.sealing import seal_join_secret
from incamera.protocol.seat import Account, Seat, Tools
from incamera.protocol.secret import Secret
from incamera.protocol.signing import kid_of
from incamera.protocol.voice import Voice

ASK_AGAIN_MS: Final = 2_000
"""Pause before the request box is sent again: the leader may just be away."""


@dataclass(frozen=True, slots=True)
class Asking:
    """What a joiner verified before it asks: whom, and whose key it seals to."""

    invitation: Invitation
    leader_kem_key: bytes


class Member:
    """The door in front of a `Room`."""

    def __init__(self, room: Room) -> None:
        """Use `lead`, `ask` or `restore`."""
        self.room = room

    # ------------------------------------------------------------------ beginning

    @classmethod
    def lead(
        cls, account: Account, tools: Tools, *, plan: MeetingPlan, ledger_id: LedgerId
    ) -> tuple["Member", list[Effect]]:
        """Found a meeting: publish it."""
        seat, entry = publish_meeting(account, tools, plan=plan, ledger_id=ledger_id)
        room = _room(seat, tools, boot=0)
        room.phase, room.leading = Phase.STARTING, Leading()
        return cls(room), [Append(entry.data)]

    @classmethod
    def ask(
        cls, account: Account, tools: Tools, *, asking: Asking, now_ms: int
    ) -> tuple["Member", list[Effect]]:
        """Ask to come into a meeting whose publish was read and verified."""
        seat, entry = ask_to_join(account, tools, invitation=asking.invitation)
        room = _room(seat, tools, boot=0)
        box = seal_join_secret(
            seat,
            tools.sealer,
            leader=asking.invitation.publish.mvk,
            leader_kem_key=asking.leader_kem_key,
        )
        room.request_box = encode_unsigned(box)
        room.request_at_ms = now_ms
        return cls(room), [Append(entry.data)]

    @classmethod
    def restore(cls, snapshot: bytearray, tools: Tools) -> "Member":
        """Return the saved member; `replay` and `resume` follow."""
        return cls(restore_room(snapshot, tools))

    def save(self) -> bytearray:
        """Return everything that must survive; the caller seals and wipes it."""
        return save_room(self.room)

    def replay(self, record: Record) -> None:
        """Read a record again that was dealt with before the restart."""
        fold(self.room, record)

    def resume(self, now_ms: int) -> list[Effect]:
        """Do again what a restart may have interrupted; everything here may repeat."""
        room, effects = self.room, list[Effect]()
        if room.phase is Phase.OVER:
            return [Erase()]
        if room.phase in (Phase.STARTING, Phase.ASKING) and room.me is None:
            effects.append(Append(room.seat.entry_bytes))
        for key in room.keyring.live():
            effects.append(KeysInstalled(key.epoch))
        sending = room.keyring.sending_key()
        if sending is not None and not room.keyring.stopped:
            effects.append(SendUnder(sending.epoch))
        if room.leading is not None and room.state is not None:
            pending = room.leading.pending
            effects.append(leader_card(room))
            effects += [] if pending is None else send_pending(pending)
        if room.me is not None:
            room.proof_keys_at_ms = now_ms + PROOF_KEYS_WAIT_MS
            effects += give_proof(room) if room.proof_given else []
            effects += [
                room.people.fetch(p) for p in room.people.unchecked(room.inside())
            ]
        return self._done(effects, now_ms)

    # --------------------------------------------------------------------- inputs

    def got_record(self, record: Record, now_ms: int) -> list[Effect]:
        """Take the topic's next ordered record; PeerError if it is not legal."""
        if self.room.phase is Phase.OVER:
            return []
        starting = self.room.phase is Phase.STARTING
        effects = land(self.room, record, now_ms)
        if starting and self.room.leads:
            effects.insert(0, leader_card(self.room))
        return self._done(effects, now_ms)

    def got_message(self, data: bytes, now_ms: int) -> list[Effect]:
        """Take what the relay brought; PeerError if it is refused."""
        if self.room.phase is Phase.OVER:
            return []
        return self._done(hear(self.room, data, now_ms), now_ms)

    def got_blob(self, name: str, data: bytes | None, now_ms: int) -> list[Effect]:
        """Take a stored proof that was asked for; None: it is not there yet."""
        if self.room.phase is Phase.OVER:
            return []
        if data is None:
            self.room.fetch_at_ms = now_ms + BLOB_RETRY_MS
            return self._done([], now_ms)
        event = self.room.people.got_blob(name, data, self.room.inside())
        return self._done([] if event is None else [Tell(event)], now_ms)

    def tick(self, now_ms: int) -> list[Effect]:
        """Do what is due by now."""
        room = self.room
        if room.phase is Phase.OVER:
            return []
        if room.state is not None and now_ms >= room.state.ends_ms:
            return over(room, "expired")
        effects = self._due_keys(now_ms)
        effects += self._due_questions(now_ms)
        for push in room.pushed.values():
            if now_ms >= push.append_at_ms:
                push.append_at_ms = now_ms + ASK_AGAIN_MS
                effects.append(Append(push.entry))
        return self._done(effects, now_ms)

    def _due_keys(self, now_ms: int) -> list[Effect]:
        room, effects = self.room, list[Effect]()
        leading = room.leading
        if leading and leading.switch_at_ms and now_ms >= leading.switch_at_ms:
            effects += send_switch(room, now_ms)
        switch, dropped = room.keyring.due(now_ms)
        if switch is not None:
            effects += room.switch(switch, now_ms)
        return effects + [KeysDropped(key.epoch) for key in dropped]

    def _due_questions(self, now_ms: int) -> list[Effect]:
        room, effects = self.room, list[Effect]()
        if room.request_at_ms is not None and now_ms >= room.request_at_ms:
            room.request_at_ms = now_ms + ASK_AGAIN_MS
            if room.state is not None and room.request_box is not None:
                effects.append(Post(kid_of(room.leader.mvk), room.request_box))
        for key_id, wanted in room.wanted.items():
            if now_ms >= wanted.ask_at_ms and self._asks_for(key_id):
                effects += ask_for_wrap(room, key_id, now_ms)
        if room.proof_keys_at_ms is not None and now_ms >= room.proof_keys_at_ms:
            effects += self._ask_proof_keys(now_ms)
        if room.fetch_at_ms is not None and now_ms >= room.fetch_at_ms:
            room.fetch_at_ms = None
            effects += [
                room.people.fetch(p) for p in room.people.unchecked(room.inside())
            ]
        return effects

    def _asks_for(self, key_id: KeyId) -> bool:
        """The leader has its own keys, and wraps only the newest again."""
        return not self.room.leads and key_id == KeyId(self.room.meeting_state.last)

    def _ask_proof_keys(self, now_ms: int) -> list[Effect]:
        room = self.room
        others = [member for member in room.inside() if member != room.seat.entry]
        lacking = room.people.lacking_keys(others)
        room.proof_keys_at_ms = None
        if not lacking:
            return []
        room.proof_keys_at_ms = now_ms + PROOF_KEYS_WAIT_MS
        body, effects = Control(kind=ControlKind.ASK_PROOF_KEYS), list[Effect]()
        asked = lacking if room.leads else [room.leader.id]
        for member in asked:
            effects += room.group(body, room.people.find(member).kid)
        return effects

    # ------------------------------------------------------------- what people want

    def admit(self, request: EntryId, now_ms: int) -> list[Effect]:
        """Let somebody in whose request checked out."""
        leading = self._require_leading()
        if open_request(self.room, request) is None:
            raise UsageError(Code.BAD_ARGUMENT, "nobody with that request is waiting")
        try:
            identified(self.room, request)
        except PeerError as error:
            raise UsageError(error.code, "that request did not check out") from error
        if request not in leading.admit:
            check_room(self.room.meeting_state, len(leading.admit) + 1)
            leading.admit.append(request)
        return self._done(advance(self.room), now_ms)

    def deny(self, request: EntryId, now_ms: int) -> list[Effect]:
        """Tell a requester that it is not let in."""
        self._require_leading()
        waiting = open_request(self.room, request)
        if waiting is None:
            raise UsageError(Code.BAD_ARGUMENT, "nobody with that request is waiting")
        effects = decline(self.room, waiting, DeclineReason.UNSTATED)
        return self._done(effects, now_ms)

    def remove(self, member: EntryId, now_ms: int) -> list[Effect]:
        """Put a member out: nobody sends to it from now on."""
        self._require_leading()
        if member == self.room.seat.entry:
            raise UsageError(Code.BAD_ARGUMENT, "the leader cannot remove itself")
        if member not in self.room.inside():
            raise UsageError(Code.BAD_ARGUMENT, "nobody of that id is in the meeting")
        return self._done(remove(self.room, member), now_ms)

    def leave(self, now_ms: int) -> list[Effect]:
        """Leave, or withdraw a request; the keys go when the ledger has it."""
        if self.room.leads:
            raise UsageError(Code.WRONG_STATE, "you lead this meeting: end it instead")
        entry = self._act(EntryType.LEAVE, Leave(reason=0))
        return self._done([StopSending(), Append(entry)], now_ms)

    def end(self, now_ms: int) -> list[Effect]:
        """End the meeting for everybody."""
        self._require_leading()
        body = Dismiss(term=self.room.meeting_state.term, reason=0)
        return self._done([Append(self._act(EntryType.DISMISS, body))], now_ms)

    def doors(self, doors: Doors, now_ms: int) -> list[Effect]:
        """Open or close the doors."""
        self._require_leading()
        return self._done(set_doors(self.room, doors), now_ms)

    def say(self, text: str, now_ms: int) -> list[Effect]:
        """Say something to everybody."""
        self._require_voice()
        body = Chat(id=self.room.tools.nonce(), text=text)
        return self._done(self.room.group(body), now_ms)

    def signal(self, to: EntryId, body: Offer | Answer, now_ms: int) -> list[Effect]:
        """Send an offer or answer to one member."""
        self._require_voice()
        mvk = self.room.people.find(to).expected.mvk
        return self._done(self.room.group(body, kid_of(mvk)), now_ms)

    def announce(self, body: StreamMessage, now_ms: int) -> list[Effect]:
        """Tell everybody our live streams."""
        self._require_voice()
        return self._done(self.room.group(body), now_ms)

    def next_generation(self) -> int:
        """Return a stream generation that was never used; save before using it."""
        self.room.generation += 1
        return self.room.generation

    def stream_key(self, epoch: int, *, slot: int, number: int) -> Secret:
        """Return the SFrame base key of one stream; PeerError(MISSING_KEY)."""
        key = self.room.keyring.by_epoch(epoch)
        meeting = self.room.seat.meeting
        return base_key(key.key, meeting=meeting, epoch=epoch, slot=slot, number=number)

    def _require_leading(self) -> Leading:
        leading = self.room.leading
        if leading is None or not self.room.leads or self.room.phase is Phase.OVER:
            raise UsageError(Code.NOT_ALLOWED, "only the leader may do that")
        return leading

    def _require_voice(self) -> None:
        self.room.require_inside()
        self.room.voice.require_room()

    def _act(self, kind: EntryType, body: Leave | Dismiss) -> bytes:
        state, signer = self.room.meeting_state, self.room.seat.signer
        seq, prev = next_header(state, signer.public, kind)
        place = self.room.seat.meeting
        return sign_entry(signer, body, place=place, seq=seq, prev=prev).data

    # -------------------------------------------------------------------- finishing

    def _done(self, effects: list[Effect], now_ms: int) -> list[Effect]:
        """Try held boxes when a key came, and say when to wake us."""
        room = self.room
        if room.phase is Phase.OVER:
            return effects
        if any(isinstance(effect, KeysInstalled) for effect in effects):
            for box in room.voice.release(now_ms):
                try:
                    effects += hear_box(room, box, now_ms)
                except PeerError:
                    continue  # a held box is refused like any other
        wake = self._next_due_ms()
        return effects if wake is None else [*effects, WakeAt(wake)]

    def _next_due_ms(self) -> int | None:
        room = self.room
        switch_at = room.leading.switch_at_ms if room.leading else None
        wanted = [w.ask_at_ms for k, w in room.wanted.items() if self._asks_for(k)]
        times: list[int | None] = [
            None if room.state is None else room.state.ends_ms,
            room.keyring.next_due_ms(held_back=room.held_back()),
            switch_at,
            room.request_at_ms,
            room.proof_keys_at_ms,
            room.fetch_at_ms,
            *wanted,
            *[push.append_at_ms for push in room.pushed.values()],
        ]
        return min((time for time in times if time is not None), default=None)


def _room(seat: Seat, tools: Tools, *, boot: int) -> Room:
    voice = Voice(seat.signer, meeting=seat.meeting, boot=boot, entropy=tools.entropy)
    return Room(seat=seat, tools=tools, voice=voice, people=People(seat.meeting))

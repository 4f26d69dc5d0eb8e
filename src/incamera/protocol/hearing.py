# SPDX-License-Identifier: Apache-2.0
"""What follows from each message that the relay brought (spec/meeting.md, section 7).

The relay is trusted for nothing: who a message is from is what its signature says.
"""

from collections.abc import Callable
from typing import Final, TypeAlias, assert_never

from incamera.errors import Code, PeerError
from incamera.protocol.authority import Action, may
from incamera.protocol.bodies import Epoch
from incamera.protocol.box import GroupBox, RequestBox
from incamera.protocol.context import RULES, Context
from incamera.protocol.effects import (
    Cut,
    Declined,
    Effect,
    Said,
    Signal,
    StopSending,
    Streams,
    Tell,
)
from incamera.protocol.entry import parse_entry
from incamera.protocol.ids import EntryId
from incamera.protocol.keying import got_kek, got_wrap
from incamera.protocol.leader_moves import (
    adopt_gate,
    give_keys,
    got_ack,
    got_member_keys,
    got_request_box,
    got_wrap_ask,
)
from incamera.protocol.message import Message, parse_message
from incamera.protocol.message_bodies import (
    Ack,
    Answer,
    Chat,
    Consent,
    Control,
    ControlKind,
    Decline,
    EntryPush,
    GateMessage,
    IdentityKeys,
    KekMessage,
    MemberKeys,
    Offer,
    StreamMessage,
    Switch,
    WrapAsk,
    WrapOne,
)
from incamera.protocol.room import Phase, Pushed, Room
from incamera.protocol.roster import StateMember
from incamera.protocol.secret import Secret
from incamera.protocol.signing import kid_of
from incamera.protocol.topic import apply

APPEND_AFTER_MS: Final = 2_000
"""A signed entry that its author did not get onto the ledger by then, we append."""
MAX_PUSHED: Final = 8
"""Signed entries under way at once: one epoch, with room for a new leader's."""


def hear(room: Room, data: bytes, now_ms: int) -> list[Effect]:
    """Take one message; raises PeerError when it is refused."""
    incoming = parse_message(data)
    match incoming:
        case Message():
            return _signed(room, incoming, now_ms)
        case WrapOne():
            return got_wrap(room, incoming, now_ms)
        case EntryPush():
            return _pushed(room, incoming, now_ms)
        case GroupBox():
            return hear_box(room, incoming, now_ms)
        case RequestBox():
            _require(room.leads, "a request box for somebody who leads")
            return got_request_box(room, incoming)
    assert_never(incoming)


def _require(fact: bool, what: str) -> None:  # reads as a sentence
    if not fact:
        raise PeerError(Code.NOT_ALLOWED, what)


# ------------------------------------------------------------------- signed, in clear


def _signed(room: Room, message: Message, now_ms: int) -> list[Effect]:
    author = _author(room, message)
    message.verify(author.mvk, room.seat.meeting)
    if message.header.term != room.meeting_state.term:
        raise PeerError(Code.WRONG_TERM, "message of another term")
    room.voice.guard.check(message)
    effects = _act_on(room, author, message, now_ms)
    room.voice.guard.admit(message)  # not before: what is refused changes nothing
    return effects


def _act_on(
    room: Room, author: StateMember, message: Message, now_ms: int
) -> list[Effect]:
    state = room.meeting_state
    match message.body:
        case KekMessage() as body:
            _require(may(state, author, Action.HAND_OUT_KEYS), "may not seal keys")
            return got_kek(room, body, now_ms)
        case Switch() as body:
            _require(may(state, author, Action.HAND_OUT_KEYS), "may not tell to switch")
            # Without the key yet: we switch when it has come, at the latest in time.
            known = body.key_id in room.keyring
            return room.switch(body.key_id, now_ms) if known else []
        case Decline() as body:
            _require(may(state, author, Action.DECLINE), "may not decline")
            return _declined(room, body)
        case Ack() | WrapAsk() | MemberKeys() as body:
            _require(room.leads, "meant for the leader")
            return _to_leader(room, author, body, now_ms)
    raise PeerError(Code.UNKNOWN_TYPE, "no such message in clear")


def _to_leader(
    room: Room, author: StateMember, body: Ack | WrapAsk | MemberKeys, now_ms: int
) -> list[Effect]:
    match body:
        case Ack():
            current = room.leading.current if room.leading else None
            if current is None or body.key_id != current.key_id:
                return []
            return got_ack(room, author.id, now_ms)
        case WrapAsk():
            return got_wrap_ask(room, author, body, now_ms)
        case MemberKeys():
            return got_member_keys(room, author.id, body)
    assert_never(body)


def _author(room: Room, message: Message) -> StateMember:
    """Return the member that a message says it is from; PeerError(WRONG_SENDER)."""
    for member in room.meeting_state.roster.values():
        if kid_of(member.mvk) == message.header.sender:
            return member
    raise PeerError(Code.WRONG_SENDER, "message of somebody who is not a member")


def _declined(room: Room, body: Decline) -> list[Effect]:
    if body.request != room.seat.entry or room.phase is not Phase.ASKING:
        raise PeerError(Code.WRONG_RECEIVER, "another request was declined")
    room.request_at_ms = None
    return [Tell(Declined(int(body.reason)))]


# ------------------------------------------------------------- entries not yet ordered


def _pushed(room: Room, push: EntryPush, now_ms: int) -> list[Effect]:
    """Act on a signed epoch before its order: stop sending to whoever it removes."""
    entry = parse_entry(push.entry)
    if not isinstance(entry.body, Epoch):
        raise PeerError(Code.UNKNOWN_TYPE, "only epochs are pushed")
    state = room.meeting_state
    if entry.body.prev_epoch != state.last or entry.id in room.pushed:
        return []  # landed or seen already, or it follows one that we have not read yet
    apply(
        state,
        entry,
        Context(room.seat.ledger_id, RULES, room.count, _now(room, now_ms)),
    )
    if len(room.pushed) >= MAX_PUSHED:
        return []
    removed = _removals(room, entry.body)
    room.pushed[entry.id] = Pushed(
        push.entry, now_ms + APPEND_AFTER_MS, entry.body.prev_epoch, removed
    )
    if not removed:
        return []
    room.removed |= removed
    room.keyring.stop()
    return [StopSending(), *[Cut(member) for member in sorted(removed)]]


def _now(room: Room, now_ms: int) -> int:
    """Ledger time never goes back, whatever our own clock says."""
    return max(now_ms, room.meeting_state.time_ms)


def _removals(room: Room, body: Epoch) -> frozenset[EntryId]:
    roster = room.meeting_state.roster
    return frozenset(roster[slot].id for slot in body.removed) - {room.seat.entry}


# ------------------------------------------------------------------ sealed to the group


def hear_box(room: Room, box: GroupBox, now_ms: int) -> list[Effect]:
    """Open a box and act on its message; without its key it waits a while."""
    if box.key_id not in room.keyring:
        room.voice.hold(box, now_ms)
        return []
    author = room.meeting_state.roster.get(box.slot)
    if author is None or author.id == room.seat.entry:
        raise PeerError(Code.WRONG_SENDER, "box of an empty slot, or of ourselves")
    if author.id in room.removed:
        raise PeerError(Code.NOT_ALLOWED, "this member's removal was seen")
    message = room.voice.open(box, room.keyring.find(box.key_id), author.mvk)
    if type(message.body) not in _SAID:
        raise PeerError(Code.UNKNOWN_TYPE, "no such message in a group box")
    effects = _SAID[type(message.body)](room, author, message)
    room.voice.guard.admit(message)
    return effects


def _chat(_room: Room, author: StateMember, message: Message) -> list[Effect]:
    assert isinstance(message.body, Chat)
    return [Tell(Said(author.id, message.body.text))]


def _description(room: Room, author: StateMember, message: Message) -> list[Effect]:
    body = message.body
    assert isinstance(body, Offer | Answer)
    if body.sender != author.id:
        raise PeerError(Code.WRONG_SENDER, "description in another member's name")
    if body.receiver != room.seat.entry:
        raise PeerError(Code.WRONG_RECEIVER, "description for another member")
    return [Signal(author.id, body)]


def _streams(_room: Room, author: StateMember, message: Message) -> list[Effect]:
    assert isinstance(message.body, StreamMessage)
    return [Streams(author.id, message.body)]


def _identity_keys(room: Room, author: StateMember, message: Message) -> list[Effect]:
    assert isinstance(message.body, IdentityKeys)
    roster, effects = room.meeting_state.roster, list[Effect]()
    if not may(room.meeting_state, author, Action.GIVE_PROOF_KEYS):
        own = all(given.slot == author.slot for given in message.body.keys)
        _require(own, "another member's proof key")
    for given in message.body.keys:
        member = roster.get(given.slot)
        if member is not None and member.id != room.seat.entry:
            effects += room.people.learn_key(member.id, Secret(bytearray(given.key)))
    return effects


def _control(room: Room, author: StateMember, message: Message) -> list[Effect]:
    assert isinstance(message.body, Control)
    if message.body.kind is ControlKind.ASK_PROOF_KEYS:
        return give_keys(room, [author])
    return []


def _consent(_room: Room, _author: StateMember, _message: Message) -> list[Effect]:
    return []  # nothing records yet that would have to ask


def _gate(room: Room, author: StateMember, message: Message) -> list[Effect]:
    assert isinstance(message.body, GateMessage)
    _require(may(room.meeting_state, author, Action.GIVE_GATE), "may not give the gate")
    return adopt_gate(room, message.body)


_Handler: TypeAlias = Callable[[Room, StateMember, Message], list[Effect]]
_SAID: Final[dict[type, _Handler]] = {
    Chat: _chat,
    Offer: _description,
    Answer: _description,
    StreamMessage: _streams,
    IdentityKeys: _identity_keys,
    Control: _control,
    Consent: _consent,
    GateMessage: _gate,
}
"""IdentityMessage is missing: it comes in a proof box, never in a group box."""

# SPDX-License-Identifier: Apache-2.0
"""What follows from each entry that the ledger ordered (spec/meeting.md, section 7)."""

from typing import Final, assert_never

from incamera.errors import Code, PeerError
from incamera.protocol.bodies import (
    Dismiss,
    Epoch,
    EpochKind,
    Leave,
    PolicyChange,
    Publish,
    Request,
    UserRoot,
)
from incamera.protocol.context import RULES, Context
from incamera.protocol.effects import (
    CameIn,
    Cut,
    DoorsChanged,
    Effect,
    Ended,
    Erase,
    Leaving,
    StopSending,
    Tell,
    Waiting,
    WentOut,
)
from incamera.protocol.entry import Entry, parse_entry
from incamera.protocol.identity import Expected
from incamera.protocol.ids import EntryId, KeyId
from incamera.protocol.keying import take_key
from incamera.protocol.leader_moves import advance, gate_replaced, take_request
from incamera.protocol.meeting_state import MeetingState, Standing, member_by_id
from incamera.protocol.proof import Record
from incamera.protocol.room import Phase, Room, Wanted
from incamera.protocol.schedule import EpochContext
from incamera.protocol.statement import Purpose
from incamera.protocol.topic import apply

WRAP_WAIT_MS: Final = 1_000
"""How long the wrap of a landed epoch may take before we ask for it."""
PROOF_KEYS_WAIT_MS: Final = 3_000
"""How long the keys of the others' proofs may take before we ask for them."""


def fold(room: Room, record: Record) -> tuple[MeetingState | None, Entry]:
    """Apply one record to the public state; return the state before it, and the entry.

    Raises PeerError when the entry is not legal; nothing has changed then.
    """
    entry = parse_entry(record.entry)
    context = Context(room.seat.ledger_id, RULES, room.count, record.time_ms)
    before = room.state
    after = apply(before, entry, context)
    if not isinstance(after, MeetingState):
        raise PeerError(Code.WRONG_PLACE, "not a meeting's topic")
    room.state, room.count = after, room.count + 1
    _meet(room, entry, record.time_ms)
    return before, entry


def land(room: Room, record: Record, now_ms: int) -> list[Effect]:
    """Take one ordered record and do what follows from it."""
    before, entry = fold(room, record)
    room.pushed.pop(entry.id, None)
    body = entry.body
    assert not isinstance(body, UserRoot)  # `fold` refuses them
    match body:
        case Publish():
            return _published(room)
        case Request():
            return _requested(room, entry.id)
        case Epoch():
            assert before is not None
            return _epoch(room, before, entry, now_ms)
        case Leave():
            return _left(room, entry)
        case PolicyChange():
            doors = Tell(DoorsChanged(room.meeting_state.policy.doors))
            return [doors, *gate_replaced(room, entry)]
        case Dismiss():
            return over(room, "dismissed")
    assert_never(body)


def over(room: Room, reason: str) -> list[Effect]:
    """End our part: tell, and erase every key."""
    room.wipe()
    return [StopSending(), Tell(Ended(reason)), Erase()]


def _meet(room: Room, entry: Entry, ordered_ms: int) -> None:
    """Note what a publish or request says of its author."""
    match entry.body:
        case Publish() as body:
            purpose, subject = Purpose.PUBLISH, body.nonce
        case Request() as body:
            purpose, subject = Purpose.JOIN, bytes(room.seat.meeting)
        case _:
            return
    expected = Expected(
        purpose=purpose,
        subject=subject,
        mvk=body.mvk,
        kem_hash=body.kem_hash,
        tag=body.tag,
        identity=body.identity,
    )
    room.people.met(entry.id, expected=expected, ordered_ms=ordered_ms)
    saved = room.proof_keys.pop(entry.id, None)
    if saved is not None:
        room.people.learn_key(entry.id, saved)


def _published(room: Room) -> list[Effect]:
    if not room.leads:
        return []
    room.phase = Phase.INSIDE
    return advance(room)


def _requested(room: Room, request: EntryId) -> list[Effect]:
    if request == room.seat.entry:
        return [Tell(Waiting(request))]
    return take_request(room, request) if room.leads else []


def _left(room: Room, entry: Entry) -> list[Effect]:
    state = room.meeting_state
    author = state.authors[entry.header.author]
    if author.mvk == room.seat.signer.public:
        return over(room, "left")
    if author.standing is not Standing.SEATED:
        return []
    effects: list[Effect] = [Tell(Leaving(state.roster[author.index].id))]
    if state.status.name == "ENDED":
        return effects + over(room, "everybody left")
    return effects + (advance(room) if room.leads else [])


# ----------------------------------------------------------------------------- epochs


def _epoch(room: Room, before: MeetingState, entry: Entry, now_ms: int) -> list[Effect]:
    body, state = entry.body, room.meeting_state
    assert isinstance(body, Epoch)
    context = EpochContext(
        meeting=state.meeting_id,
        prev_epoch=body.prev_epoch,
        roster_root=body.roster_root,
        term=body.term,
        epoch=body.number,
    )
    key_id = KeyId(entry.id)
    if room.leading is not None:
        room.leading.give_up_unless(key_id)
    effects = _tell_changes(room, before, body)
    room.settle_pushed()
    if room.me is None and member_by_id(before, room.seat.entry) is not None:
        removed = _was_removed(room, before, body)
        return effects + over(room, "removed" if removed else "left")
    if room.me is None:
        return effects
    room.phase = Phase.INSIDE
    room.request_box = room.request_at_ms = None
    ask_at, ratchet = now_ms + WRAP_WAIT_MS, body.kind is EpochKind.RATCHET
    room.want(key_id, Wanted(context, body.commitment, ask_at, ratchet))
    if body.admitted:
        room.proof_keys_at_ms = now_ms + PROOF_KEYS_WAIT_MS
    return effects + take_key(room, key_id, now_ms)


def _tell_changes(room: Room, before: MeetingState, body: Epoch) -> list[Effect]:
    """Tell who came and went; cut off whoever went."""
    state = room.meeting_state
    effects: list[Effect] = []
    gone = [(slot, how) for how, slots in _drops(body) for slot in slots]
    if gone:
        room.keyring.stop()
        effects.append(StopSending())
    for slot, how in gone:
        member = before.roster[slot].id
        room.people.forget(member)
        effects += [Cut(member), Tell(WentOut(member, how))]
    came = _ids(state) - _ids(before) if body.admitted else set[EntryId]()
    for member in sorted(came):
        effects.append(Tell(CameIn(member)))
    return effects


def _drops(body: Epoch) -> list[tuple[int, list[int]]]:
    return [(1, list(body.left)), (2, list(body.lost)), (3, list(body.removed))]


def _was_removed(room: Room, before: MeetingState, body: Epoch) -> bool:
    me = member_by_id(before, room.seat.entry)
    return me is not None and me.slot in body.removed


def _ids(state: MeetingState) -> set[EntryId]:
    return {member.id for member in state.roster.values()}

# SPDX-License-Identifier: Apache-2.0
"""What the leader does when something happens (spec/meeting.md, section 7).

`Leading` keeps and signs; here its moves meet the room: requests are checked, epochs
sent on their way, keys handed out when they have landed, members told to switch.
"""

from dataclasses import replace

from incamera.errors import Code, PeerError
from incamera.protocol.arrival import gate_signer
from incamera.protocol.bodies import PolicyChange
from incamera.protocol.box import GATE_BOX, RequestBox, seal_gate
from incamera.protocol.effects import (
    Append,
    Asked,
    AskRefused,
    Cut,
    Effect,
    Post,
    StopSending,
    StoreBlob,
    Tell,
)
from incamera.protocol.encoding import encode
from incamera.protocol.entry import Entry, EntryType, sign_entry
from incamera.protocol.identity import Identified
from incamera.protocol.ids import EntryId, Kid
from incamera.protocol.keyring import SWITCH_AFTER_MS
from incamera.protocol.leading import Pending
from incamera.protocol.meeting_state import (
    OpenRequest,
    next_header,
    request_by_mvk,
)
from incamera.protocol.message import encode_unsigned
from incamera.protocol.message_bodies import (
    MAX_PROOF_KEYS,
    Decline,
    DeclineReason,
    EntryPush,
    GateMessage,
    IdentityKeys,
    MemberKeys,
    ProofKey,
    Switch,
    WrapAsk,
)
from incamera.protocol.policy import Doors
from incamera.protocol.room import Room
from incamera.protocol.roster import StateMember
from incamera.protocol.schedule import SALT_BYTES, kem_hash, link_root
from incamera.protocol.sealing import open_join_secret
from incamera.protocol.secret import Secret
from incamera.protocol.signing import kid_of
from incamera.protocol.statement import (
    GateContent,
    encode_gate_content,
    encode_opening,
)


def leader_card(room: Room) -> StoreBlob:
    """Return what the leader leaves at the gateway for those who have the link."""
    seat = room.seat
    content = encode_gate_content(
        GateContent(
            opening=encode_opening(seat.opening),
            info=seat.info,
            current=seat.kems.current.public,
            spare=seat.kems.spare.public,
        )
    )
    root = link_root(seat.link_secret)
    box = seal_gate(
        root,
        content,
        meeting=seat.meeting,
        gate=gate_signer(seat.link_secret, seat.ledger_id).public,
        salt=bytes(room.tools.entropy.draw(SALT_BYTES)),
    )
    root.wipe()
    return StoreBlob("leader", encode(GATE_BOX.encode(box)))


# --------------------------------------------------------------------------- requests


def open_requests(room: Room) -> dict[EntryId, OpenRequest]:
    """Return the requests that may be admitted, by id."""
    requests = room.meeting_state.requests.values()
    return {request.id: request for request in requests if not request.withdrawn}


def open_request(room: Room, request: EntryId) -> OpenRequest | None:
    """Return the request of that id, None if it may not be admitted.

    Found by its author's key: a thousand who ask at once each ask for theirs only.
    """
    if request not in room.people:
        return None
    mvk = room.people.find(request).expected.mvk
    found = request_by_mvk(room.meeting_state, mvk)
    return None if found is None or found.id != request else found


def take_request(room: Room, request: EntryId) -> list[Effect]:
    """Check a request that landed, if its box came before it."""
    assert room.leading is not None
    box = room.leading.boxes.pop(request, None)
    return [] if box is None else got_request_box(room, box)


def got_request_box(room: Room, box: RequestBox) -> list[Effect]:
    """Open a joiner's proof and KEM keys, check them, and tell who asks.

    A proof that does not hold is answered with a decline; a box that does not open is
    dropped with PeerError, since anybody might have sent it.
    """
    leading = room.leading
    assert leading is not None
    request = open_request(room, box.request)
    if request is None:
        leading.hold_box(box)
        return []
    match room.people.find(request.id).result:
        case Identified():
            return []
        case Code() as code:  # nobody makes us open and check it over and over
            return decline(room, request, _reason(code))
    secret = open_join_secret(room.seat, box, request.mvk)
    if kem_hash(secret.current, secret.spare) != request.kem_hash:
        raise PeerError(Code.BAD_STATEMENT, "KEM keys are not those of the request")
    try:
        identified = room.people.check(request.id, secret.opening, room.inside())
    except PeerError as error:
        told = Tell(AskRefused(request.id, error.code))
        return [*decline(room, request, _reason(error.code)), told]
    leading.kems[request.id] = MemberKeys(
        current=secret.current, spare=secret.spare, generation=0
    )
    return [Tell(Asked(request.id, identified))]


def decline(room: Room, request: OpenRequest, reason: DeclineReason) -> list[Effect]:
    """Tell a requester that it is not let in."""
    body = Decline(request=request.id, reason=reason)
    message = room.voice.sign(body, room.meeting_state.term)
    return [Post(kid_of(request.mvk), message.data)]


def _reason(code: Code) -> DeclineReason:
    conflict = code is Code.TAG_CONFLICT
    return DeclineReason.TAG if conflict else DeclineReason.IDENTITY


# ----------------------------------------------------------------------------- epochs


def advance(room: Room) -> list[Effect]:
    """Send the next epoch on its way, if anything is wished for."""
    leading = room.leading
    assert leading is not None
    pending = leading.draft(
        room.meeting_state, seat=room.seat, keyring=room.keyring, tools=room.tools
    )
    if pending is None:
        return []
    return send_pending(pending)


def send_pending(pending: Pending) -> list[Effect]:
    """Append our epoch, and let everybody see it before the ledger orders it."""
    push = encode_unsigned(EntryPush(entry=pending.entry))
    return [Append(pending.entry), Post(None, push)]


def remove(room: Room, member: EntryId) -> list[Effect]:
    """Put a member out: nothing goes to it from now on, whatever is under way."""
    assert room.leading is not None
    room.leading.remove.add(member)
    room.removed.add(member)
    room.keyring.stop()
    return [StopSending(), Cut(member), *advance(room)]


def hand_out(room: Room, pending: Pending, now_ms: int) -> list[Effect]:
    """Our epoch landed: wrap its seed for whoever cannot step to it, then go on."""
    leading, state = room.leading, room.meeting_state
    assert leading is not None
    leading.landed(pending, state)
    others = [m for m in state.roster.values() if m.id != room.seat.entry]
    joiners = [m for m in others if m.admitted == pending.context.epoch]
    receivers = others if pending.fresh else joiners
    effects: list[Effect] = [*_wrap(room, receivers), *give_keys(room, joiners)]
    leading.switch_at_ms = now_ms + SWITCH_AFTER_MS
    if not others:
        leading.switch_at_ms = None
    return effects + advance(room)


def _wrap(room: Room, members: list[StateMember]) -> list[Post]:
    assert room.leading is not None
    return room.leading.wrap_for(
        members, seat=room.seat, tools=room.tools, voice=room.voice
    )


def give_keys(room: Room, members: list[StateMember]) -> list[Effect]:
    """Give proof keys to these members: the leader everybody's, others their own."""
    state = room.meeting_state
    keys = [ProofKey(slot=_slot(room), key=bytes(room.seat.proof_key.buffer))]
    for slot in sorted(state.roster) if room.leads else ():
        person = room.people.find(state.roster[slot].id)
        if person.proof_key is not None and slot != keys[0].slot:
            keys.append(ProofKey(slot=slot, key=bytes(person.proof_key.buffer)))
    effects: list[Effect] = []
    for start in range(0, len(keys), MAX_PROOF_KEYS):
        body = IdentityKeys(keys=tuple(keys[start : start + MAX_PROOF_KEYS]))
        for receiver in _addressed(room, members):
            effects += room.group(body, receiver)
    return effects


def _addressed(room: Room, members: list[StateMember]) -> list[Kid | None]:
    """Return to whom a message for these members goes: to all, if most are meant."""
    others = len(room.meeting_state.roster) - 1
    if len(members) > 1 and 2 * len(members) > others:
        return [None]
    return [kid_of(member.mvk) for member in members]


def _slot(room: Room) -> int:
    me = room.me
    assert me is not None
    return me.slot


def got_ack(room: Room, member: EntryId, now_ms: int) -> list[Effect]:
    """Note that a member holds the key; tell all to switch once everybody does."""
    leading = room.leading
    assert leading is not None
    leading.acks.add(member)
    others = set(room.inside()) - {room.seat.entry}
    if leading.switch_at_ms is None or not others <= leading.acks:
        return []
    return send_switch(room, now_ms)


def send_switch(room: Room, now_ms: int) -> list[Effect]:
    """Tell everybody to send under the current key, and do so."""
    leading = room.leading
    assert leading is not None
    leading.switch_at_ms = None
    current = leading.current
    assert current is not None  # its landing set the time
    body = Switch(key_id=current.key_id, epoch=current.context.epoch)
    return [room.clear(body, None), *room.switch(current.key_id, now_ms)]


def got_wrap_ask(
    room: Room, member: StateMember, body: WrapAsk, now_ms: int
) -> list[Effect]:
    """Wrap the current seed again for a member that lacks it, once a second."""
    leading = room.leading
    assert leading is not None
    current = leading.current
    if current is None or body.key_id != current.key_id:
        return []
    if not leading.may_wrap_again(member.id, now_ms):
        return []
    kek = leading.keks.get(member.id)
    if kek is not None and (kek.pair.kek_id != body.kek_id or kek.step < body.step):
        leading.renew_kek(member.id)
    return list(_wrap(room, [member]))


def got_member_keys(room: Room, member: EntryId, body: MemberKeys) -> list[Effect]:
    """Take a member's newest KEM keys."""
    leading = room.leading
    assert leading is not None
    known = leading.kems.get(member)
    if known is not None and known.generation > body.generation:
        raise PeerError(Code.REPLAYED, "older KEM keys")
    leading.kems[member] = body
    return []


# ------------------------------------------------------------------------------ doors


def set_doors(room: Room, doors: Doors) -> list[Effect]:
    """Open or close the doors; closing them replaces the gate, so old links end."""
    leading, state = room.leading, room.meeting_state
    assert leading is not None
    gate = None
    if doors is Doors.CLOSED:
        # Of two policies under way either may land: both bring the same gate.
        leading.link_secret = leading.link_secret or room.tools.secret()
        gate = gate_signer(leading.link_secret, room.seat.ledger_id).public
    body = PolicyChange(
        term=state.term,
        version=state.policy_version + 1,
        policy=replace(state.policy, doors=doors),
        gate=gate,
    )
    seq, prev = next_header(state, room.seat.signer.public, EntryType.POLICY)
    signer, place = room.seat.signer, room.seat.meeting
    return [Append(sign_entry(signer, body, place=place, seq=seq, prev=prev).data)]


def gate_replaced(room: Room, entry: Entry) -> list[Effect]:
    """Our policy with a new gate landed: the new secret is in force; tell the group."""
    leading = room.leading
    secret = leading.link_secret if leading else None
    if leading is None or secret is None:
        return []
    if room.meeting_state.gate != gate_signer(secret, room.seat.ledger_id).public:
        return []
    room.seat.link_secret.wipe()
    room.seat.link_secret, leading.link_secret = secret, None
    body = GateMessage(secret=bytes(secret.buffer), policy_entry=entry.id)
    return [leader_card(room), *room.group(body)]


def adopt_gate(room: Room, body: GateMessage) -> list[Effect]:
    """Take the leader's new link secret, if it is that of the gate in force."""
    secret = Secret(bytearray(body.secret))
    if gate_signer(secret, room.seat.ledger_id).public != room.meeting_state.gate:
        secret.wipe()
        raise PeerError(Code.NO_GATE, "not the secret of the gate in force")
    room.seat.link_secret.wipe()
    room.seat.link_secret = secret
    return []


def identified(room: Room, request: EntryId) -> Identified:
    """Return who asks; PeerError(UNREGISTERED) unless the request checked out."""
    result = room.people.find(request).result
    if not isinstance(result, Identified):
        raise PeerError(Code.UNREGISTERED, "no such checked request")
    return result

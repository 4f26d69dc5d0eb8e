# SPDX-License-Identifier: Apache-2.0
"""Messages that nobody may take, each with the code that refuses it.

They are made for a meeting of leader, bob, carol and dora at rest.
"""

from collections.abc import Callable
from dataclasses import replace

from tests.sim.attack import (
    Impostor,
    boxed,
    newest,
    signed,
    slot_of,
)
from tests.sim.world import World

from incamera.errors import Code
from incamera.protocol.bodies import Epoch, Leave
from incamera.protocol.entry import EntryType, parse_entry, sign_entry
from incamera.protocol.ids import EntryId
from incamera.protocol.kem import kem_key_hash
from incamera.protocol.meeting_state import next_header
from incamera.protocol.message import encode_unsigned
from incamera.protocol.message_bodies import (
    Ack,
    Body,
    Chat,
    Decline,
    DeclineReason,
    EntryPush,
    GateMessage,
    IdentityKeys,
    IdentityMessage,
    KekMessage,
    MemberKeys,
    Offer,
    ProofKey,
    Role,
    StreamMessage,
    Switch,
    WrapAsk,
)

Attack = Callable[[World], tuple[str, bytes]]
"""Returns who gets the message, and the message."""
CHAT = Chat(id=bytes(32), text="hello")


def offer(world: World, sender: str, receiver: str) -> Offer:
    return Offer(
        sender=world.nodes[sender].id,
        receiver=world.nodes[receiver].id,
        connection=bytes(16),
        role=Role.OFFERER,
        fingerprint=bytes(32),
        sdp="v=0",
        streams=(),
    )


def kek(world: World, *, to: str = "bob", key: bytes | None = None) -> KekMessage:
    node = world.nodes[to]
    public = node.seat.kems.current.public if key is None else key
    return KekMessage(
        kek_id=bytes(32),
        prev_epoch=EntryId(bytes(32)),
        receiver=node.id,
        kem_key_hash=kem_key_hash(public),
        sealed=bytes(1120 + 16 + 32),
    )


def proof_key(world: World, name: str) -> IdentityKeys:
    return IdentityKeys(
        keys=(ProofKey(slot=slot_of(world.nodes[name]), key=bytes(32)),)
    )


def switch(world: World) -> Switch:
    key = newest(world.nodes["bob"])
    return Switch(key_id=key.key_id, epoch=key.epoch)


def older_keys(world: World) -> MemberKeys:
    return replace(world.nodes["carol"].seat.kems.body(), generation=0)


def clear(sender: str, to: str, body: Callable[[World], Body]) -> Attack:
    return lambda w: (to, signed(w.nodes[sender], body(w)))


def sealed(sender: str, to: str, body: Callable[[World], Body]) -> Attack:
    return lambda w: (to, boxed(w.nodes[sender], body(w)))


def decline(world: World, name: str) -> Decline:
    return Decline(request=world.nodes[name].id, reason=DeclineReason.FULL)


def gate(_: World) -> GateMessage:
    return GateMessage(secret=bytes(32), policy_entry=EntryId(bytes(32)))


def own_push(world: World) -> tuple[str, bytes]:
    """An epoch of the leader's, as carol would sign it."""
    data = world.records[-1].entry
    body = parse_entry(data).body
    carol = world.nodes["carol"]
    assert world.state is not None
    assert isinstance(body, Epoch)
    body = replace(body, prev_epoch=world.state.last, number=99)
    entry = sign_entry(
        carol.seat.signer, body, place=carol.seat.meeting, seq=0, prev=None
    )
    return "bob", encode_unsigned(EntryPush(entry=entry.data))


def leave_push(world: World) -> tuple[str, bytes]:
    return "bob", encode_unsigned(EntryPush(entry=leave_of(world, "carol", "carol")))


def leave_of(world: World, says: str, signs: str) -> bytes:
    """A leave in one member's name by the key of another."""
    assert world.state is not None
    says_key = world.nodes[says].seat.signer.public
    seq, prev = next_header(world.state, says_key, EntryType.LEAVE)
    impostor = Impostor(says_key, world.nodes[signs].seat.signer)
    place = world.nodes[says].seat.meeting
    return sign_entry(impostor, Leave(reason=0), place=place, seq=seq, prev=prev).data


def impostor(world: World) -> tuple[str, bytes]:
    carol = world.nodes["carol"].seat.signer
    by = Impostor(world.nodes["leader"].seat.signer.public, carol)
    return "bob", signed(world.nodes["carol"], switch(world), by=by)


FORGED: dict[str, tuple[Attack, Code]] = {
    "another's proof key": (
        sealed("carol", "dora", lambda w: proof_key(w, "bob")),
        Code.NOT_ALLOWED,
    ),
    "offer in another's name": (
        sealed("carol", "dora", lambda w: offer(w, "bob", "dora")),
        Code.WRONG_SENDER,
    ),
    "offer for another": (
        sealed("carol", "dora", lambda w: offer(w, "carol", "bob")),
        Code.WRONG_RECEIVER,
    ),
    "box in another's slot": (
        lambda w: ("bob", boxed(w.nodes["carol"], CHAT, slot=slot_of(w.nodes["dora"]))),
        Code.WRONG_SENDER,
    ),
    "box of an empty slot": (
        lambda w: ("bob", boxed(w.nodes["carol"], CHAT, slot=77)),
        Code.WRONG_SENDER,
    ),
    "box of the receiver's own slot": (
        lambda w: ("bob", boxed(w.nodes["carol"], CHAT, slot=slot_of(w.nodes["bob"]))),
        Code.WRONG_SENDER,
    ),
    "identity in a group box": (
        sealed("carol", "bob", lambda _: IdentityMessage(opening=b"1")),
        Code.UNKNOWN_TYPE,
    ),
    "gate by a member": (sealed("carol", "bob", gate), Code.NOT_ALLOWED),
    "gate that is not in force": (sealed("leader", "bob", gate), Code.NO_GATE),
    "chat in clear": (clear("carol", "bob", lambda _: CHAT), Code.NOT_ALLOWED),
    "streams in clear": (
        clear("carol", "bob", lambda _: StreamMessage(streams=())),
        Code.NOT_ALLOWED,
    ),
    "switch by a member": (clear("carol", "bob", switch), Code.NOT_ALLOWED),
    "switch in the leader's name": (impostor, Code.BAD_SIGNATURE),
    "switch of another term": (
        lambda w: ("bob", signed(w.nodes["leader"], switch(w), term=1)),
        Code.WRONG_TERM,
    ),
    "switch of long ago": (
        lambda w: ("bob", signed(w.nodes["leader"], switch(w), counter=0)),
        Code.REPLAYED,
    ),
    "pairwise key by a member": (clear("carol", "bob", kek), Code.NOT_ALLOWED),
    "pairwise key for another": (
        clear("leader", "bob", lambda w: kek(w, to="dora")),
        Code.WRONG_RECEIVER,
    ),
    "pairwise key under an unknown key": (
        clear("leader", "bob", lambda w: kek(w, key=b"unknown")),
        Code.MISSING_KEY,
    ),
    "pairwise key that does not open": (clear("leader", "bob", kek), Code.BAD_BOX),
    "decline by a member": (
        clear("carol", "bob", lambda w: decline(w, "bob")),
        Code.NOT_ALLOWED,
    ),
    "decline of another": (
        clear("leader", "bob", lambda w: decline(w, "dora")),
        Code.WRONG_RECEIVER,
    ),
    "decline of who is inside": (
        clear("leader", "bob", lambda w: decline(w, "bob")),
        Code.WRONG_RECEIVER,
    ),
    "acknowledgement to a member": (
        clear("carol", "bob", lambda w: Ack(key_id=newest(w.nodes["bob"]).key_id)),
        Code.NOT_ALLOWED,
    ),
    "question for a wrap to a member": (
        clear(
            "carol",
            "bob",
            lambda w: WrapAsk(
                key_id=newest(w.nodes["bob"]).key_id, kek_id=bytes(32), step=0
            ),
        ),
        Code.NOT_ALLOWED,
    ),
    "older member keys": (clear("carol", "leader", older_keys), Code.REPLAYED),
    "epoch by a member": (own_push, Code.WRONG_AUTHOR),
    "pushed leave": (leave_push, Code.UNKNOWN_TYPE),
    "nonsense": (lambda _: ("bob", b"nonsense"), Code.NOT_CANONICAL),
}

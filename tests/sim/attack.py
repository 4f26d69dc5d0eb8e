# SPDX-License-Identifier: Apache-2.0
"""How somebody inside, or a relay, makes messages that should not be taken."""

from collections.abc import Callable

from tests.sim.node import Node
from tests.sim.world import World

from incamera.errors import Code, IncameraError
from incamera.protocol import effects as fx
from incamera.protocol.box import GroupContext, seal_group
from incamera.protocol.ids import VerifyKey
from incamera.protocol.keyring import EpochKey
from incamera.protocol.member import Member
from incamera.protocol.message import encode_unsigned, sign_message
from incamera.protocol.message_bodies import Body
from incamera.protocol.ports import Signer
from incamera.protocol.schedule import group_key

LATE = 9 << 32
"""A message counter above all that an honest process has used."""


class Impostor:
    """Says that it is one member, and signs with another's key."""

    def __init__(self, says: VerifyKey, signs: Signer) -> None:
        self.public = says
        self._signs = signs

    def sign(self, message: bytes) -> bytes:
        return self._signs.sign(message)


def signed(
    node: Node,
    body: Body,
    *,
    term: int = 0,
    counter: int = LATE,
    by: Signer | None = None,
) -> bytes:
    """Return a message signed by a member, outside its machine."""
    message = sign_message(
        by or node.seat.signer,
        body,
        meeting=node.seat.meeting,
        counter=counter,
        term=term,
    )
    return message.data


def newest(node: Node) -> EpochKey:
    key = node.room.keyring.newest
    assert key is not None
    return key


def slot_of(node: Node) -> int:
    me = node.room.me
    assert me is not None
    return me.slot


def boxed(
    node: Node, content: Body | bytes, *, slot: int | None = None, counter: int = LATE
) -> bytes:
    """Return a group box by a member, outside its machine."""
    data = content
    if not isinstance(data, bytes):
        data = signed(node, data, counter=counter)
    key = newest(node)
    box = seal_group(
        group_key(key.key, key.key_id),
        data,
        context=GroupContext(key.context.meeting, key.context.prev_epoch, key.key_id),
        slot=slot_of(node) if slot is None else slot,
        salt=bytes(16),
    )
    return encode_unsigned(box)


def refusal(node: Node, step: Callable[[Member], list[fx.Effect]]) -> Code | None:
    """Return the code with which a member refuses an input that changes nothing."""
    assert node.member is not None
    before = bytes(node.member.save())
    try:
        step(node.member)
    except IncameraError as error:
        assert bytes(node.member.save()) == before, "refused, but not unchanged"
        return error.code
    return None


def refused(world: World, name: str, message: bytes) -> Code | None:
    """Return the code with which somebody refuses a message; None if it is taken."""
    return refusal(world.nodes[name], lambda m: m.got_message(message, world.now_ms))

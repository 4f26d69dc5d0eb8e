# SPDX-License-Identifier: Apache-2.0
"""Pictures that members send: real SFrame under real stream keys."""

from dataclasses import dataclass

from tests.sim.node import Node

from incamera.protocol.frames import StreamId, StreamReceiver, StreamSender
from incamera.protocol.ids import KeyId, MeetingId
from incamera.protocol.schedule import base_key
from incamera.protocol.secret import Secret

PICTURE = b"a picture of the room"


@dataclass(frozen=True)
class Film:
    """One encrypted picture, as everybody on its way sees it."""

    meeting: MeetingId
    key_id: KeyId
    epoch: int
    slot: int
    number: int
    data: bytes


def film(node: Node, number: int) -> Film:
    """Return a picture under the key that a node sends under."""
    assert node.member is not None
    key, me = node.room.keyring.sending_key(), node.room.me
    assert key is not None
    assert me is not None
    meeting = node.seat.meeting
    sender = StreamSender(meeting, StreamId(me.slot, number))
    sender.install(
        key.epoch, node.member.stream_key(key.epoch, slot=me.slot, number=number)
    )
    sender.switch(key.epoch)
    data = sender.protect(PICTURE)
    return Film(meeting, key.key_id, key.epoch, me.slot, number, data)


def show(film: Film, key: Secret) -> bytes:
    """Return the picture, opened by somebody who holds this meeting key."""
    receiver = StreamReceiver(film.meeting, film.slot)
    receiver.announce(film.number)
    base = base_key(
        key, meeting=film.meeting, epoch=film.epoch, slot=film.slot, number=film.number
    )
    receiver.install(film.epoch, film.number, base)
    return receiver.open(film.data, dummy=0).frame

# SPDX-License-Identifier: Apache-2.0
"""A member's knowledge is saved and found again, or noticed to be damaged."""

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from tests.sim.people import TOOLS
from tests.sim.world import World

from incamera.errors import Code, IncameraError
from incamera.protocol.encoding import Value, encode, parse
from incamera.protocol.policy import Doors
from incamera.protocol.room import Room, Wanted
from incamera.protocol.saving import restore_room, save_room

Refused = Callable[[Code], Any]
DAMAGE = (IncameraError, AssertionError, TypeError, ValueError, AttributeError)


def busy(meeting: World) -> World:
    """Everything that can be saved is there: pushes, wants, a pending epoch, a gate."""
    leader, carol = meeting.nodes["leader"], meeting.nodes["carol"].id
    dora = meeting.asker("dora")
    meeting.until(lambda: dora.id in meeting.asked())
    meeting.append = lambda _: None  # type: ignore[method-assign,assignment]  # ledger away
    leader.do(lambda m: m.doors(Doors.CLOSED, meeting.now_ms))
    leader.do(lambda m: m.remove(carol, meeting.now_ms))
    leader.do(lambda m: m.admit(dora.id, meeting.now_ms))
    meeting.pass_ms(20)
    bob = meeting.nodes["bob"].room
    newest = bob.keyring.newest
    assert newest is not None
    bob.want(newest.key_id, Wanted(newest.context, bytes(32), 0, ratchet=True))
    return meeting


@pytest.mark.parametrize("name", ["leader", "bob", "dora"])
def test_what_is_saved_is_found_again(meeting: World, name: str) -> None:
    room = busy(meeting).nodes[name].room
    saved = save_room(room)
    again = restore_room(bytearray(saved), TOOLS)
    assert again.replay_until == room.count
    assert again.voice.boot == room.voice.boot + 1
    again.count, again.voice.boot = room.count, room.voice.boot
    for entry, key in again.proof_keys.items():
        known = room.people.find(entry)
        again.people.met(entry, expected=known.expected, ordered_ms=known.ordered_ms)
        again.people.learn_key(entry, key)
    assert save_room(again) == saved


def test_a_member_without_pairwise_key_or_lead_is_saved(world: World) -> None:
    founder = world.founder()
    again = restore_room(save_room(founder.room), TOOLS)
    assert again.kek is None
    assert again.leading is not None
    assert again.leading.pending is None
    assert again.leading.current is None


def spoilt(value: Value, by: Value) -> Iterator[Value]:
    """Yield the value with each of its parts, in turn, replaced."""
    yield by
    if isinstance(value, list):
        for place, part in enumerate(value):
            for other in spoilt(part, by):
                yield [*value[:place], other, *value[place + 1 :]]


def damaged(room: Room, by: Value) -> Iterator[bytearray]:
    saved = save_room(room)
    end = 4 + int.from_bytes(saved[:4], "big")
    match parse(bytes(saved[4:end]), len(saved)):
        case [value, lengths]:
            for other in spoilt(value, by):
                plain = encode([other, lengths])
                yield bytearray(len(plain).to_bytes(4, "big") + plain + saved[end:])


@pytest.mark.parametrize("name", ["leader", "bob"])
@pytest.mark.parametrize("by", ["x", [], {}, 10**6])
def test_no_damaged_state_is_taken_for_another(
    meeting: World, name: str, by: Value
) -> None:
    """It is refused, or it is the part alone that is missing."""
    room = busy(meeting).nodes[name].room
    whole, refusals = bytes(save_room(room)), 0
    for snapshot in damaged(room, by):
        try:
            again = restore_room(snapshot, TOOLS)
        except DAMAGE:
            refusals += 1
        else:
            assert bytes(save_room(again)) != whole
    assert refusals > 20


def test_another_format_is_refused(meeting: World, refused: Refused) -> None:
    first = next(damaged(meeting.nodes["bob"].room, "x"))
    with refused(Code.STORAGE):
        restore_room(first, TOOLS)

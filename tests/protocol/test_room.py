# SPDX-License-Identifier: Apache-2.0
"""All that a member's machine knows, and what may be sealed under which key."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from tests.sim.people import TOOLS
from tests.sim.world import World

from incamera.errors import Code
from incamera.protocol import effects as fx
from incamera.protocol.ids import EntryId, KeyId
from incamera.protocol.message_bodies import Chat
from incamera.protocol.room import MAX_WANTED, Phase, Pushed, Room, Wanted
from incamera.protocol.schedule import EpochContext

Refused = Callable[[Code], Any]
CHAT = Chat(id=bytes(32), text="hello")


@pytest.fixture
def bob(meeting: World) -> Room:
    return meeting.nodes["bob"].room


@pytest.fixture
def asker(world: World) -> Room:
    """Somebody who has read nothing yet."""
    world.founder()
    world.until(lambda: world.one_room("leader"))
    return world.asker("bob").room


def wanted_after(room: Room, steps: int) -> tuple[KeyId, Wanted]:
    """An epoch that many steps after the newest."""
    newest = room.keyring.newest
    assert newest is not None
    context = replace(newest.context, epoch=newest.epoch + steps)
    return KeyId(bytes([steps]) * 32), Wanted(context, bytes(32), 0)


def test_before_anything_was_read_there_is_no_meeting(
    asker: Room, refused: Refused
) -> None:
    asker.state = None
    assert asker.me is None
    assert not asker.leads
    with refused(Code.UNKNOWN_TOPIC):
        asker.inside()


def test_who_only_asks_is_not_inside(
    world: World, asker: Room, refused: Refused
) -> None:
    world.pass_ms(100)
    assert asker.state is not None
    with refused(Code.WRONG_STATE):
        asker.require_inside()


def test_a_roster_without_its_leader_is_refused(bob: Room, refused: Refused) -> None:
    assert bob.state is not None
    bob.state = replace(bob.state, leader=EntryId(bytes(32)))
    with refused(Code.NOT_LEGAL):
        _ = bob.leader


def test_one_knows_who_is_inside_and_who_leads(meeting: World, bob: Room) -> None:
    nodes = meeting.nodes
    assert bob.inside() == [nodes[name].id for name in ("leader", "bob", "carol")]
    assert bob.leader.id == nodes["leader"].id
    assert nodes["leader"].room.leads
    assert not bob.leads
    assert bob.require_inside().id == nodes["bob"].id


def test_a_message_goes_out_sealed_or_waits(bob: Room) -> None:
    assert [type(effect) for effect in bob.group(CHAT)] == [fx.Post]
    bob.removed.add(bob.inside()[2])
    assert bob.held_back()
    assert bob.group(CHAT) == []
    assert [queued.body for queued in bob.voice.unqueue()] == [CHAT]


def test_a_clear_message_goes_to_one_or_to_all(bob: Room) -> None:
    assert bob.clear(CHAT, None).to is None
    assert bob.clear(CHAT, bob.leader).to is not None


def test_an_older_key_seals_until_a_removal_is_seen(bob: Room) -> None:
    newest = bob.keyring.newest
    assert newest is not None
    older = replace(newest, key_id=KeyId(bytes(32)))
    assert bob.may_seal_under(older)
    bob.keyring.stop()
    assert not bob.may_seal_under(older)
    assert bob.may_seal_under(newest)


def test_few_landed_epochs_are_waited_for(bob: Room) -> None:
    for steps in range(MAX_WANTED + 3):
        bob.want(*wanted_after(bob, steps))
    assert len(bob.wanted) == MAX_WANTED
    assert KeyId(bytes([MAX_WANTED + 2]) * 32) in bob.wanted


def test_an_installed_key_ends_the_wait_for_older_ones(bob: Room) -> None:
    for steps in (1, 2, 3):
        bob.want(*wanted_after(bob, steps))
    effects = bob.install(KeyId(bytes([2]) * 32), TOOLS.secret(), 0)
    assert list(bob.wanted) == [KeyId(bytes([3]) * 32)]
    assert [type(effect) for effect in effects] == [fx.KeysInstalled, fx.Tell, fx.Post]


def test_removals_are_forgotten_with_what_cannot_land(meeting: World) -> None:
    bob, carol = meeting.nodes["bob"].room, meeting.nodes["carol"].id
    last = bob.meeting_state.last
    alive = Pushed(b"alive", 0, last, frozenset({carol}))
    dead = Pushed(b"dead", 0, EntryId(bytes(32)), frozenset({bob.inside()[0]}))
    bob.pushed = {EntryId(b"a"): alive, EntryId(b"d"): dead}
    bob.settle_pushed()
    assert list(bob.pushed.values()) == [alive]
    assert bob.removed == {carol}
    leader = meeting.nodes["leader"].room
    assert leader.leading is not None
    leader.leading.remove.add(carol)
    leader.settle_pushed()
    assert leader.removed == {carol}


@pytest.mark.parametrize("name", ["leader", "bob"])
def test_a_wiped_room_is_over_and_zero(meeting: World, name: str) -> None:
    room = meeting.nodes[name].room
    room.proof_keys[EntryId(bytes(32))] = TOOLS.secret()
    secret = room.proof_keys[EntryId(bytes(32))]
    room.wipe()
    assert room.phase is Phase.OVER
    assert not any(secret.buffer)
    assert room.keyring.live() == []


def test_who_never_had_a_key_is_wiped_too(asker: Room) -> None:
    asker.wipe()
    assert asker.phase is Phase.OVER


def test_a_switch_waits_for_a_removal_to_land(bob: Room) -> None:
    bob.want(*wanted_after(bob, 1))
    key_id = next(iter(bob.wanted))
    bob.install(key_id, TOOLS.secret(), 0)
    bob.keyring.stop()
    assert bob.switch(key_id, 1000) == []
    bob.keyring.stopped = False
    assert [type(effect) for effect in bob.switch(key_id, 1000)] == [
        fx.SendUnder,
        fx.Tell,
    ]
    assert bob.switch(key_id, 1000) == []


def test_the_first_key_is_sent_under_at_once_and_what_waited_goes(bob: Room) -> None:
    bob.keyring.wipe()
    assert not bob.held_back()
    bob.group(CHAT)
    assert bob.state is not None
    last = KeyId(bob.state.last)
    context = wanted_context(bob)
    bob.want(last, context)
    effects = bob.install(last, TOOLS.secret(), 0)
    assert fx.SendUnder(context.context.epoch) in effects
    assert isinstance(effects[-1], fx.Post)


def wanted_context(room: Room) -> Wanted:
    state = room.meeting_state
    context = EpochContext(state.meeting_id, state.last, bytes(32), 0, state.epoch)
    return Wanted(context, bytes(32), 0)

# SPDX-License-Identifier: Apache-2.0
"""What follows from each entry that the ledger ordered."""

from collections.abc import Callable
from typing import Any

import pytest
from tests.sim.people import TOOLS
from tests.sim.scenario import let_in
from tests.sim.world import World

from incamera.errors import Code
from incamera.protocol import effects as fx
from incamera.protocol.account import UserPlan, new_user
from incamera.protocol.bodies import Leave
from incamera.protocol.entry import EntryType, sign_entry
from incamera.protocol.landing import fold, land
from incamera.protocol.meeting_state import next_header
from incamera.protocol.policy import Doors
from incamera.protocol.proof import Record
from incamera.protocol.room import Phase

Refused = Callable[[Code], Any]


def leave_of(world: World, name: str) -> Record:
    seat = world.nodes[name].seat
    assert world.state is not None
    seq, prev = next_header(world.state, seat.signer.public, EntryType.LEAVE)
    body = Leave(reason=0)
    entry = sign_entry(seat.signer, body, place=seat.meeting, seq=seq, prev=prev)
    return Record(time_ms=world.now_ms, entry=entry.data)


def test_an_entry_that_is_not_legal_changes_nothing(
    meeting: World, refused: Refused
) -> None:
    bob = meeting.nodes["bob"].room
    count, state = bob.count, bob.state
    with refused(Code.DUPLICATE):
        land(bob, meeting.records[0], 0)
    assert (bob.count, bob.state) == (count, state)


def test_a_users_topic_is_no_meeting(world: World, refused: Refused) -> None:
    room = world.founder().room
    plan = UserPlan(name="Ada", clear=True, device_name="laptop")
    root = new_user(TOOLS, plan, ledger_id=world.ledger_id).entry.data
    with refused(Code.WRONG_PLACE):
        fold(room, Record(time_ms=1, entry=root))
    assert room.state is None


def test_the_leader_starts_with_an_epoch_of_its_own(world: World) -> None:
    founder = world.founder()
    world.until(lambda: world.one_room("leader"))
    assert founder.room.phase is Phase.INSIDE
    assert founder.heard(fx.CameIn) == []
    assert [type(e).__name__ for e in founder.done].count("Append") == 2


def test_a_joiner_hears_of_its_request_and_its_coming_in(meeting: World) -> None:
    dora = meeting.asker("dora")
    let_in(meeting, "dora")
    meeting.until(lambda: meeting.one_room("leader", "bob", "carol", "dora"))
    assert dora.heard(fx.Waiting) == [fx.Waiting(dora.id)]
    assert fx.CameIn(dora.id) in dora.told
    assert dora.room.request_box is None


@pytest.mark.parametrize("name", ["leader", "carol"])
def test_a_leave_is_told_and_the_leader_acts(meeting: World, name: str) -> None:
    room, bob = meeting.nodes[name].room, meeting.nodes["bob"].id
    effects = land(room, leave_of(meeting, "bob"), meeting.now_ms)
    assert effects[0] == fx.Tell(fx.Leaving(bob))
    assert any(isinstance(e, fx.Append) for e in effects) is (name == "leader")


def test_our_own_leave_erases_everything(meeting: World) -> None:
    room = meeting.nodes["bob"].room
    effects = land(room, leave_of(meeting, "bob"), meeting.now_ms)
    assert effects == [fx.StopSending(), fx.Tell(fx.Ended("left")), fx.Erase()]
    assert room.phase is Phase.OVER


def test_a_withdrawn_request_is_nobodys_leave(meeting: World) -> None:
    meeting.asker("dora")
    meeting.pass_ms(100)
    record = leave_of(meeting, "dora")
    assert land(meeting.nodes["carol"].room, record, meeting.now_ms) == []


def test_when_the_last_one_left_it_is_over_for_who_waits(world: World) -> None:
    world.founder()
    world.until(lambda: world.one_room("leader"))
    dora = world.asker("dora")
    world.pass_ms(100)
    effects = land(dora.room, leave_of(world, "leader"), world.now_ms)
    assert fx.Tell(fx.Ended("everybody left")) in effects


def test_who_is_dropped_is_cut_off_and_forgotten(meeting: World) -> None:
    carol, bob = meeting.nodes["carol"], meeting.nodes["bob"].id
    meeting.nodes["leader"].do(lambda m: m.remove(bob, meeting.now_ms))
    meeting.until(lambda: meeting.one_room("leader", "carol"))
    assert fx.WentOut(bob, 3) in carol.told
    assert carol.done.count(fx.Cut(bob)) == 2  # at the push, and as it landed
    assert carol.room.people.find(bob).proof_key is None
    assert carol.room.pushed == {}
    assert meeting.nodes["bob"].heard(fx.Ended) == [fx.Ended("removed")]


def test_who_left_and_reads_on_hears_that_it_left(meeting: World) -> None:
    bob = meeting.nodes["bob"]
    before = len(meeting.records)
    bob.over = True  # it does not read its own leave at once
    meeting.append(leave_of(meeting, "bob").entry)
    meeting.until(lambda: meeting.one_room("leader", "carol"))
    fold(bob.room, meeting.records[before])
    effects = land(bob.room, meeting.records[before + 1], meeting.now_ms)
    assert fx.Tell(fx.Ended("left")) in effects


def test_who_only_asks_sees_epochs_go_by(meeting: World) -> None:
    meeting.asker("dora")
    emil = meeting.asker("emil")
    let_in(meeting, "dora")
    meeting.pass_ms(100)
    assert emil.room.phase is Phase.ASKING
    assert emil.room.wanted == {}


def test_doors_and_end_are_told(meeting: World) -> None:
    leader, bob = meeting.nodes["leader"], meeting.nodes["bob"]
    leader.do(lambda m: m.doors(Doors.CLOSED, meeting.now_ms))
    meeting.pass_ms(100)
    leader.do(lambda m: m.end(meeting.now_ms))
    meeting.pass_ms(100)
    assert bob.heard(fx.DoorsChanged) == [fx.DoorsChanged(int(Doors.CLOSED))]
    assert bob.heard(fx.Ended) == [fx.Ended("dismissed")]


def test_a_saved_proof_key_goes_to_its_owner_once_met(meeting: World) -> None:
    bob = meeting.nodes["bob"]
    bob.member = None
    bob.start()
    assert bob.room.proof_keys == {}
    assert bob.room.people.lacking_keys([meeting.nodes["carol"].id]) == []


def test_an_epoch_in_the_place_of_ours_ends_ours(meeting: World) -> None:
    leader, carol = meeting.nodes["leader"], meeting.nodes["carol"].id
    bob = meeting.nodes["bob"].id
    leading = leader.room.leading
    assert leading is not None
    append, meeting.append = meeting.append, lambda _: None  # type: ignore[method-assign,assignment]  # wait
    leader.do(lambda m: m.remove(carol, meeting.now_ms))
    first = leading.pending
    assert first is not None
    leading.pending = None
    leader.do(lambda m: m.remove(bob, meeting.now_ms))
    second = leading.pending
    assert second is not None
    meeting.append = append  # the ledger is back
    meeting.append(first.entry)
    meeting.wake(leader)
    assert not any(second.key.buffer)
    meeting.until(lambda: meeting.one_room("leader"))

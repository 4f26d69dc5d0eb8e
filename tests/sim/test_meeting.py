# SPDX-License-Identifier: Apache-2.0
"""Members' machines in one world: what the meeting comes to."""

from typing import Any

import pytest

from incamera.protocol import effects as fx
from incamera.protocol.policy import Doors


def test_three_meet_under_one_key(meeting: Any) -> None:
    assert meeting.one_room("leader", "bob", "carol")
    assert not meeting.refused
    assert not meeting.suspects


def test_what_one_says_all_the_others_hear(meeting: Any) -> None:
    nodes = meeting.nodes
    nodes["bob"].do(lambda m: m.say("hello", meeting.now_ms))
    meeting.pass_ms(1000)
    for name in ("leader", "carol"):
        assert nodes[name].heard(fx.Said) == [fx.Said(nodes["bob"].id, "hello")]


def test_who_leaves_is_out_and_the_others_have_a_new_key(meeting: Any) -> None:
    bob, before = meeting.nodes["bob"], meeting.nodes["carol"].key()
    bob.do(lambda m: m.leave(meeting.now_ms))
    meeting.until(lambda: meeting.one_room("leader", "carol"))
    assert meeting.nodes["carol"].key() != before
    assert bob.heard(fx.Ended) == [fx.Ended("left")]
    assert bob.disk == b""


def test_who_is_removed_is_out(meeting: Any) -> None:
    bob = meeting.nodes["bob"]
    meeting.nodes["leader"].do(lambda m: m.remove(bob.id, meeting.now_ms))
    meeting.until(lambda: meeting.one_room("leader", "carol"))
    meeting.pass_ms(100)
    assert bob.heard(fx.Ended) == [fx.Ended("removed")]
    assert fx.Cut(bob.id) in meeting.nodes["carol"].done


def test_all_keys_go_when_the_leader_ends_it(meeting: Any) -> None:
    meeting.nodes["leader"].do(lambda m: m.end(meeting.now_ms))
    meeting.pass_ms(100)
    for node in meeting.nodes.values():
        assert node.heard(fx.Ended) == [fx.Ended("dismissed")]
        assert node.disk == b""


def test_closed_doors_keep_askers_out(meeting: Any) -> None:
    meeting.nodes["leader"].do(lambda m: m.doors(Doors.CLOSED, meeting.now_ms))
    meeting.pass_ms(1000)
    meeting.asker("dora")
    meeting.pass_ms(1000)
    assert [error.code.value for error in meeting.refused] == ["doors-closed"]


@pytest.mark.parametrize("victim", ["leader", "bob"])
def test_a_member_comes_back_from_any_point(
    victim: str, new_world: Any, gather: Any, weather: Any
) -> None:
    world = new_world(1, weather())
    point = 0
    while True:
        point += 1
        world = new_world(1, weather())
        if not _run_with_crash(world, victim, point, gather):
            break
    assert point > 10


def _run_with_crash(world: Any, victim: str, point: int, gather: Any) -> bool:
    gather(world, "bob", "carol")
    node = world.nodes[victim]
    node.dies_at = node.points + point
    world.asker("dora")
    world.until(lambda: len(world.state.requests) == 1)
    world.pass_ms(3000)
    leader = world.nodes["leader"]
    world.until(lambda: leader.member is not None)
    world.give(leader, lambda m: m.admit(world.nodes["dora"].id, world.now_ms))
    world.until(lambda: leader.member is not None)
    world.pass_ms(5000)
    if not world.one_room("leader", "bob", "carol", "dora"):
        leader.do(lambda m: m.admit(world.nodes["dora"].id, world.now_ms))
    world.until(lambda: world.one_room("leader", "bob", "carol", "dora"))
    carol = world.nodes["carol"]
    leader.do(
        lambda m: m.remove(carol.id, world.now_ms)
    ) if leader.dies_at is None else world.give(
        leader, lambda m: m.remove(carol.id, world.now_ms)
    )
    world.until(lambda: leader.member is not None)
    world.pass_ms(5000)
    if carol.member is not None and carol.disk:
        world.give(leader, lambda m: m.remove(carol.id, world.now_ms))
    world.until(lambda: world.one_room("leader", "bob", "dora"))
    return node.dies_at is None


@pytest.mark.parametrize("seed", range(8))
def test_one_room_in_bad_weather(
    seed: int, new_world: Any, gather: Any, weather: Any
) -> None:
    rough = weather(lost=0.2, doubled=0.2, delay_ms=(1, 400))
    world = new_world(seed, rough)
    gather(world, "bob", "carol", "dora", "emil")
    leader = world.nodes["leader"]
    leader.do(lambda m: m.remove(world.nodes["dora"].id, world.now_ms))
    world.until(lambda: world.one_room("leader", "bob", "carol", "emil"), 120_000)

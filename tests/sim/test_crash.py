# SPDX-License-Identifier: Apache-2.0
"""A process may die before any save and between any two effects."""

import random
from functools import cache

import pytest
from tests.sim.scenario import whole_life
from tests.sim.watch import (
    faults,
    repeated_generations,
    reused_steps,
    signed_epochs,
    signed_messages,
    twice,
    two_on_one,
)
from tests.sim.world import World

VICTIMS = ("leader", "bob", "carol", "dora")


def live(victim: str, point: int, seed: int = 1) -> World:
    """Live through a meeting in which `victim` dies at `point`."""
    world = World(seed)
    world.dies[victim] = point
    whole_life(world)
    return world


def points_of(victim: str) -> int:
    return live(victim, 0).nodes[victim].points


@cache
def sample() -> list[tuple[str, int]]:
    chosen = random.Random(3)
    places = [(victim, p) for victim in VICTIMS for p in range(1, points_of(victim))]
    return chosen.sample(places, 24)


@pytest.mark.parametrize("number", range(24))
def test_a_meeting_goes_on_from_any_point(number: int) -> None:
    victim, point = sample()[number]
    world = live(victim, point)
    assert world.nodes[victim].dies_at is None
    assert faults(world) == []


@pytest.mark.slow
@pytest.mark.parametrize("victim", VICTIMS)
def test_a_meeting_goes_on_from_every_point(victim: str) -> None:
    point = 1
    while True:
        world = live(victim, point)
        if world.nodes[victim].dies_at is not None:
            break
        assert faults(world) == [], f"point {point}"
        point += 1
    assert point > 50


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(40))
def test_a_meeting_goes_on_though_all_die(seed: int) -> None:
    chosen = random.Random(seed)
    world = World(seed)
    world.dies = {victim: chosen.randint(1, 80) for victim in VICTIMS}
    whole_life(world)
    assert faults(world) == []


def test_a_counter_used_twice_is_noticed_control() -> None:
    world = live("bob", 0)
    first, *others = signed_messages(world)
    again = type(first)(first.sender, first.counter, b"another message")
    assert twice([first, *others, again]) == [(first.sender, first.counter)]


def test_a_disk_that_forgets_repeats_itself_control(meeting: World) -> None:
    # Two lives from one save: what saving before sending prevents.
    leader, carol = meeting.nodes["leader"], meeting.nodes["carol"].id
    disk = leader.disk
    for _ in range(2):
        leader.disk = disk
        leader.start()
        leader.start_stream()
        leader.do(lambda m: m.remove(carol, meeting.now_ms))
        meeting.wake(leader)
        meeting.until(lambda: meeting.one_room("leader", "bob"))
    assert twice(signed_messages(meeting))
    assert repeated_generations(meeting) == ["leader"]
    assert two_on_one(signed_epochs(meeting))
    assert reused_steps(meeting)

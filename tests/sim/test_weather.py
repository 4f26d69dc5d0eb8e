# SPDX-License-Identifier: Apache-2.0
"""A relay that loses, repeats, delays and reorders."""

import random

import pytest
from tests.sim.scenario import gather, let_in
from tests.sim.watch import faults
from tests.sim.world import Weather, World

PATIENCE_MS = 600_000


def weather(seed: int) -> Weather:
    """Return bad weather, another for every seed."""
    chosen = random.Random(seed)
    return Weather(
        lost=chosen.uniform(0, 0.35),
        doubled=chosen.uniform(0, 0.4),
        delay_ms=(1, chosen.choice([5, 100, 400, 1500])),
        in_order=chosen.random() < 0.5,
    )


def live_in(seed: int) -> World:
    """Let five meet, one be removed, one leave and one come, in bad weather."""
    world = World(seed, weather(seed))
    gather(world, "bob", "carol", "dora", "emil", limit_ms=PATIENCE_MS)
    leader, dora = world.nodes["leader"], world.nodes["dora"].id
    leader.do(lambda m: m.remove(dora, world.now_ms))
    world.give(world.nodes["bob"], lambda m: m.leave(world.now_ms))
    world.asker("frida")
    let_in(world, "frida")
    names = ("leader", "carol", "emil", "frida")
    world.until(lambda: world.one_room(*names), PATIENCE_MS)
    world.until(lambda: world.all_checked(*names), PATIENCE_MS)
    return world


@pytest.mark.parametrize("seed", range(10))
def test_one_room_in_bad_weather(seed: int) -> None:
    assert faults(live_in(seed)) == []


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(10, 220))
def test_one_room_in_all_weathers(seed: int) -> None:
    assert faults(live_in(seed)) == []


def test_without_any_relay_there_is_no_room_control() -> None:
    world = World(1, Weather(lost=1.0))
    with pytest.raises(AssertionError, match="never came to pass"):
        gather(world, "bob")

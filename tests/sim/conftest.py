# SPDX-License-Identifier: Apache-2.0
"""Meetings to begin with; the world itself is in world.py."""

import sys
from pathlib import Path

import pytest

HOME = str(Path(__file__).parents[2])
if HOME not in sys.path:  # no packages in tests: they are found from the top
    sys.path.insert(0, HOME)

from tests.sim.scenario import gather  # noqa: E402  # needs the path
from tests.sim.world import World  # noqa: E402  # as above


@pytest.fixture
def world() -> World:
    """A world with a calm relay."""
    return World()


@pytest.fixture
def meeting(world: World) -> World:
    """A meeting of leader, bob and carol, all inside and checked."""
    gather(world, "bob", "carol")
    return world

# SPDX-License-Identifier: Apache-2.0
"""Who can read what, when everything on wire, ledger and air is recorded."""

from dataclasses import replace
from functools import cache

import pytest
from tests.sim.scenario import gather, let_in
from tests.sim.spy import Spy, spy_of
from tests.sim.world import World

from incamera.protocol.keyring import EpochKey
from incamera.protocol.schedule import commitment
from incamera.protocol.secret import Secret

FIRST, WITH_DORA, WITHOUT_CAROL, WITHOUT_BOB = 3, 4, 5, 6


@cache
def recorded() -> World:
    """Dora joins, carol is put out, bob leaves; all talk and film in between."""
    world = World()
    gather(world, "bob", "carol")
    talk(world, "leader", "bob", "carol")
    world.asker("emil")
    world.asker("dora")
    let_in(world, "dora")
    talk(world, "leader", "bob", "carol", "dora")
    carol = world.nodes["carol"].id
    world.nodes["leader"].do(lambda m: m.remove(carol, world.now_ms))
    talk(world, "leader", "bob", "dora")
    world.nodes["bob"].do(lambda m: m.leave(world.now_ms))
    talk(world, "leader", "dora")
    return world


def talk(world: World, *names: str) -> None:
    world.until(lambda: world.one_room(*names))
    world.until(lambda: world.all_checked(*names))
    for name in names:
        world.nodes[name].do(lambda m: m.say("a secret", world.now_ms))
        world.film(name)
    world.pass_ms(5000)


def sizes(keys: list[EpochKey]) -> set[int]:
    return {len(key.key) for key in keys}


def what(spy: Spy) -> list[set[int]]:
    """The epochs whose keys, words and pictures a spy gets."""
    return [spy.epochs(), spy.words(), spy.pictures()]


def test_there_were_words_and_pictures_in_every_epoch() -> None:
    everybody = Spy(recorded(), {}, recorded().keys)
    assert everybody.words() >= {FIRST, WITH_DORA, WITHOUT_CAROL, WITHOUT_BOB}
    assert everybody.pictures() == {FIRST, WITH_DORA, WITHOUT_CAROL, WITHOUT_BOB}


@pytest.mark.acceptance("D-06")
def test_every_meeting_key_has_32_bytes() -> None:
    keys = list(recorded().keys.values())
    assert sizes(keys) == {32}
    assert len({commitment(key.key) for key in keys}) == len(keys) == WITHOUT_BOB


def test_every_meeting_key_has_32_bytes_control() -> None:
    key = next(iter(recorded().keys.values()))
    assert sizes([replace(key, key=Secret(bytearray(16)))]) != {32}


@pytest.mark.acceptance("D-07")
def test_members_hold_one_key_and_nobody_else_does() -> None:
    world = recorded()
    held = [
        {commitment(k.key) for k in node.keys.values() if k.epoch == WITH_DORA}
        for node in world.nodes.values()
    ]
    assert len(set.union(*held)) == 1
    assert [len(keys) for keys in held] == [1, 1, 1, 0, 1]
    assert what(spy_of(world.nodes["emil"], world)) == [set(), set(), set()]


def test_members_hold_one_key_and_nobody_else_does_control() -> None:
    assert WITH_DORA in spy_of(recorded().nodes["carol"], recorded()).epochs()


@pytest.mark.acceptance("Z1-05")
def test_who_only_listens_reads_nothing() -> None:
    assert what(Spy(recorded()).work()) == [set(), set(), set()]


def test_who_only_listens_reads_nothing_control() -> None:
    # One KEM seed more, and the same listener reads what its owner read.
    dora = recorded().nodes["dora"]
    spy = Spy(recorded(), dict(dora.hoard)).work()
    assert what(spy) == [{WITH_DORA, WITHOUT_CAROL, WITHOUT_BOB}] * 3


@pytest.mark.acceptance("D-09")
@pytest.mark.acceptance("Z1-13")
def test_a_joiner_reads_nothing_from_before_it_came() -> None:
    spy = spy_of(recorded().nodes["dora"], recorded())
    assert what(spy) == [{WITH_DORA, WITHOUT_CAROL, WITHOUT_BOB}] * 3


def test_a_joiner_reads_nothing_from_before_it_came_control() -> None:
    spy = spy_of(recorded().nodes["bob"], recorded())
    assert FIRST in spy.epochs() & spy.words() & spy.pictures()


@pytest.mark.acceptance("Z1-14")
@pytest.mark.parametrize(
    ("name", "out"), [("carol", WITHOUT_CAROL), ("bob", WITHOUT_BOB)]
)
def test_who_is_out_and_keeps_every_key_reads_nothing_later(
    name: str, out: int
) -> None:
    spy = spy_of(recorded().nodes[name], recorded())
    for epochs in what(spy):
        assert max(epochs) == out - 1


def test_who_is_out_and_keeps_every_key_reads_nothing_later_control() -> None:
    for epochs in what(spy_of(recorded().nodes["dora"], recorded())):
        assert max(epochs) == WITHOUT_BOB

# SPDX-License-Identifier: Apache-2.0
"""What is left of keys after an end, and what never comes twice before it."""

import gc
from collections.abc import Iterable

import pytest
from tests.sim.film import Film, film
from tests.sim.scenario import let_in
from tests.sim.world import World

from incamera.protocol.bodies import Dismiss
from incamera.protocol.entry import EntryType, sign_entry
from incamera.protocol.meeting_state import next_header
from incamera.protocol.room import Room
from incamera.protocol.schedule import base_key
from incamera.protocol.secret import Secret
from incamera.protocol.sframe import parse_header


def secrets_of(room: Room) -> list[Secret]:
    """Return every Secret that can be reached from a room."""
    found, seen, queue = [], set[int](), [object(), *gc.get_referents(room)]
    while queue:
        thing = queue.pop()
        if id(thing) in seen or isinstance(thing, type) or _is_code(thing):
            continue
        seen.add(id(thing))
        if isinstance(thing, Secret):
            found.append(thing)
        else:
            queue += gc.get_referents(thing)
    return found


def _is_code(thing: object) -> bool:
    return type(thing).__name__ in {"module", "function", "method", "code"}


def left(secrets: Iterable[Secret]) -> int:
    return sum(any(secret.buffer) for secret in secrets)


@pytest.mark.acceptance("Z1-33")
@pytest.mark.acceptance("D-16")
@pytest.mark.parametrize("name", ["leader", "bob"])
def test_every_secret_is_zero_after_the_end(meeting: World, name: str) -> None:
    secrets = secrets_of(meeting.nodes[name].room)
    assert len(secrets) > 8
    meeting.nodes["leader"].do(lambda m: m.end(meeting.now_ms))
    meeting.pass_ms(100)
    secrets += secrets_of(meeting.nodes[name].room)
    assert left(secrets) == 0
    assert meeting.nodes[name].disk == b""


@pytest.mark.parametrize("name", ["leader", "bob"])
def test_every_secret_is_zero_after_the_end_control(meeting: World, name: str) -> None:
    assert left(secrets_of(meeting.nodes[name].room)) > 8


@pytest.mark.acceptance("D-16")
@pytest.mark.parametrize("name", ["bob", "leader"])
def test_only_the_leader_ends_it(meeting: World, name: str) -> None:
    signer = meeting.nodes[name].seat.signer
    assert meeting.state is not None
    seq, prev = next_header(meeting.state, signer.public, EntryType.DISMISS)
    body, place = Dismiss(term=0, reason=0), meeting.nodes[name].seat.meeting
    meeting.append(sign_entry(signer, body, place=place, seq=seq, prev=prev).data)
    meeting.pass_ms(100)
    over = [node.over for node in meeting.nodes.values()]
    assert over == [name == "leader"] * 3


@pytest.mark.acceptance("Z1-33")
def test_every_secret_is_zero_after_a_leave(meeting: World) -> None:
    secrets = secrets_of(meeting.nodes["bob"].room)
    meeting.nodes["bob"].do(lambda m: m.leave(meeting.now_ms))
    meeting.until(lambda: meeting.one_room("leader", "carol"))
    assert left(secrets) == 0


def test_every_secret_is_zero_after_a_leave_control(meeting: World) -> None:
    secrets = secrets_of(meeting.nodes["carol"].room)
    meeting.nodes["bob"].do(lambda m: m.leave(meeting.now_ms))
    meeting.until(lambda: meeting.one_room("leader", "carol"))
    assert left(secrets) > 5


def test_secrets_that_are_replaced_are_zero(meeting: World) -> None:
    """Keys of gone epochs, used KEM keys, used steps: only what is held is left."""
    leader, carol = meeting.nodes["leader"], meeting.nodes["carol"].id
    before = {name: secrets_of(node.room) for name, node in meeting.nodes.items()}
    leader.do(lambda m: m.remove(carol, meeting.now_ms))
    meeting.until(lambda: meeting.one_room("leader", "bob"))
    meeting.pass_ms(5000)
    for name in ("leader", "bob"):
        held = {id(secret) for secret in secrets_of(meeting.nodes[name].room)}
        gone = [secret for secret in before[name] if id(secret) not in held]
        assert gone
        assert left(gone) == 0


# --------------------------------------------------------- no key and counter twice


def uses(films: Iterable[Film], world: World) -> list[tuple[bytes, int]]:
    """Return base key and counter of every frame: together, what a nonce comes from."""
    keys = world.keys
    return [
        (
            bytes(
                base_key(
                    keys[film.key_id].key,
                    meeting=film.meeting,
                    epoch=film.epoch,
                    slot=film.slot,
                    number=film.number,
                ).buffer
            ),
            parse_header(film.data).counter,
        )
        for film in films
    ]


def films_over_restart_and_rejoin(world: World) -> None:
    bob = world.nodes["bob"]
    for _ in range(3):
        world.film("bob")
        world.film("bob")
        bob.member = None
        bob.start()
    bob.do(lambda m: m.leave(world.now_ms))
    world.until(lambda: world.one_room("leader", "carol"))
    world.nodes["first bob"] = world.nodes.pop("bob")
    world.asker("bob")
    let_in(world, "bob")
    world.until(lambda: world.one_room("leader", "carol", "bob"))
    world.film("bob")


@pytest.mark.acceptance("Z1-11")
def test_no_key_and_counter_come_twice_over_restart_and_rejoin(meeting: World) -> None:
    films_over_restart_and_rejoin(meeting)
    pairs = uses(meeting.films, meeting)
    assert len(pairs) == len(set(pairs)) == 7


def test_no_key_and_counter_come_twice_over_restart_and_rejoin_control(
    meeting: World,
) -> None:
    bob = meeting.nodes["bob"]
    meeting.film("bob")
    again = film(bob, meeting.films[0].number)  # a start with the generation of before
    pairs = uses([*meeting.films, again], meeting)
    assert len(set(pairs)) < len(pairs)

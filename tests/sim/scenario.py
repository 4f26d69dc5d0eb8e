# SPDX-License-Identifier: Apache-2.0
"""What people do in a meeting, told so that any of their processes may die."""

from tests.sim.world import World

from incamera.protocol.policy import Doors


def gather(world: World, *names: str, limit_ms: int = 60_000) -> None:
    """Let these people meet and check each other."""
    world.founder()
    world.until(lambda: world.one_room("leader"), limit_ms)
    for name in names:
        world.asker(name)
        let_in(world, name)
    world.until(lambda: world.one_room("leader", *names), limit_ms)
    world.until(lambda: world.all_checked("leader", *names), limit_ms)


def let_in(world: World, name: str) -> None:
    """Let the leader admit somebody who asks, however often it takes."""

    def knocks() -> bool:
        node = world.nodes[name]
        return node.alive and node.id in world.asked()

    def inside() -> bool:
        ids = set() if world.state is None else world.state.roster.values()
        return knocks() and world.nodes[name].id in {member.id for member in ids}

    world.until(knocks)
    world.insist(
        "leader", lambda m: m.admit(world.nodes[name].id, world.now_ms), inside
    )


def whole_life(world: World) -> None:
    """A meeting from publish to dismiss, with everything between."""
    gather(world, "bob")
    world.asker("carol")
    world.asker("dora")
    let_in(world, "carol")
    let_in(world, "dora")
    world.until(lambda: world.one_room("leader", "bob", "carol", "dora"))
    streams(world)
    _speak_and_remove(world)
    streams(world)
    _close_and_leave(world)
    world.insist("leader", lambda m: m.end(world.now_ms), lambda: over(world))


def _speak_and_remove(world: World) -> None:
    carol = world.nodes["carol"].id
    world.give(world.nodes["bob"], lambda m: m.say("hello", world.now_ms))
    world.insist(
        "leader",
        lambda m: m.remove(carol, world.now_ms),
        lambda: world.one_room("leader", "bob", "dora"),
    )
    world.until(lambda: world.all_checked("leader", "bob", "dora"))


def _close_and_leave(world: World) -> None:
    def closed() -> bool:
        state = world.state
        return state is not None and state.policy.doors is Doors.CLOSED

    world.insist("leader", lambda m: m.doors(Doors.CLOSED, world.now_ms), closed)
    world.insist(
        "bob",
        lambda m: m.leave(world.now_ms),
        lambda: world.one_room("leader", "dora"),
    )
    assert world.nodes["leader"].room.leading is not None
    world.until(lambda: _has_gate(world))


def _has_gate(world: World) -> bool:
    node = world.nodes["leader"]
    return (
        node.alive
        and node.room.leading is not None
        and (node.room.leading.link_secret is None)
    )


def streams(world: World) -> None:
    """Let everybody start a stream."""
    for node in world.nodes.values():
        world.give_stream(node)


def over(world: World) -> bool:
    """True when nobody has anything left."""
    return all(node.over and not node.disk for node in world.nodes.values())

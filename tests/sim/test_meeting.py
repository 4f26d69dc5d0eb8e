# SPDX-License-Identifier: Apache-2.0
"""Members' machines in one world: what the meeting comes to."""

from tests.sim.scenario import gather, let_in
from tests.sim.watch import faults
from tests.sim.world import World

from incamera.protocol import effects as fx
from incamera.protocol.bodies import Epoch, EpochKind
from incamera.protocol.entry import parse_entry
from incamera.protocol.policy import Doors


def epochs(world: World) -> list[Epoch]:
    bodies = [parse_entry(record.entry).body for record in world.records]
    return [body for body in bodies if isinstance(body, Epoch)]


def test_three_meet_under_one_key(meeting: World) -> None:
    assert meeting.one_room("leader", "bob", "carol")
    assert meeting.all_checked("leader", "bob", "carol")
    assert not meeting.refused
    assert not meeting.suspects
    assert faults(meeting) == []


def test_what_one_says_all_the_others_hear(meeting: World) -> None:
    nodes = meeting.nodes
    nodes["bob"].do(lambda m: m.say("hello", meeting.now_ms))
    meeting.pass_ms(1000)
    for name in ("leader", "carol"):
        assert nodes[name].heard(fx.Said) == [fx.Said(nodes["bob"].id, "hello")]


def test_who_is_removed_is_out(meeting: World) -> None:
    bob = meeting.nodes["bob"]
    meeting.nodes["leader"].do(lambda m: m.remove(bob.id, meeting.now_ms))
    meeting.until(lambda: meeting.one_room("leader", "carol"))
    meeting.pass_ms(100)
    assert bob.heard(fx.Ended) == [fx.Ended("removed")]
    assert bob.disk == b""
    assert fx.Cut(bob.id) in meeting.nodes["carol"].done


def test_all_keys_go_when_the_leader_ends_it(meeting: World) -> None:
    meeting.nodes["leader"].do(lambda m: m.end(meeting.now_ms))
    meeting.pass_ms(100)
    for node in meeting.nodes.values():
        assert node.heard(fx.Ended) == [fx.Ended("dismissed")]
        assert node.disk == b""


def test_closed_doors_keep_askers_out(meeting: World) -> None:
    meeting.nodes["leader"].do(lambda m: m.doors(Doors.CLOSED, meeting.now_ms))
    meeting.pass_ms(1000)
    meeting.asker("dora")
    meeting.pass_ms(1000)
    assert [error.code.value for error in meeting.refused] == ["doors-closed"]


def test_an_old_link_ends_with_its_gate(meeting: World) -> None:
    old = meeting.asking()
    leader = meeting.nodes["leader"]
    leader.do(lambda m: m.doors(Doors.CLOSED, meeting.now_ms))
    meeting.pass_ms(1000)
    leader.do(lambda m: m.doors(Doors.OPEN, meeting.now_ms))
    meeting.pass_ms(1000)
    meeting.asking = lambda: old  # type: ignore[method-assign]  # the link of before
    meeting.asker("dora")
    meeting.pass_ms(1000)
    assert [error.code.value for error in meeting.refused] == ["bad-cosignature"]
    del meeting.asking  # and the new one
    meeting.asker("emil")
    let_in(meeting, "emil")
    meeting.until(lambda: meeting.one_room("leader", "bob", "carol", "emil"))


def test_requests_and_leaves_between_do_not_void_an_epoch(meeting: World) -> None:
    # The leader signs one epoch; a request and a leave are ordered before it.
    leader, bob = meeting.nodes["leader"], meeting.nodes["bob"]
    meeting.asker("dora")
    meeting.until(lambda: meeting.nodes["dora"].id in meeting.asked())
    leader.do(lambda m: m.admit(meeting.nodes["dora"].id, meeting.now_ms))
    assert leader.room.leading is not None
    assert leader.room.leading.pending is not None
    signed = leader.room.leading.pending.entry
    bob.do(lambda m: m.leave(meeting.now_ms))
    for entry in (_leave(bob.done), meeting.asker("emil").room.seat.entry_bytes):
        meeting.append(entry)
    meeting.append(signed)
    assert meeting.refused == []
    assert meeting.records[-1].entry == signed
    meeting.until(lambda: meeting.one_room("leader", "carol", "dora"))
    assert epochs(meeting)[-2].kind is EpochKind.RATCHET
    assert epochs(meeting)[-1].kind is EpochKind.FRESH


def _leave(done: list[fx.Effect]) -> bytes:
    return next(e.entry for e in reversed(done) if isinstance(e, fx.Append))


def test_who_withdraws_in_between_is_in_and_out_again(meeting: World) -> None:
    leader, dora = meeting.nodes["leader"], meeting.asker("dora")
    meeting.until(lambda: dora.id in meeting.asked())
    leader.do(lambda m: m.admit(dora.id, meeting.now_ms))
    dora.do(lambda m: m.leave(meeting.now_ms))
    meeting.append(_leave(dora.done))
    meeting.until(lambda: len(epochs(meeting)) > 3)
    meeting.until(lambda: meeting.one_room("leader", "bob", "carol"))
    assert dora.heard(fx.Ended) == [fx.Ended("left")]
    assert faults(meeting) == []


def test_who_was_declined_may_be_let_in_after_all(meeting: World) -> None:
    leader, dora = meeting.nodes["leader"], meeting.asker("dora")
    meeting.until(lambda: dora.id in meeting.asked())
    leader.do(lambda m: m.deny(dora.id, meeting.now_ms))
    meeting.until(lambda: bool(dora.heard(fx.Declined)))
    leader.do(lambda m: m.admit(dora.id, meeting.now_ms))
    meeting.until(lambda: meeting.one_room("leader", "bob", "carol", "dora"))


def test_many_ratchets_are_followed_by_a_fresh_key(world: World) -> None:
    gather(world)
    for number in range(34):
        name = f"guest{number}"
        world.asker(name)
        let_in(world, name)
        world.nodes[name].member = None  # it need not follow the others' coming
    kinds = [epoch.kind for epoch in epochs(world)]
    assert kinds == [EpochKind.FRESH, *[EpochKind.RATCHET] * 32, *kinds[33:]]
    assert kinds[33] is EpochKind.FRESH


def test_nobody_wakes_for_nothing(meeting: World) -> None:
    meeting.pass_ms(10_000)
    before = {name: node.points for name, node in meeting.nodes.items()}
    meeting.pass_ms(3_600_000)
    assert {name: node.points for name, node in meeting.nodes.items()} == before


def test_a_removal_that_does_not_land_keeps_nobody_busy(meeting: World) -> None:
    leader, bob = meeting.nodes["leader"], meeting.nodes["bob"]
    meeting.asker("dora")
    let_in(meeting, "dora")  # a new key is due to be switched to
    meeting.append = lambda _: None  # type: ignore[method-assign,assignment]  # ledger away
    leader.do(lambda m: m.remove(bob.id, meeting.now_ms))
    meeting.pass_ms(60_000)
    points = meeting.nodes["carol"].points
    meeting.pass_ms(60_000)
    # It offers the entry again every two seconds, and does nothing else.
    assert meeting.nodes["carol"].points - points <= 60 / 2 * 4
    assert meeting.nodes["carol"].room.keyring.stopped

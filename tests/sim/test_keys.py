# SPDX-License-Identifier: Apache-2.0
"""What a bad leader, a bad disk or bad timing may do to keys."""

from dataclasses import replace

from tests.sim.people import TOOLS
from tests.sim.scenario import gather, let_in
from tests.sim.watch import faults
from tests.sim.world import World

from incamera.errors import Code
from incamera.protocol import effects as fx
from incamera.protocol.policy import Doors


def test_nobody_uses_a_key_that_was_not_committed_to(meeting: World) -> None:
    leader, bob = meeting.nodes["leader"], meeting.nodes["bob"]
    before, carol = bob.key(), meeting.nodes["carol"].id
    leader.do(lambda m: m.remove(carol, meeting.now_ms))
    leading = leader.room.leading
    assert leading is not None
    assert leading.pending is not None
    leading.pending = replace(leading.pending, seed=TOOLS.secret())
    meeting.pass_ms(5000)
    assert bob.key() == before
    suspect = fx.Suspect(Code.BAD_COMMITMENT, "the leader's commitment to the key")
    assert suspect in bob.told
    assert bob.room.keyring.stopped


def test_nobody_uses_a_key_that_was_not_committed_to_control(meeting: World) -> None:
    bob, carol = meeting.nodes["bob"], meeting.nodes["carol"].id
    before = bob.key()
    meeting.nodes["leader"].do(lambda m: m.remove(carol, meeting.now_ms))
    meeting.pass_ms(5000)
    assert bob.key() != before
    assert not bob.room.keyring.stopped


def test_the_leader_stops_at_once_though_an_epoch_is_under_way(meeting: World) -> None:
    leader, bob = meeting.nodes["leader"], meeting.nodes["bob"].id
    meeting.asker("dora")
    meeting.until(lambda: meeting.nodes["dora"].id in meeting.asked())
    leader.do(lambda m: m.admit(meeting.nodes["dora"].id, meeting.now_ms))
    leader.do(lambda m: m.remove(bob, meeting.now_ms))
    assert leader.room.keyring.stopped
    assert fx.StopSending() in leader.done
    # The epoch under way lands with bob inside: nothing is sent under its key.
    sent = len([e for e in leader.done if isinstance(e, fx.SendUnder)])
    meeting.until(lambda: meeting.one_room("leader", "carol", "dora"))
    under = [e.epoch for e in leader.done if isinstance(e, fx.SendUnder)][sent:]
    assert meeting.state is not None
    assert under == [meeting.state.epoch]


def test_two_epochs_that_land_in_a_row_are_both_followed(meeting: World) -> None:
    """Wraps of the first come after the second landed: it is one step further."""
    leader = meeting.nodes["leader"]
    dora, emil = meeting.asker("dora"), meeting.asker("emil")
    meeting.until(lambda: {dora.id, emil.id} <= meeting.asked())
    meeting.weather.delay_ms = (300, 300)  # the relay is slow, the ledger is not
    for guest in (dora.id, emil.id):
        leader.do(lambda m, g=guest: m.admit(g, meeting.now_ms))  # type: ignore[misc]  # bound now
    for _ in range(2):
        assert leader.room.leading is not None
        assert leader.room.leading.pending is not None
        meeting.append(leader.room.leading.pending.entry)
        for node in meeting.nodes.values():
            meeting.wake(node)
    started = meeting.now_ms
    meeting.until(lambda: dora.room.keyring.newest is not None)
    assert [key.epoch for key in dora.room.keyring.live()] == [4, 5]
    assert not dora.room.wanted
    assert meeting.now_ms - started < 1000  # without having had to ask
    meeting.until(lambda: meeting.one_room("leader", "bob", "carol", "dora", "emil"))


def test_a_lost_word_about_new_kem_keys_is_said_again(meeting: World) -> None:
    """Else a leader that has to seal anew would seal to an erased key, for ever."""
    leader, bob = meeting.nodes["leader"], meeting.nodes["bob"]
    leading = leader.room.leading
    assert leading is not None
    erased = next(iter(bob.hoard))  # what the leader holds if that word was lost
    known = leading.kems[bob.id]
    assert known.current != erased
    leading.kems[bob.id] = replace(known, generation=0, current=erased)
    leading.renew_kek(bob.id)
    carol = meeting.nodes["carol"].id
    leader.do(lambda m: m.remove(carol, meeting.now_ms))
    meeting.until(lambda: meeting.one_room("leader", "bob"))
    assert faults(meeting) == []


def test_pairwise_keys_that_differ_are_replaced(meeting: World) -> None:
    leader, bob = meeting.nodes["leader"], meeting.nodes["bob"]
    assert bob.room.kek is not None
    bob.room.kek.key = TOOLS.secret()
    carol = meeting.nodes["carol"].id
    leader.do(lambda m: m.remove(carol, meeting.now_ms))
    meeting.until(lambda: meeting.one_room("leader", "bob"))
    assert fx.Suspect(Code.BAD_WRAP, "a wrapped key") in bob.told


def test_a_proof_not_yet_stored_at_a_crash_is_stored_after_it() -> None:
    world = World()
    gather(world)
    bob = world.asker("bob")
    world.blobs = _Forgetful()
    let_in(world, "bob")
    world.pass_ms(3000)
    world.blobs = {}
    bob.member = None
    bob.start()
    assert bob.kid.hex() in world.blobs


class _Forgetful(dict[str, bytes]):
    """A gateway to which nothing gets through."""

    def __setitem__(self, name: str, data: bytes) -> None:
        """Lose it."""


def test_doors_closed_twice_in_a_row_keep_a_gate_that_the_leader_has(
    meeting: World,
) -> None:
    leader = meeting.nodes["leader"]
    leader.do(lambda m: m.doors(Doors.CLOSED, meeting.now_ms))
    leader.do(lambda m: m.doors(Doors.CLOSED, meeting.now_ms))
    meeting.pass_ms(1000)
    leader.do(lambda m: m.doors(Doors.OPEN, meeting.now_ms))
    meeting.pass_ms(1000)
    meeting.asker("dora")
    let_in(meeting, "dora")
    meeting.until(lambda: meeting.one_room("leader", "bob", "carol", "dora"))


def test_a_full_queue_does_not_stop_the_machine(meeting: World) -> None:
    leader, bob = meeting.nodes["leader"], meeting.nodes["bob"]
    append, meeting.append = meeting.append, lambda _: None  # type: ignore[method-assign,assignment]  # ledger away
    carol = meeting.nodes["carol"].id
    leader.do(lambda m: m.remove(carol, meeting.now_ms))
    meeting.pass_ms(50)
    for _ in range(70):
        meeting.give(bob, lambda m: m.say("hello?", meeting.now_ms))
    assert [e.code for e in meeting.suspects][-6:] == [Code.QUEUE_FULL] * 6
    meeting.append = append  # type: ignore[method-assign]  # it is back
    meeting.until(lambda: meeting.one_room("leader", "bob"))
    meeting.pass_ms(1000)
    assert len(leader.heard(fx.Said)) == 64

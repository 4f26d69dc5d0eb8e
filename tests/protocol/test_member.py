# SPDX-License-Identifier: Apache-2.0
"""The door in front of a member's knowledge: inputs, wishes, time and restarts."""

from collections.abc import Callable
from typing import Any

import pytest
from tests.sim.attack import newest, refusal
from tests.sim.forged import offer
from tests.sim.node import Step
from tests.sim.people import DAY_MS, TOOLS
from tests.sim.scenario import let_in
from tests.sim.world import World

from incamera.errors import Code
from incamera.protocol import effects as fx
from incamera.protocol.ids import EntryId, KeyId
from incamera.protocol.member import ASK_AGAIN_MS, Member
from incamera.protocol.message_bodies import StreamMessage
from incamera.protocol.policy import Doors
from incamera.protocol.proof import Record
from incamera.protocol.room import Phase

Refused = Callable[[Code], Any]
NOBODY = EntryId(bytes(32))
NOW = 1_800_000_100_000


def member(world: World, name: str) -> Member:
    found = world.nodes[name].member
    assert found is not None
    return found


def kinds(effects: list[fx.Effect]) -> list[str]:
    """What is to be done, besides waking us later."""
    return [type(e).__name__ for e in effects if not isinstance(e, fx.WakeAt)]


LEADER_ONLY: dict[str, Step] = {
    "admit": lambda m: m.admit(NOBODY, NOW),
    "deny": lambda m: m.deny(NOBODY, NOW),
    "remove": lambda m: m.remove(NOBODY, NOW),
    "end": lambda m: m.end(NOW),
    "doors": lambda m: m.doors(Doors.CLOSED, NOW),
}
NOT_FOR_THE_LEADER: dict[str, tuple[Step, Code]] = {
    "admit nobody": (lambda m: m.admit(NOBODY, NOW), Code.BAD_ARGUMENT),
    "deny nobody": (lambda m: m.deny(NOBODY, NOW), Code.BAD_ARGUMENT),
    "remove nobody": (lambda m: m.remove(NOBODY, NOW), Code.BAD_ARGUMENT),
    "remove itself": (lambda m: m.remove(m.room.seat.entry, NOW), Code.BAD_ARGUMENT),
    "leave": (lambda m: m.leave(NOW), Code.WRONG_STATE),
}


@pytest.mark.parametrize("wish", LEADER_ONLY)
def test_only_the_leader_may(meeting: World, wish: str) -> None:
    assert refusal(meeting.nodes["bob"], LEADER_ONLY[wish]) is Code.NOT_ALLOWED


@pytest.mark.parametrize("wish", NOT_FOR_THE_LEADER)
def test_what_even_the_leader_may_not(meeting: World, wish: str) -> None:
    step, code = NOT_FOR_THE_LEADER[wish]
    assert refusal(meeting.nodes["leader"], step) is code


def test_nobody_is_admitted_unchecked_and_nobody_twice(meeting: World) -> None:
    dora, leader = meeting.asker("dora"), meeting.nodes["leader"]
    meeting.append(dora.room.seat.entry_bytes)
    meeting.wake(leader)
    admit: Step = lambda m: m.admit(dora.id, meeting.now_ms)
    assert refusal(leader, admit) is Code.UNREGISTERED
    meeting.until(lambda: dora.id in meeting.asked())
    assert "Append" in kinds(member(meeting, "leader").admit(dora.id, meeting.now_ms))
    again = member(meeting, "leader").admit(dora.id, meeting.now_ms)
    assert "Append" not in kinds(again)


def test_who_is_denied_is_told(meeting: World) -> None:
    dora = meeting.asker("dora")
    meeting.until(lambda: dora.id in meeting.asked())
    effects = member(meeting, "leader").deny(dora.id, meeting.now_ms)
    assert kinds(effects)[0] == "Post"


def test_what_members_say_signal_and_announce_is_posted(meeting: World) -> None:
    bob, carol = member(meeting, "bob"), meeting.nodes["carol"]
    now = meeting.now_ms
    assert kinds(bob.say("hello", now)) == ["Post"]
    assert kinds(bob.announce(StreamMessage(streams=()), now)) == ["Post"]
    sent, _ = bob.signal(carol.id, offer(meeting, "bob", "carol"), now)
    assert isinstance(sent, fx.Post)
    assert sent.to == carol.kid


def test_who_only_asks_says_nothing(meeting: World) -> None:
    dora = meeting.asker("dora")
    assert refusal(dora, lambda m: m.say("hello", NOW)) is Code.WRONG_STATE


def test_stream_keys_are_of_their_epoch_and_never_two_generations_alike(
    meeting: World, refused: Refused
) -> None:
    bob, carol = member(meeting, "bob"), member(meeting, "carol")
    epoch = newest(meeting.nodes["bob"]).epoch
    assert bob.stream_key(epoch, slot=1, number=4) == carol.stream_key(
        epoch, slot=1, number=4
    )
    with refused(Code.MISSING_KEY):
        bob.stream_key(epoch + 1, slot=1, number=4)
    assert [bob.next_generation() for _ in range(3)] == [1, 2, 3]


def test_members_leave_and_the_leader_ends_and_closes(meeting: World) -> None:
    bob, leader, now = member(meeting, "bob"), member(meeting, "leader"), meeting.now_ms
    assert kinds(bob.leave(now)) == ["StopSending", "Append"]
    assert kinds(leader.doors(Doors.CLOSED, now)) == ["Append"]
    assert kinds(leader.end(now)) == ["Append"]


# --------------------------------------------------------------------------- the end


def inputs_after_the_end(meeting: World) -> list[Step]:
    record = Record(time_ms=meeting.now_ms, entry=b"")
    return [
        lambda m: m.got_record(record, NOW),
        lambda m: m.got_message(b"", NOW),
        lambda m: m.got_blob("", None, NOW),
        lambda m: m.tick(NOW),
    ]


def test_after_the_end_nothing_follows_from_anything(meeting: World) -> None:
    bob = member(meeting, "bob")
    bob.room.wipe()
    assert [step(bob) for step in inputs_after_the_end(meeting)] == [[]] * 4
    assert bob.resume(NOW) == [fx.Erase()]


def test_a_process_that_died_while_erasing_erases_again(meeting: World) -> None:
    bob = member(meeting, "bob")
    bob.room.wipe()
    again = Member.restore(bob.save(), TOOLS)
    assert again.room.phase is Phase.OVER
    assert again.resume(NOW) == [fx.Erase()]


def test_a_meeting_ends_with_its_last_hour(meeting: World) -> None:
    effects = member(meeting, "bob").tick(meeting.now_ms + 2 * DAY_MS)
    assert fx.Tell(fx.Ended("expired")) in effects


# ------------------------------------------------------------------------------ time


def test_who_asks_sends_its_box_again_and_again(meeting: World) -> None:
    link = meeting.asking()
    records, meeting.records = meeting.records, []
    meeting.asking = lambda: link  # type: ignore[method-assign]  # of before
    meeting.asker("dora")
    asker, now = member(meeting, "dora"), meeting.now_ms
    assert kinds(asker.tick(now)) == []  # it has not read who leads
    meeting.records = records
    meeting.wake(meeting.nodes["dora"])
    due = meeting.now_ms + ASK_AGAIN_MS
    assert kinds(asker.tick(due)) == ["Post"]
    assert kinds(asker.tick(due + 1)) == []


def test_a_proof_that_is_not_there_is_fetched_again(meeting: World) -> None:
    bob, carol = member(meeting, "bob"), meeting.nodes["carol"].id
    person = bob.room.people.find(carol)
    bob.room.people._known[carol] = type(person)(
        person.entry, person.expected, person.ordered_ms, person.proof_key
    )
    now = meeting.now_ms
    assert kinds(bob.got_blob(person.kid.hex(), None, now)) == []
    assert kinds(bob.tick(now + 2000)) == ["FetchBlob"]
    data = meeting.blobs[person.kid.hex()]
    assert kinds(bob.got_blob(person.kid.hex(), data, now)) == ["Tell"]
    assert kinds(bob.got_blob("00", data, now)) == []


def test_keys_that_lack_are_asked_of_the_leader_and_by_it_of_each(
    meeting: World,
) -> None:
    now = meeting.now_ms
    for name, lacking in (("bob", "carol"), ("leader", "carol")):
        machine = member(meeting, name)
        machine.room.people.forget(meeting.nodes[lacking].id)
        machine.room.proof_keys_at_ms = now
        post, wake = machine.tick(now)
        assert isinstance(post, fx.Post)
        to = meeting.nodes["leader" if name == "bob" else "carol"].kid
        assert post.to == to
        assert isinstance(wake, fx.WakeAt)


def test_a_key_that_does_not_come_is_asked_for(meeting: World) -> None:
    bob, carol = meeting.nodes["bob"], meeting.nodes["carol"].id
    meeting.weather.lost = 1.0
    meeting.nodes["leader"].do(lambda m: m.remove(carol, meeting.now_ms))
    meeting.pass_ms(50)
    state = meeting.state
    assert state is not None
    assert KeyId(state.last) in bob.room.wanted
    ask = member(meeting, "bob").tick(meeting.now_ms + 1100)
    assert kinds(ask)[-2:] == ["Post", "Post"]
    meeting.weather.lost = 0.0
    meeting.until(lambda: meeting.one_room("leader", "bob"))


def test_a_box_that_came_before_its_key_is_opened_with_it(meeting: World) -> None:
    bob, carol = meeting.nodes["bob"], meeting.nodes["carol"].id
    meeting.weather.delay_ms = (200, 200)
    leader = meeting.nodes["leader"]
    leader.do(lambda m: m.remove(carol, meeting.now_ms))
    meeting.append(parse_last(meeting))
    meeting.wake(leader)
    leader.do(lambda m: m.say("early", meeting.now_ms))
    boxes = [sent.data for sent in meeting.wire[-1:]]
    for box in (boxes[0], boxes[0]):  # the second one is a replay
        meeting.give(bob, lambda m, b=box: m.got_message(b, meeting.now_ms))  # type: ignore[misc]  # bound now
    meeting.until(lambda: meeting.one_room("leader", "bob"))
    assert bob.heard(fx.Said) == [fx.Said(leader.id, "early")]


def parse_last(meeting: World) -> bytes:
    leading = meeting.nodes["leader"].room.leading
    assert leading is not None
    assert leading.pending is not None
    return leading.pending.entry


def test_a_pushed_entry_is_appended_for_its_author(meeting: World) -> None:
    carol = meeting.nodes["carol"].id
    meeting.append = lambda _: None  # type: ignore[method-assign,assignment]  # lost
    meeting.nodes["leader"].do(lambda m: m.remove(carol, meeting.now_ms))
    meeting.pass_ms(100)
    bob = member(meeting, "bob")
    assert "Append" not in kinds(bob.tick(meeting.now_ms))
    assert "Append" in kinds(bob.tick(meeting.now_ms + 2000))


# -------------------------------------------------------------------------- restarts


@pytest.mark.parametrize("name", ["leader", "bob"])
def test_after_a_restart_all_goes_on(meeting: World, name: str) -> None:
    node = meeting.nodes[name]
    before = len(node.done)
    node.member = None
    node.start()
    again = kinds(node.done[before:])
    assert {"KeysInstalled", "SendUnder", "StoreBlob"} <= set(again)
    assert meeting.one_room("leader", "bob", "carol")
    meeting.asker("dora")
    let_in(meeting, "dora")
    meeting.until(lambda: meeting.one_room("leader", "bob", "carol", "dora"))


def test_an_epoch_under_way_is_sent_again(meeting: World) -> None:
    leader, carol = meeting.nodes["leader"], meeting.nodes["carol"].id
    append, meeting.append = meeting.append, lambda _: None  # type: ignore[method-assign,assignment]  # lost
    leader.do(lambda m: m.remove(carol, meeting.now_ms))
    meeting.pass_ms(50)
    leader.member = None
    before = len(leader.done)
    leader.start()
    assert "SendUnder" not in kinds(leader.done[before:])
    assert "Append" in kinds(leader.done[before:])
    meeting.append = append  # type: ignore[method-assign]  # the ledger is back
    meeting.until(lambda: meeting.one_room("leader", "bob"))


@pytest.mark.parametrize("name", ["leader", "dora"])
def test_who_began_begins_again(world: World, name: str) -> None:
    world.founder()
    if name == "dora":
        world.until(lambda: world.one_room("leader"))
        world.asker("dora")
    node = world.nodes[name]
    before = len(node.done)
    node.member = None
    node.start()
    assert isinstance(node.done[before], fx.Append)


def test_who_has_no_key_yet_resumes_without(meeting: World) -> None:
    bob = meeting.nodes["bob"]
    bob.room.keyring.wipe()
    bob.room.proof_given = False
    bob.do(lambda _: [])
    bob.member = None
    before = len(bob.done)
    bob.start()
    assert set(kinds(bob.done[before:])) == {"FetchBlob"}


def test_unchecked_proofs_are_fetched_after_a_restart(meeting: World) -> None:
    bob = meeting.nodes["bob"]
    bob.member = None
    bob.start()
    assert kinds(bob.done).count("FetchBlob") >= 4
    meeting.pass_ms(1000)
    assert meeting.all_checked("leader", "bob", "carol")

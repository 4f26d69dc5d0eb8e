# SPDX-License-Identifier: Apache-2.0
"""Messages that nobody may take: refused with their code, and nothing changes."""

from collections.abc import Iterator
from dataclasses import replace

import pytest
from tests.sim.attack import (
    LATE,
    boxed,
    refusal,
    refused,
    signed,
    slot_of,
)
from tests.sim.forged import CHAT, FORGED, leave_of, switch
from tests.sim.node import Step
from tests.sim.scenario import gather, let_in
from tests.sim.world import World, shares_of

from incamera.errors import Code
from incamera.protocol import effects as fx
from incamera.protocol import labels
from incamera.protocol.bodies import Leave
from incamera.protocol.entry import parse_entry
from incamera.protocol.proof import Record


@pytest.fixture(scope="module")
def room() -> World:
    """Leader, bob, carol and dora; what is refused leaves it as it was."""
    world = World()
    gather(world, "bob", "carol", "dora")
    world.pass_ms(5000)
    return world


@pytest.mark.parametrize("name", FORGED)
def test_a_forged_message_is_refused_and_changes_nothing(
    room: World, name: str
) -> None:
    attack, code = FORGED[name]
    receiver, message = attack(room)
    assert refused(room, receiver, message) is code


@pytest.mark.parametrize("sealed_", [True, False])
def test_an_honest_message_made_alike_is_taken_control(
    meeting: World, sealed_: bool
) -> None:
    leader = meeting.nodes["leader"]
    body = boxed(leader, CHAT) if sealed_ else signed(leader, switch(meeting))
    before = meeting.nodes["bob"].disk
    assert refused(meeting, "bob", body) is None
    bob = meeting.nodes["bob"].member
    assert bob is not None
    assert bytes(bob.save()) != before


def test_nothing_is_taken_from_who_is_being_removed(meeting: World) -> None:
    carol, leader = meeting.nodes["carol"], meeting.nodes["leader"]
    said = boxed(carol, CHAT)
    meeting.append = lambda _: None  # type: ignore[method-assign,assignment]  # not ordered yet
    leader.do(lambda m: m.remove(carol.id, meeting.now_ms))
    meeting.pass_ms(50)
    assert refused(meeting, "bob", said) is Code.NOT_ALLOWED
    assert fx.StopSending() in meeting.nodes["bob"].done


@pytest.mark.acceptance("D-10")
def test_a_leave_in_anothers_name_is_refused(room: World) -> None:
    count = len(room.records)
    room.append(leave_of(room, "bob", "carol"))
    assert room.refused.pop().code is Code.BAD_SIGNATURE
    assert len(room.records) == count


@pytest.mark.acceptance("D-10")
def test_a_leave_is_followed_by_a_new_key_without_the_leaver(meeting: World) -> None:
    bob, before = meeting.nodes["bob"], meeting.nodes["carol"].key()
    bob.do(lambda m: m.leave(meeting.now_ms))
    meeting.until(lambda: meeting.one_room("leader", "carol"))
    leave = parse_entry(meeting.records[-2].entry)
    assert leave.header.author == bob.kid
    assert isinstance(leave.body, Leave)
    assert meeting.nodes["carol"].key() != before
    assert bob.heard(fx.Ended) == [fx.Ended("left")]


def test_a_leave_in_anothers_name_is_refused_control(meeting: World) -> None:
    meeting.append(leave_of(meeting, "bob", "bob"))
    assert meeting.refused == []
    meeting.until(lambda: meeting.one_room("leader", "carol"))


def test_a_leave_is_followed_by_a_new_key_without_the_leaver_control(
    meeting: World,
) -> None:
    before = meeting.nodes["carol"].key()
    meeting.pass_ms(60_000)
    assert meeting.nodes["carol"].key() == before


@pytest.mark.acceptance("Z1-07")
@pytest.mark.parametrize("label", [labels.MESSAGE, labels.STATEMENT])
def test_a_signature_made_for_something_else_is_refused(
    room: World, label: bytes
) -> None:
    data = leave_of(room, "bob", "bob")
    right = parse_entry(data).signed
    signature = room.nodes["bob"].seat.signer.sign(right.sig_structure(label))
    room.append(replace(right, signature=signature).encode())
    assert room.refused.pop().code is Code.BAD_SIGNATURE


def test_a_signature_made_for_something_else_is_refused_control(
    meeting: World,
) -> None:
    right = parse_entry(leave_of(meeting, "bob", "bob")).signed
    signer = meeting.nodes["bob"].seat.signer
    signature = signer.sign(right.sig_structure(labels.ENTRY))
    meeting.append(replace(right, signature=signature).encode())
    assert meeting.refused == []


def wire_to(world: World, name: str) -> Iterator[bytes]:
    """Everything that the relay ever carried to somebody."""
    node = world.nodes[name]
    for sent in world.wire:
        to_it = sent.to in (None, node.kid) and sent.sender != node.kid
        shares = shares_of(sent.data) if to_it else {}
        message = sent.data if shares is None else shares.get(slot_of(node))
        if message is not None:
            yield message


def reading(record: Record, world: World) -> Step:
    return lambda m: m.got_record(record, world.now_ms)


@pytest.mark.acceptance("Z1-16")
def test_everything_replayed_later_changes_nothing(meeting: World) -> None:
    meeting.asker("dora")
    let_in(meeting, "dora")
    carol = meeting.nodes["carol"].id
    meeting.nodes["leader"].do(lambda m: m.remove(carol, meeting.now_ms))
    meeting.until(lambda: meeting.one_room("leader", "bob", "dora"))
    meeting.pass_ms(5000)
    bob = meeting.nodes["bob"]
    assert bob.member is not None
    before, messages = bytes(bob.member.save()), list(wire_to(meeting, "bob"))
    codes = [refused(meeting, "bob", message) for message in messages]
    assert bytes(bob.member.save()) == before
    assert codes.count(Code.REPLAYED) > 3
    assert len(messages) > 10
    assert None not in [refusal(bob, reading(r, meeting)) for r in meeting.records]


def test_everything_replayed_later_changes_nothing_control(meeting: World) -> None:
    bob = meeting.nodes["bob"]
    assert bob.member is not None
    before = bytes(bob.member.save())
    assert refused(meeting, "bob", boxed(meeting.nodes["carol"], CHAT)) is None
    assert bytes(bob.member.save()) != before


def test_a_stranger_is_not_heard(room: World) -> None:
    other = World()
    gather(other)
    message = signed(other.nodes["leader"], switch(room), counter=LATE)
    assert refused(room, "bob", message) is Code.WRONG_SENDER

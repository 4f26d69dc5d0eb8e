# SPDX-License-Identifier: Apache-2.0
"""What the leader does when something happens."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from tests.sim.people import TOOLS, accounts
from tests.sim.world import World

from incamera.errors import Code
from incamera.protocol import effects as fx
from incamera.protocol import leader_moves as moves
from incamera.protocol.arrival import gate_signer
from incamera.protocol.box import GATE_BOX, open_gate
from incamera.protocol.encoding import parse
from incamera.protocol.ids import EntryId
from incamera.protocol.leading import Leading
from incamera.protocol.message import Message, parse_message
from incamera.protocol.message_bodies import (
    Decline,
    DeclineReason,
    GateMessage,
    WrapAsk,
)
from incamera.protocol.policy import Doors
from incamera.protocol.room import Room
from incamera.protocol.schedule import link_root
from incamera.protocol.statement import parse_gate_content

Refused = Callable[[Code], Any]


@pytest.fixture
def room(meeting: World) -> Room:
    return meeting.nodes["leader"].room


@pytest.fixture
def leading(room: Room) -> Leading:
    assert room.leading is not None
    return room.leading


def kinds(effects: list[fx.Effect]) -> list[str]:
    return [type(effect).__name__ for effect in effects]


def test_the_leaders_card_is_for_who_has_the_link(room: Room) -> None:
    card = moves.leader_card(room)
    box = GATE_BOX.decode(parse(card.data))
    content = parse_gate_content(open_gate(link_root(room.seat.link_secret), box))
    assert content.current == room.seat.kems.current.public
    assert content.info == room.seat.info


def test_a_box_may_come_before_its_request(meeting: World, room: Room) -> None:
    dora = meeting.asker("dora")
    box = parse_message(dora.room.request_box or b"")
    assert moves.got_request_box(room, box) == []  # type: ignore[arg-type]  # a box
    assert room.leading is not None
    assert list(room.leading.boxes) == [dora.id]
    meeting.until(lambda: dora.id in meeting.asked())
    assert room.leading.boxes == {}
    assert moves.take_request(room, dora.id) == []
    assert moves.got_request_box(room, box) == []  # type: ignore[arg-type]  # known
    assert moves.identified(room, dora.id).info == "dora"


def test_other_kem_keys_than_the_requests_are_refused(
    meeting: World, room: Room, refused: Refused
) -> None:
    from tests.sim.test_joining import asker, other_kems

    who = asker(meeting)
    other_kems(who)
    meeting.append(who.entry.data)
    meeting.pass_ms(10)
    with refused(Code.BAD_STATEMENT):
        moves.got_request_box(room, who.box())
    with refused(Code.UNREGISTERED):
        moves.identified(room, who.seat.entry)


@pytest.mark.parametrize("double", [True, False])
def test_who_does_not_check_out_is_declined(
    meeting: World, room: Room, double: bool
) -> None:
    (account,) = accounts(["dora"], meeting.now_ms - (0 if double else 601_000))
    if double:
        bob = room.people.find(meeting.nodes["bob"].id)
        tag = type(bob.expected.tag)(bytes(16))
        opening = meeting.nodes["bob"].seat.opening.statement
        assert opening
        known = bob.result
        assert known is not None
        assert not isinstance(known, Code)
        room.people._known[bob.entry] = replace(
            bob, result=replace(known, user_id=account.user_id, tag=tag)
        )
    dora = meeting.asker("dora", account)
    meeting.until(lambda: bool(dora.heard(fx.Declined)))
    reason = DeclineReason.TAG if double else DeclineReason.IDENTITY
    assert dora.heard(fx.Declined) == [fx.Declined(int(reason))]
    box = parse_message(dora.room.request_box or b"")
    (again,) = moves.got_request_box(room, box)  # type: ignore[arg-type]  # a box
    assert isinstance(again, fx.Post)
    message = parse_message(again.message)
    assert isinstance(message, Message)
    assert message.body == Decline(request=dora.id, reason=reason)


def test_a_removal_stops_cuts_and_sends_an_epoch(meeting: World, room: Room) -> None:
    bob = meeting.nodes["bob"].id
    assert moves.advance(room) == []
    effects = moves.remove(room, bob)
    assert kinds(effects) == ["StopSending", "Cut", "Append", "Post"]
    assert room.removed == {bob}


def test_alone_the_leader_tells_nobody_to_switch(world: World) -> None:
    leader = world.founder()
    world.until(lambda: world.one_room("leader"))
    assert leader.room.leading is not None
    assert leader.room.leading.switch_at_ms is None


def test_when_all_have_the_key_all_are_told_to_switch(
    meeting: World, leading: Leading
) -> None:
    room = meeting.nodes["leader"].room
    bob, carol = meeting.nodes["bob"].id, meeting.nodes["carol"].id
    leading.acks.clear()
    leading.switch_at_ms = 1
    assert moves.got_ack(room, bob, 0) == []
    assert kinds(moves.got_ack(room, carol, 0)) == ["Post"]
    assert moves.got_ack(room, carol, 0) == []


def test_when_all_have_a_key_that_is_due_it_is_sent_under(meeting: World) -> None:
    leader, carol = meeting.nodes["leader"], meeting.nodes["carol"].id
    leader.do(lambda m: m.remove(carol, meeting.now_ms))
    meeting.until(lambda: meeting.one_room("leader", "bob"))
    assert leader.room.leading is not None
    assert leader.room.leading.switch_at_ms is None


def ask(meeting: World, room: Room, **said: Any) -> list[fx.Effect]:
    bob = meeting.nodes["bob"]
    assert room.leading is not None
    assert room.leading.current is not None
    kek = room.leading.keks[bob.id]
    body = WrapAsk(
        key_id=room.leading.current.key_id, kek_id=kek.pair.kek_id, step=kek.step
    )
    me = bob.room.require_inside()
    return moves.got_wrap_ask(room, me, replace(body, **said), meeting.now_ms)


@pytest.mark.parametrize(
    ("said", "posts"),
    [({}, 1), ({"kek_id": bytes(32)}, 2), ({"step": 99}, 2), ({"step": 0}, 1)],
)
def test_who_lacks_a_key_is_wrapped_for_again(
    meeting: World, room: Room, said: dict[str, Any], posts: int
) -> None:
    assert kinds(ask(meeting, room, **said)) == ["Post"] * posts
    assert ask(meeting, room) == []  # once a second


def test_who_shares_no_pairwise_key_gets_one(meeting: World, room: Room) -> None:
    bob = meeting.nodes["bob"]
    assert room.leading is not None
    room.leading.renew_kek(bob.id)
    assert room.leading.current is not None
    body = WrapAsk(key_id=room.leading.current.key_id, kek_id=bytes(32), step=0)
    effects = moves.got_wrap_ask(room, bob.room.require_inside(), body, 0)
    assert kinds(effects) == ["Post", "Post"]


def test_a_past_key_is_not_wrapped_again(meeting: World, room: Room) -> None:
    assert ask(meeting, room, key_id=bytes(32)) == []
    assert room.leading is not None
    current, room.leading.current = room.leading.current, None
    assert current is not None
    body = WrapAsk(key_id=current.key_id, kek_id=bytes(32), step=0)
    me = meeting.nodes["bob"].room.require_inside()
    assert moves.got_wrap_ask(room, me, body, 0) == []


def test_newer_kem_keys_are_taken_older_refused(
    meeting: World, room: Room, leading: Leading, refused: Refused
) -> None:
    bob = meeting.nodes["bob"]
    body = bob.seat.kems.body()
    assert moves.got_member_keys(room, bob.id, body) == []
    assert moves.got_member_keys(room, EntryId(bytes(32)), body) == []
    with refused(Code.REPLAYED):
        moves.got_member_keys(room, bob.id, replace(body, generation=0))
    assert leading.kems[bob.id] == body


def test_members_give_their_own_proof_key_the_leader_all(meeting: World) -> None:
    bob, leader = meeting.nodes["bob"].room, meeting.nodes["leader"].room
    to = [leader.leader]
    assert len(moves.give_keys(bob, to)) == 1
    leader.people.forget(meeting.nodes["carol"].id)
    assert len(moves.give_keys(leader, to)) == 1


def test_keys_for_most_go_to_all(meeting: World, room: Room) -> None:
    others = [m for m in room.meeting_state.roster.values() if m.id != room.leader.id]
    (post,) = moves.give_keys(room, others)
    assert isinstance(post, fx.Post)
    assert post.to is None


def test_closed_doors_bring_one_gate_however_often(
    meeting: World, room: Room, leading: Leading
) -> None:
    for doors in (Doors.CLOSED, Doors.CLOSED, Doors.OPEN):
        assert kinds(moves.set_doors(room, doors)) == ["Append"]
    assert leading.link_secret is not None


def test_a_new_gate_is_told_when_it_is_in_force(
    meeting: World, room: Room, leading: Leading
) -> None:
    leader = meeting.nodes["leader"]
    leader.do(lambda m: m.doors(Doors.OPEN, meeting.now_ms))
    meeting.pass_ms(10)
    leading.link_secret = TOOLS.secret()
    leader.do(lambda m: m.doors(Doors.OPEN, meeting.now_ms))
    meeting.pass_ms(10)
    assert leading.link_secret is not None  # another policy landed
    leader.do(lambda m: m.doors(Doors.CLOSED, meeting.now_ms))
    meeting.pass_ms(10)
    assert leading.link_secret is None
    gate = gate_signer(room.seat.link_secret, room.seat.ledger_id).public
    assert room.meeting_state.gate == gate
    meeting.pass_ms(10)
    assert meeting.nodes["bob"].seat.link_secret == room.seat.link_secret


def test_another_gate_is_not_adopted(meeting: World, refused: Refused) -> None:
    bob = meeting.nodes["bob"].room
    before = bob.seat.link_secret
    body = GateMessage(secret=bytes(32), policy_entry=EntryId(bytes(32)))
    with refused(Code.NO_GATE):
        moves.adopt_gate(bob, body)
    assert bob.seat.link_secret is before


def test_requests_that_were_withdrawn_are_not_open(meeting: World, room: Room) -> None:
    dora = meeting.asker("dora")
    meeting.pass_ms(100)
    assert list(moves.open_requests(room)) == [dora.id]
    dora.do(lambda m: m.leave(meeting.now_ms))
    meeting.pass_ms(100)
    assert moves.open_requests(room) == {}

# SPDX-License-Identifier: Apache-2.0
"""What follows from each message that the relay brought."""

from contextlib import suppress

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.sim.attack import LATE, boxed, newest, refused, signed
from tests.sim.forged import CHAT, FORGED, offer, proof_key, switch
from tests.sim.scenario import gather
from tests.sim.world import World

from incamera.errors import Code, PeerError
from incamera.protocol import effects as fx
from incamera.protocol.hearing import (
    APPEND_AFTER_MS,
    MAX_PUSHED,
    _act_on,
    hear,
)
from incamera.protocol.leader_moves import send_pending
from incamera.protocol.message import parse_message, sign_message
from incamera.protocol.message_bodies import (
    Ack,
    Consent,
    ConsentKind,
    Control,
    ControlKind,
    Decline,
    DeclineReason,
    GateMessage,
    StreamMessage,
    WrapAsk,
)
from incamera.protocol.policy import Doors


def taken(world: World, name: str, message: bytes) -> list[fx.Effect]:
    return hear(world.nodes[name].room, message, world.now_ms)


@pytest.fixture(scope="module")
def still() -> World:
    """Leader, bob, carol and dora; nothing may change them."""
    world = World()
    gather(world, "bob", "carol", "dora")
    world.pass_ms(5000)
    return world


@pytest.mark.parametrize("name", FORGED)
def test_a_forged_message_changes_nothing(still: World, name: str) -> None:
    attack, code = FORGED[name]
    assert refused(still, *attack(still)) is code


def test_before_anything_was_read_nothing_is_heard(world: World) -> None:
    leader = world.founder()
    world.until(lambda: world.one_room("leader"))
    asker = world.asker("bob")
    asker.room.state = None
    asker.room.count = 0
    assert refused(world, "bob", signed(leader, CHAT)) is Code.NOT_ALLOWED
    ack = signed(leader, Ack(key_id=newest(leader).key_id))
    assert refused(world, "bob", ack) is Code.UNKNOWN_TOPIC


def test_a_stranger_is_not_heard(still: World) -> None:
    other = World()
    other.founder()
    other.until(lambda: other.one_room("leader"))
    message = signed(other.nodes["leader"], switch(still))
    assert refused(still, "bob", message) is Code.WRONG_SENDER


def test_what_is_said_is_told(meeting: World) -> None:
    carol, bob = meeting.nodes["carol"], meeting.nodes["bob"]
    assert taken(meeting, "bob", boxed(carol, CHAT)) == [
        fx.Tell(fx.Said(carol.id, "hello"))
    ]
    description = offer(meeting, "carol", "bob")
    assert taken(meeting, "bob", boxed(carol, description)) == [
        fx.Signal(carol.id, description)
    ]
    streams = StreamMessage(streams=())
    assert taken(meeting, "bob", boxed(carol, streams)) == [
        fx.Streams(carol.id, streams)
    ]
    assert bob.alive


def test_controls_are_answered_or_pass_by(meeting: World) -> None:
    carol = meeting.nodes["carol"]
    hand = boxed(carol, Control(kind=ControlKind.RAISE_HAND))
    assert taken(meeting, "bob", hand) == []
    yes = Consent(kind=ConsentKind.RECORDING, given=True)
    assert taken(meeting, "bob", boxed(carol, yes)) == []
    ask = boxed(carol, Control(kind=ControlKind.ASK_PROOF_KEYS), counter=LATE + 1)
    (given_,) = taken(meeting, "bob", ask)
    assert isinstance(given_, fx.Post)
    assert given_.to == carol.kid


def test_proof_keys_are_learnt(meeting: World) -> None:
    bob = meeting.nodes["bob"].room
    carol = meeting.nodes["carol"]
    bob.people.forget(carol.id)
    assert taken(meeting, "bob", boxed(carol, proof_key(meeting, "carol"))) == []
    assert bob.people.lacking_keys([carol.id]) == []
    leader = meeting.nodes["leader"]
    own = boxed(leader, proof_key(meeting, "bob"))
    assert taken(meeting, "bob", own) == []


def test_a_box_whose_key_we_lack_waits(meeting: World) -> None:
    bob, carol = meeting.nodes["bob"].room, meeting.nodes["carol"]
    box = boxed(carol, CHAT)
    bob.keyring.wipe()
    assert taken(meeting, "bob", box) == []
    assert len(bob.voice.held) == 1


def test_who_is_being_removed_is_not_heard(meeting: World) -> None:
    carol = meeting.nodes["carol"]
    meeting.nodes["bob"].room.removed.add(carol.id)
    assert refused(meeting, "bob", boxed(carol, CHAT)) is Code.NOT_ALLOWED


def test_a_gate_in_force_is_adopted(meeting: World) -> None:
    leader, bob = meeting.nodes["leader"], meeting.nodes["bob"]
    leader.do(lambda m: m.doors(Doors.CLOSED, meeting.now_ms))
    meeting.pass_ms(1000)
    assert bob.seat.link_secret == leader.seat.link_secret
    body = GateMessage(secret=bytes(32), policy_entry=leader.id)
    wrong = boxed(leader, body, counter=LATE)
    assert refused(meeting, "bob", wrong) is Code.NO_GATE


def test_the_leaders_word_to_switch(meeting: World) -> None:
    bob = meeting.nodes["bob"].room
    assert taken(meeting, "bob", signed(meeting.nodes["leader"], switch(meeting))) == []
    bob.keyring.sending = None
    again = signed(meeting.nodes["leader"], switch(meeting), counter=LATE + 1)
    assert isinstance(taken(meeting, "bob", again)[0], fx.SendUnder)
    word = switch(meeting)
    bob.keyring.wipe()
    early = signed(meeting.nodes["leader"], word, counter=LATE + 2)
    assert taken(meeting, "bob", early) == []


def test_a_decline_is_told_to_who_asked(meeting: World) -> None:
    dora, leader = meeting.asker("dora"), meeting.nodes["leader"]
    meeting.pass_ms(100)
    body = Decline(request=dora.id, reason=DeclineReason.FULL)
    assert taken(meeting, "dora", signed(leader, body)) == [
        fx.Tell(fx.Declined(int(DeclineReason.FULL)))
    ]
    assert dora.room.request_at_ms is None


def test_the_leader_hears_acknowledgements_questions_and_keys(meeting: World) -> None:
    bob, leader = meeting.nodes["bob"], meeting.nodes["leader"]
    key_id = newest(bob).key_id
    assert taken(meeting, "leader", signed(bob, Ack(key_id=key_id))) == []
    assert leader.room.leading is not None
    old = signed(bob, Ack(key_id=type(key_id)(bytes(32))), counter=LATE + 1)
    assert taken(meeting, "leader", old) == []
    ask = signed(bob, WrapAsk(key_id=key_id, kek_id=bytes(32), step=0))
    assert len(taken(meeting, "leader", ask)) == 2
    assert taken(meeting, "leader", signed(bob, bob.seat.kems.body())) == []
    leader.room.leading.current = None
    none = signed(bob, Ack(key_id=key_id), counter=LATE + 2)
    assert taken(meeting, "leader", none) == []


def test_nothing_else_is_taken_in_clear(meeting: World) -> None:
    """Parsing refuses these already."""
    bob = meeting.nodes["bob"]
    me = bob.room.require_inside()
    message = sign_message(
        bob.seat.signer, CHAT, meeting=bob.seat.meeting, counter=0, term=0
    )
    with pytest.raises(PeerError, match="no such message"):
        _act_on(bob.room, me, message, 0)


# ------------------------------------------------------------------------------ pushes


def pushes(world: World, count: int) -> list[bytes]:
    """Different epochs on one, as only a bad leader signs them."""
    leader, found = world.nodes["leader"], []
    carol = world.nodes["carol"].id
    assert leader.room.leading is not None
    for _ in range(count):
        leader.room.leading.pending = None
        leader.room.leading.remove.add(carol)
        pending = leader.room.leading.draft(
            leader.room.meeting_state,
            seat=leader.seat,
            keyring=leader.room.keyring,
            tools=leader.room.tools,
        )
        assert pending is not None
        push = send_pending(pending)[1]
        assert isinstance(push, fx.Post)
        found.append(push.message)
    return found


def test_a_pushed_removal_stops_us_before_it_lands(meeting: World) -> None:
    bob, carol = meeting.nodes["bob"].room, meeting.nodes["carol"].id
    (push,) = pushes(meeting, 1)
    assert taken(meeting, "bob", push) == [fx.StopSending(), fx.Cut(carol)]
    assert bob.keyring.stopped
    assert bob.removed == {carol}
    (held,) = bob.pushed.values()
    assert held.append_at_ms == meeting.now_ms + APPEND_AFTER_MS
    assert taken(meeting, "bob", push) == []


def test_our_own_removal_does_not_stop_us(meeting: World) -> None:
    (push,) = pushes(meeting, 1)
    assert taken(meeting, "carol", push) == []
    assert len(meeting.nodes["carol"].room.pushed) == 1


def test_few_pushed_epochs_are_kept(meeting: World) -> None:
    for push in pushes(meeting, MAX_PUSHED + 2):
        taken(meeting, "bob", push)
    assert len(meeting.nodes["bob"].room.pushed) == MAX_PUSHED


def test_a_pushed_epoch_that_landed_is_past(meeting: World) -> None:
    (push,) = pushes(meeting, 1)
    entry = parse_message(push)
    meeting.append(entry.entry)  # type: ignore[union-attr]  # a push
    meeting.pass_ms(10)
    assert taken(meeting, "bob", push) == []


def test_a_request_box_is_for_the_leader(meeting: World) -> None:
    dora = meeting.asker("dora")
    box = dora.room.request_box
    assert box is not None
    meeting.pass_ms(100)
    assert refused(meeting, "bob", box) is Code.NOT_ALLOWED
    assert taken(meeting, "leader", box) == []  # checked already


# -------------------------------------------------------------------------- any bytes


@settings(max_examples=300, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.binary(max_size=300), where=st.integers(0, 10**6), how=st.integers(0, 3))
def test_any_bytes_are_taken_or_refused(
    still: World, data: bytes, where: int, how: int
) -> None:
    """Plain noise, and honest messages with noise in them."""
    carol = still.nodes["carol"]
    honest = [data, boxed(carol, CHAT), signed(carol, switch(still)), data]
    message = bytearray(honest[how])
    at = where % (len(message) + 1)
    message[at : at + len(data)] = data
    if bytes(message) in honest[1:3]:
        return
    for name in ("leader", "bob"):
        node = still.nodes[name]
        assert node.member is not None
        before = bytes(node.member.save())
        with suppress(PeerError):
            node.member.got_message(bytes(message), still.now_ms)
        assert bytes(node.member.save()) == before

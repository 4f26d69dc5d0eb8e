# SPDX-License-Identifier: Apache-2.0
"""How a member comes by the key of an epoch that landed."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from tests.sim.people import TOOLS
from tests.sim.scenario import let_in
from tests.sim.world import World

from incamera.errors import Code
from incamera.protocol import effects as fx
from incamera.protocol.ids import EntryId, KeyId
from incamera.protocol.kem import kem_key_hash
from incamera.protocol.keying import (
    NO_KEK,
    _hold,
    ask_for_wrap,
    give_proof,
    got_kek,
    got_wrap,
    try_wrap,
)
from incamera.protocol.message import Message, parse_message
from incamera.protocol.message_bodies import (
    Body,
    KekMessage,
    MemberKeys,
    WrapAsk,
    WrapOne,
)
from incamera.protocol.room import MAX_EARLY_WRAPS, Room, Wanted
from incamera.protocol.schedule import commitment
from incamera.protocol.wraps import Wrap

Refused = Callable[[Code], Any]
UNKNOWN = KeyId(bytes(32))


@pytest.fixture
def bob(meeting: World) -> Room:
    return meeting.nodes["bob"].room


def wrap(key_id: KeyId, slot: int = 1) -> WrapOne:
    made = Wrap(slot=slot, generation=0, step=9, sealed=bytes(48))
    return WrapOne(key_id=key_id, wrap=made)


def want(room: Room, key_id: KeyId = UNKNOWN) -> Wanted:
    newest = room.keyring.newest
    assert newest is not None
    context = replace(newest.context, epoch=newest.epoch + 1)
    room.want(key_id, Wanted(context, bytes(32), 0))
    return room.wanted[key_id]


def said(effects: list[fx.Effect]) -> list[Body]:
    posts = [parse_message(e.message) for e in effects if isinstance(e, fx.Post)]
    return [message.body for message in posts if isinstance(message, Message)]


def test_a_wrap_of_a_key_that_is_held_is_dropped(bob: Room) -> None:
    newest = bob.keyring.newest
    assert newest is not None
    assert got_wrap(bob, wrap(newest.key_id), 0) == []
    assert bob.early == {}


def test_few_wraps_wait_for_their_entry(bob: Room) -> None:
    for number in range(MAX_EARLY_WRAPS + 3):
        assert got_wrap(bob, wrap(KeyId(bytes([number]) * 32)), 0) == []
    assert len(bob.early) == MAX_EARLY_WRAPS
    assert KeyId(bytes([0]) * 32) not in bob.early


def test_without_pairwise_key_a_wrap_waits(bob: Room) -> None:
    want(bob)
    bob.kek = None
    assert got_wrap(bob, wrap(UNKNOWN), 0) == []
    assert UNKNOWN in bob.early


def test_a_wrap_that_does_not_open_is_told_and_asked_about(bob: Room) -> None:
    wanted = want(bob)
    effects = got_wrap(bob, wrap(UNKNOWN), 0)
    assert effects == [fx.Tell(fx.Suspect(Code.BAD_WRAP, "a wrapped key"))]
    assert wanted.failed
    assert try_wrap(bob, UNKNOWN, 0) == []
    keys, ask = said(ask_for_wrap(bob, UNKNOWN, 0))
    assert isinstance(keys, MemberKeys)
    assert isinstance(ask, WrapAsk)
    assert ask.kek_id == NO_KEK
    again = said(ask_for_wrap(bob, UNKNOWN, 0))[1]
    assert isinstance(again, WrapAsk)
    assert again.kek_id != NO_KEK


def test_who_has_used_no_pairwise_key_says_so(meeting: World, bob: Room) -> None:
    want(bob)
    bob.kek = None
    bob.seat.kems = replace(bob.seat.kems, generation=0)
    (ask,) = said(ask_for_wrap(bob, UNKNOWN, 0))
    assert isinstance(ask, WrapAsk)
    assert (ask.kek_id, ask.step) == (NO_KEK, 0)


@pytest.mark.parametrize("had", [True, False])
def test_a_pairwise_key_opens_what_waited(meeting: World, had: bool) -> None:
    """The wrap came first; with the pairwise key, the key is there at once."""
    leader, bob = meeting.nodes["leader"].room, meeting.nodes["bob"]
    assert leader.leading is not None
    leader.leading.renew_kek(bob.id)
    if not had:
        bob.room.kek = None
    bob.room.kek_confirmed = had
    carol = meeting.nodes["carol"].id
    meeting.nodes["leader"].do(lambda m: m.remove(carol, meeting.now_ms))
    meeting.until(lambda: meeting.one_room("leader", "bob"))
    assert bob.room.kek is not None
    assert bob.room.kek_confirmed


@pytest.mark.parametrize(
    ("field", "code"),
    [
        ("receiver", Code.WRONG_RECEIVER),
        ("kem_key_hash", Code.MISSING_KEY),
        ("sealed", Code.BAD_BOX),
    ],
)
def test_a_pairwise_key_for_another_is_refused(
    bob: Room, field: str, code: Code, refused: Refused
) -> None:
    good = KekMessage(
        kek_id=bytes(32),
        prev_epoch=bob.meeting_state.last,
        receiver=bob.seat.entry,
        kem_key_hash=kem_key_hash(bob.seat.kems.current.public),
        sealed=bytes(1168),
    )
    if field == "receiver":
        good = replace(good, receiver=EntryId(bytes(32)))
    if field == "kem_key_hash":
        good = replace(good, kem_key_hash=bytes(32))
    kek = bob.kek
    with refused(code):
        got_kek(bob, good, 0)
    assert bob.kek is kek


def test_a_key_other_than_committed_to_is_not_used(meeting: World) -> None:
    leader, bob = meeting.nodes["leader"], meeting.nodes["bob"]
    carol, before = meeting.nodes["carol"].id, bob.key()
    leader.do(lambda m: m.remove(carol, meeting.now_ms))
    assert leader.room.leading is not None
    pending = leader.room.leading.pending
    assert pending is not None
    leader.room.leading.pending = replace(pending, seed=TOOLS.secret())
    meeting.pass_ms(3000)
    assert bob.key() == before
    suspects = [event.code for event in bob.told if isinstance(event, fx.Suspect)]
    assert Code.BAD_COMMITMENT in suspects


def test_who_is_inside_steps_to_the_key_of_a_join(meeting: World) -> None:
    meeting.asker("dora")
    let_in(meeting, "dora")
    meeting.until(lambda: meeting.one_room("leader", "bob", "carol", "dora"))
    step = meeting.nodes["bob"].room.kek
    assert step is not None
    assert step.step == 1  # the wrap that let bob in, and none since


def test_a_key_that_came_late_leads_on_to_the_next(meeting: World) -> None:
    leader, dora = meeting.nodes["leader"].room, meeting.asker("dora")
    let_in(meeting, "dora")
    meeting.until(lambda: meeting.one_room("leader", "bob", "carol", "dora"))
    epochs = [e for e in meeting.nodes["bob"].keys.values() if e.epoch > 2]
    first, second = sorted(epochs, key=lambda key: key.epoch)
    assert leader.leads
    room = dora.room
    room.keyring.wipe()
    for key in (first, second):
        committed = commitment(key.key)
        ratchet = key is second
        room.want(key.key_id, Wanted(key.context, committed, 0, ratchet=ratchet))
    far = replace(second.context, epoch=99)  # follows another
    room.want(UNKNOWN, Wanted(far, bytes(32), 0, ratchet=True))
    effects = _hold(room, first.key_id, first.key.copy(), 0)
    installed = [e.epoch for e in effects if isinstance(e, fx.KeysInstalled)]
    assert installed == [first.epoch, second.epoch]


def test_a_leader_that_lost_its_epoch_signs_a_fresh_one(meeting: World) -> None:
    leader, carol = meeting.nodes["leader"], meeting.nodes["carol"].id
    leader.do(lambda m: m.remove(carol, meeting.now_ms))
    assert leader.room.leading is not None
    pending = leader.room.leading.pending
    assert pending is not None
    epoch = meeting.state.epoch if meeting.state else 0
    leader.room.leading.pending = None  # an older disk
    meeting.until(lambda: meeting.one_room("leader", "bob"))
    assert meeting.state is not None
    assert meeting.state.epoch == epoch + 2


def test_a_proof_is_stored_and_its_key_given(bob: Room) -> None:
    stored, given = give_proof(bob)
    assert isinstance(stored, fx.StoreBlob)
    assert isinstance(given, fx.Post)
    assert given.to is None

# SPDX-License-Identifier: Apache-2.0
"""What the leader keeps, signs and wraps."""

from collections.abc import Callable
from typing import Any

import pytest
from tests.sim.people import TOOLS
from tests.sim.world import World

from incamera.errors import Code
from incamera.protocol.bodies import Epoch, EpochKind
from incamera.protocol.box import RequestBox
from incamera.protocol.effects import Post
from incamera.protocol.entry import parse_entry
from incamera.protocol.ids import EntryId, KeyId
from incamera.protocol.leading import (
    MAX_BOXES,
    MAX_RATCHETS,
    WRAP_PAUSE_MS,
    Leading,
    Pending,
    check_room,
)
from incamera.protocol.message import Message, parse_message, parse_wrap_batch
from incamera.protocol.message_bodies import KekMessage
from incamera.protocol.room import Room
from incamera.protocol.wraps import LeaderKek

Refused = Callable[[Code], Any]


@pytest.fixture
def room(meeting: World) -> Room:
    return meeting.nodes["leader"].room


@pytest.fixture
def leading(room: Room) -> Leading:
    assert room.leading is not None
    return room.leading


def draft(room: Room) -> Pending | None:
    assert room.leading is not None
    return room.leading.draft(
        room.meeting_state, seat=room.seat, keyring=room.keyring, tools=room.tools
    )


def body_of(pending: Pending | None) -> Epoch:
    assert pending is not None
    body = parse_entry(pending.entry).body
    assert isinstance(body, Epoch)
    return body


def wrapped(room: Room) -> list[Post]:
    assert room.leading is not None
    others = [m for m in room.meeting_state.roster.values() if m.id != room.seat.entry]
    return room.leading.wrap_for(
        others, seat=room.seat, tools=room.tools, voice=room.voice
    )


def test_without_a_wish_nothing_is_signed(room: Room) -> None:
    assert draft(room) is None


def test_one_epoch_is_under_way_at_a_time(meeting: World, leading: Leading) -> None:
    room = meeting.nodes["leader"].room
    leading.remove.add(meeting.nodes["bob"].id)
    assert body_of(draft(room)).kind is EpochKind.FRESH
    assert draft(room) is None


def test_joins_ratchet_but_not_for_ever(meeting: World, leading: Leading) -> None:
    room, dora = meeting.nodes["leader"].room, meeting.asker("dora")
    meeting.until(lambda: dora.id in meeting.asked())
    leading.admit.append(dora.id)
    assert body_of(draft(room)).kind is EpochKind.RATCHET
    leading.pending, leading.ratchets = None, MAX_RATCHETS
    assert body_of(draft(room)).kind is EpochKind.FRESH


def test_who_withdrew_is_not_admitted(meeting: World, leading: Leading) -> None:
    room, dora = meeting.nodes["leader"].room, meeting.asker("dora")
    meeting.until(lambda: dora.id in meeting.asked())
    dora.do(lambda m: m.leave(meeting.now_ms))
    meeting.pass_ms(100)
    leading.admit.append(dora.id)
    assert draft(room) is None


def test_a_lost_epoch_is_followed_by_a_fresh_one(room: Room, leading: Leading) -> None:
    assert leading.current is not None
    leading.current.key_id = KeyId(bytes(32))
    assert body_of(draft(room)).kind is EpochKind.FRESH


@pytest.mark.parametrize("landed", [True, False])
def test_only_another_epoch_ends_ours(
    meeting: World, leading: Leading, landed: bool
) -> None:
    leading.give_up_unless(KeyId(bytes(32)))
    leading.remove.add(meeting.nodes["bob"].id)
    pending = draft(meeting.nodes["leader"].room)
    assert pending is not None
    leading.give_up_unless(pending.key_id if landed else KeyId(bytes(32)))
    assert (leading.pending is pending) is landed
    assert any(pending.seed.buffer) is landed


def test_landing_erases_what_is_past(meeting: World, leading: Leading) -> None:
    room, bob = meeting.nodes["leader"].room, meeting.nodes["bob"].id
    past, kek = leading.current, leading.keks[bob]
    leading.wrapped_ms[bob] = 1
    meeting.nodes["leader"].do(lambda m: m.remove(bob, meeting.now_ms))
    meeting.until(lambda: meeting.one_room("leader", "carol"))
    assert past is not None
    assert not any(past.seed.buffer)
    assert not any(kek.key.buffer)
    for kept in (leading.keks, leading.kems, leading.wrapped_ms, leading.remove):
        assert bob not in kept
    assert room.leading is leading


def test_everybody_gets_a_wrap_and_first_a_pairwise_key(
    meeting: World, leading: Leading
) -> None:
    room, bob = meeting.nodes["leader"].room, meeting.nodes["bob"]
    leading.renew_kek(bob.id)
    leading.renew_kek(bob.id)
    kek, wraps = wrapped(room)
    assert kek.to == bob.kid
    message = parse_message(kek.message)
    assert isinstance(message, Message)
    assert isinstance(message.body, KekMessage)
    assert [w.slot for w in parse_wrap_batch(wraps.message).wraps] == [1, 2]


def test_who_has_told_no_kem_key_gets_nothing(meeting: World, leading: Leading) -> None:
    for name in ("bob", "carol"):
        leading.renew_kek(meeting.nodes[name].id)
        del leading.kems[meeting.nodes[name].id]
    assert wrapped(meeting.nodes["leader"].room) == []


def test_a_repeated_wrap_is_for_once_a_second(leading: Leading) -> None:
    who = EntryId(bytes(32))
    asked = [leading.may_wrap_again(who, at) for at in (0, 1, WRAP_PAUSE_MS)]
    assert asked == [True, False, True]


def test_boxes_are_held_in_bounds() -> None:
    leading = Leading()
    for number in range(MAX_BOXES + 2):
        name = EntryId(number.to_bytes(32, "big"))
        leading.hold_box(
            RequestBox(request=name, leader_key_hash=bytes(32), sealed=bytes(1392))
        )
    assert len(leading.boxes) == MAX_BOXES
    assert EntryId(bytes(32)) not in leading.boxes


@pytest.mark.parametrize("busy", [True, False])
def test_a_wiped_lead_is_zero(meeting: World, leading: Leading, busy: bool) -> None:
    assert leading.current is not None
    secrets = [leading.current.seed, *[kek.key for kek in leading.keks.values()]]
    if busy:
        leading.remove.add(meeting.nodes["bob"].id)
        pending = draft(meeting.nodes["leader"].room)
        assert pending is not None
        leading.link_secret = TOOLS.secret()
        secrets += [pending.seed, pending.key, leading.link_secret]
    leading.wipe()
    assert not any(any(secret.buffer) for secret in secrets)
    assert all(isinstance(kek, LeaderKek) for kek in leading.keks.values())


def test_a_lead_that_never_had_an_epoch_is_wiped_too() -> None:
    Leading().wipe()


def test_a_full_meeting_takes_nobody(room: Room, refused: Refused) -> None:
    limit = room.meeting_state.policy.limits.members
    check_room(room.meeting_state, limit - 3)
    with refused(Code.FULL):
        check_room(room.meeting_state, limit - 2)

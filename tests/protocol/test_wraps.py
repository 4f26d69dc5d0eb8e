# SPDX-License-Identifier: Apache-2.0
from dataclasses import replace
from typing import Any

import pytest

from incamera.errors import Code
from incamera.protocol import kem, labels
from incamera.protocol.encoding import encode, parse
from incamera.protocol.ids import EntryId, KeyId, MeetingId
from incamera.protocol.schedule import (
    EpochContext,
    commitment,
    committed_key,
    expand,
    meeting_key,
)
from incamera.protocol.secret import Secret
from incamera.protocol.wraps import (
    MAX_STEPS,
    WRAP,
    LeaderKek,
    MemberKek,
    Pair,
    WrapContext,
    kek_info,
)

PREV = EntryId(b"p" * 32)
CONTEXT = WrapContext(prev_epoch=PREV, key_id=KeyId(b"k" * 32), slot=5)
EPOCH = EpochContext(
    meeting=MeetingId(b"m" * 32),
    prev_epoch=PREV,
    roster_root=b"r" * 32,
    term=0,
    epoch=1,
)


@pytest.fixture
def pair(signer: Any) -> Any:
    return Pair(
        meeting=MeetingId(b"m" * 32),
        leader=signer(1).public,
        member=signer(2).public,
        kek_id=b"i" * 32,
        generation=4,
    )


@pytest.fixture
def ends(pair: Any, secret: Any) -> Any:
    """Leader's and member's end of one KEK."""
    return LeaderKek(pair, secret(9)), MemberKek(pair, secret(9))


def state(kek: Any) -> Any:
    return kek.step, bytes(kek.key.buffer)


def test_seed_arrives(ends: Any, secret: Any) -> None:
    leader, member = ends
    for number in range(3):
        wrap = leader.wrap(secret(number), CONTEXT)
        assert member.open(wrap, CONTEXT) == secret(number)
        assert state(leader) == state(member)
        assert wrap.step == number


def test_wire_form_has_56_bytes(ends: Any, secret: Any) -> None:
    wrap = ends[0].wrap(secret(1), CONTEXT)
    data = encode(WRAP.encode(wrap))
    assert len(data) == 54  # 56 with a slot above 23 and a generation above 23
    assert WRAP.decode(parse(data)) == wrap


def test_the_leader_keeps_the_next_step_only(ends: Any, secret: Any) -> None:
    leader, _ = ends
    first = leader.key
    leader.wrap(secret(1), CONTEXT)
    assert leader.step == 1
    assert leader.key == expand(secret(9), labels.KEK_STEP)
    assert first.buffer == bytes(32)  # KEK_0 is gone


def test_a_resumed_leader_goes_on(ends: Any, pair: Any, secret: Any) -> None:
    leader, member = ends
    member.open(leader.wrap(secret(1), CONTEXT), CONTEXT)
    resumed = LeaderKek(pair, leader.key.copy(), leader.step)
    assert member.open(resumed.wrap(secret(2), CONTEXT), CONTEXT) == secret(2)


def test_lost_wraps_are_stepped_over(ends: Any, secret: Any) -> None:
    leader, member = ends
    for _ in range(MAX_STEPS):
        leader.wrap(secret(1), CONTEXT)
    assert member.open(leader.wrap(secret(2), CONTEXT), CONTEXT) == secret(2)


def test_more_than_1000_steps_are_refused(ends: Any, secret: Any, refused: Any) -> None:
    leader, member = ends
    for _ in range(MAX_STEPS + 1):
        leader.wrap(secret(1), CONTEXT)
    wrap, before = leader.wrap(secret(2), CONTEXT), state(member)
    with refused(Code.BAD_WRAP):
        member.open(wrap, CONTEXT)
    assert state(member) == before


@pytest.mark.acceptance("Z1-16")
def test_replayed_and_older_wraps_are_refused(
    ends: Any, secret: Any, refused: Any
) -> None:
    leader, member = ends
    older, newer = leader.wrap(secret(1), CONTEXT), leader.wrap(secret(2), CONTEXT)
    member.open(newer, CONTEXT)
    before = state(member)
    for wrap in (newer, older):
        with refused(Code.REPLAYED):
            member.open(wrap, CONTEXT)
    assert state(member) == before


@pytest.mark.acceptance("Z1-16")
def test_in_order_both_open_control(ends: Any, secret: Any) -> None:
    leader, member = ends
    older, newer = leader.wrap(secret(1), CONTEXT), leader.wrap(secret(2), CONTEXT)
    assert member.open(older, CONTEXT) == secret(1)
    assert member.open(newer, CONTEXT) == secret(2)


def test_a_forged_step_does_not_move_the_receiver(
    ends: Any, secret: Any, refused: Any
) -> None:
    leader, member = ends
    wrap, before = leader.wrap(secret(1), CONTEXT), state(member)
    for step in (1, MAX_STEPS, MAX_STEPS + 1):
        with refused(Code.BAD_WRAP):
            member.open(replace(wrap, step=step), CONTEXT)
    assert state(member) == before
    assert member.open(wrap, CONTEXT) == secret(1)


ELSEWHERE = [
    {"meeting": MeetingId(b"M" * 32)},
    {"leader": b"\1" * 32},
    {"member": b"\1" * 32},
    {"kek_id": b"I" * 32},
]


@pytest.mark.acceptance("Z1-06")
@pytest.mark.parametrize("change", ELSEWHERE)
def test_a_wrap_opens_for_its_own_pair_only(
    change: Any, ends: Any, secret: Any, refused: Any
) -> None:
    member = MemberKek(replace(ends[1].pair, **change), secret(9))
    wrap = ends[0].wrap(secret(1), CONTEXT)
    with refused(Code.BAD_WRAP):
        member.open(wrap, CONTEXT)
    assert state(member) == (0, bytes(secret(9).buffer))


@pytest.mark.acceptance("Z1-06")
@pytest.mark.parametrize(
    "context",
    [
        replace(CONTEXT, prev_epoch=EntryId(b"P" * 32)),
        replace(CONTEXT, key_id=KeyId(b"K" * 32)),
    ],
)
def test_a_wrap_opens_for_its_own_epoch_only(
    context: Any, ends: Any, secret: Any, refused: Any
) -> None:
    wrap = ends[0].wrap(secret(1), CONTEXT)
    with refused(Code.BAD_WRAP):
        ends[1].open(wrap, context)


@pytest.mark.acceptance("Z1-06")
def test_a_wrap_in_its_own_place_opens_control(ends: Any, secret: Any) -> None:
    wrap = ends[0].wrap(secret(1), CONTEXT)
    assert ends[1].open(wrap, CONTEXT) == secret(1)


def test_a_wrap_for_another_slot_or_generation(
    ends: Any, secret: Any, refused: Any
) -> None:
    leader, member = ends
    wrap = leader.wrap(secret(1), CONTEXT)
    with refused(Code.WRONG_RECEIVER):
        member.open(replace(wrap, slot=6), CONTEXT)
    with refused(Code.BAD_WRAP):
        member.open(replace(wrap, slot=6), replace(CONTEXT, slot=6))
    with refused(Code.BAD_WRAP):
        member.open(replace(wrap, generation=5), CONTEXT)


def test_no_flipped_bit_opens(ends: Any, secret: Any, refused: Any) -> None:
    leader, member = ends
    wrap = leader.wrap(secret(1), CONTEXT)
    for place in range(48):
        spoiled = bytearray(wrap.sealed)
        spoiled[place] ^= 1
        with refused(Code.BAD_WRAP):
            member.open(replace(wrap, sealed=bytes(spoiled)), CONTEXT)


def test_wiped_ends_hold_nothing(ends: Any) -> None:
    for end in ends:
        end.wipe()
        assert end.key.buffer == bytes(32)


# -- a whole handing-out, as in IV.F of the paper: seal the KEK, wrap the seed, check


def hand_out(sealer: Any, pair: Any, kek: Any, kem_pair: Any) -> Any:
    """What the leader sends to one member: the sealed KEK."""
    info = kek_info(pair, prev_epoch=PREV, term=0, member_kem_key=kem_pair.public)
    return sealer.seal(kem_pair.public, info=info, plaintext=kek.buffer)


def take_in(pair: Any, sealed: Any, kem_pair: Any) -> Any:
    info = kek_info(pair, prev_epoch=PREV, term=0, member_kem_key=kem_pair.public)
    return MemberKek(pair, kem.open_sealed(kem_pair.seed, sealed, info))


@pytest.mark.acceptance("D-07")
def test_each_participant_gets_the_same_key(
    pair: Any, sealer: Any, secret: Any, signer: Any
) -> None:
    committed = commitment(meeting_key(secret(1), EPOCH))
    keys = []
    for slot in range(1, 5):
        mine = replace(pair, member=signer(slot).public)
        kem_pair, context = sealer.new_kem_pair(), replace(CONTEXT, slot=slot)
        member = take_in(mine, hand_out(sealer, mine, secret(slot), kem_pair), kem_pair)
        wrap = LeaderKek(mine, secret(slot)).wrap(secret(1), context)
        keys.append(committed_key(member.open(wrap, context), EPOCH, committed))
    assert all(key == keys[0] for key in keys)
    assert len(keys[0]) == 32


@pytest.mark.acceptance("D-07")
def test_a_leader_cannot_hand_out_two_keys_control(
    secret: Any, ends: Any, refused: Any
) -> None:
    committed = commitment(meeting_key(secret(1), EPOCH))
    seed = ends[1].open(ends[0].wrap(secret(2), CONTEXT), CONTEXT)
    with refused(Code.BAD_COMMITMENT):
        committed_key(seed, EPOCH, committed)


@pytest.mark.acceptance("D-07")
@pytest.mark.acceptance("Z1-05")
def test_others_open_neither_kek_nor_wrap(
    pair: Any, sealer: Any, secret: Any, refused: Any
) -> None:
    right, other = sealer.new_kem_pair(), sealer.new_kem_pair()
    sealed = hand_out(sealer, pair, secret(9), right)
    with refused(Code.BAD_BOX):
        take_in(pair, sealed, other)
    wrap = LeaderKek(pair, secret(9)).wrap(secret(1), CONTEXT)
    with refused(Code.BAD_WRAP):
        MemberKek(pair, secret(8)).open(wrap, CONTEXT)


@pytest.mark.acceptance("Z1-05")
def test_a_relay_sees_no_key_in_what_it_carries(
    pair: Any, sealer: Any, secret: Any
) -> None:
    canary = secret(0x5A)
    kem_pair = sealer.new_kem_pair()
    seen = hand_out(sealer, pair, secret(9), kem_pair)
    wrap = LeaderKek(pair, secret(9)).wrap(canary, CONTEXT)
    seen += encode(WRAP.encode(wrap))
    for key in (canary, secret(9), meeting_key(canary, EPOCH)):
        assert bytes(key.buffer) not in seen


@pytest.mark.acceptance("Z1-05")
def test_a_key_carried_in_clear_would_be_seen_control(ends: Any, secret: Any) -> None:
    wrap = ends[0].wrap(secret(0x5A), CONTEXT)
    leaky = replace(wrap, sealed=bytes(secret(0x5A).buffer) + bytes(16))
    assert bytes(secret(0x5A).buffer) in encode(WRAP.encode(leaky))


KEK_PLACES = [
    {"pair": {"meeting": MeetingId(b"M" * 32)}},
    {"pair": {"leader": b"\1" * 32}},
    {"pair": {"member": b"\1" * 32}},
    {"pair": {"kek_id": b"I" * 32}},
    {"prev_epoch": b"P" * 32},
    {"term": 1},
    {"member_kem_key": b"another"},
]


@pytest.mark.acceptance("Z1-06")
@pytest.mark.parametrize("change", KEK_PLACES)
def test_a_sealed_kek_opens_in_its_own_place_only(
    change: Any, pair: Any, sealer: Any, refused: Any
) -> None:
    kem_pair, kek = sealer.new_kem_pair(), Secret(bytearray(32))
    sealed = hand_out(sealer, pair, kek, kem_pair)
    place = {"prev_epoch": PREV, "term": 0, "member_kem_key": kem_pair.public, **change}
    mine = replace(pair, **place.pop("pair", {}))
    with refused(Code.BAD_BOX):
        kem.open_sealed(kem_pair.seed, sealed, kek_info(mine, **place))


@pytest.mark.acceptance("Z1-06")
def test_a_sealed_kek_in_its_own_place_opens_control(
    pair: Any, sealer: Any, secret: Any
) -> None:
    kem_pair = sealer.new_kem_pair()
    sealed = hand_out(sealer, pair, secret(9), kem_pair)
    assert take_in(pair, sealed, kem_pair).key == secret(9)

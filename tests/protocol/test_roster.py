# SPDX-License-Identifier: Apache-2.0
"""Slots, and the root that binds them."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from incamera.errors import Code
from incamera.protocol.bodies import MemberKind
from incamera.protocol.encoding import encode
from incamera.protocol.growing_map import GrowingMap
from incamera.protocol.ids import EntryId, UserTag, VerifyKey
from incamera.protocol.log import root_of
from incamera.protocol.meeting_state import OpenRequest
from incamera.protocol.policy import MAX_SLOTS
from incamera.protocol.roster import Member, next_roster, roster_leaf, roster_root


def member(slot: int) -> Member:
    return Member(
        slot=slot,
        id=EntryId(slot.to_bytes(32, "big")),
        mvk=VerifyKey(bytes(32)),
        tag=UserTag(bytes(16)),
        kind=MemberKind.PERSON,
    )


@given(st.sets(st.integers(0, 40)))
def test_the_root_is_that_of_the_log(slots: set[int]) -> None:
    members = {slot: member(slot) for slot in slots}
    leaves = [
        encode(roster_leaf(members[slot])) if slot in slots else b""
        for slot in range(max(slots, default=-1) + 1)
    ]
    assert roster_root(members) == root_of(leaves)


def test_every_field_of_a_leaf_counts() -> None:
    roots = {
        roster_root({1: changed})
        for changed in (
            member(1),
            replace(member(1), id=EntryId(bytes([9]) * 32)),
            replace(member(1), mvk=VerifyKey(bytes([9]) * 32)),
            replace(member(1), tag=UserTag(bytes([9]) * 16)),
            replace(member(1), kind=MemberKind.GUEST),
        )
    }
    roots.add(roster_root({0: member(0), 1: member(1)}))
    assert len(roots) == 6


def test_the_lowest_free_slots_are_taken_by_ordinal(scene: Any) -> None:
    scene.land(*[scene.request(name) for name in ("dan", "eve", "fay")])
    roster = next_roster(scene.now, admitted=[4, 2, 3], dropped=[1], epoch=7)
    ids = [scene.now.requests[ordinal].id for ordinal in (2, 3, 4)]
    assert [roster[slot].id for slot in (1, 3, 4)] == ids
    assert [roster[slot].order for slot in (0, 2, 1, 3, 4)] == [0, 2, 3, 4, 5]
    assert [roster[slot].admitted for slot in (0, 2, 1, 3, 4)] == [0, 1, 7, 7, 7]


def test_the_epoch_defaults_to_the_next(scene: Any) -> None:
    scene.land(scene.request("dan"))
    assert next_roster(scene.now, admitted=[2], dropped=[])[3].admitted == 2


def test_what_cannot_be_seated(refused: Callable[[Code], Any], scene: Any) -> None:
    with refused(Code.NOT_LEGAL):
        next_roster(scene.now, admitted=[2], dropped=[])
    with refused(Code.NOT_LEGAL):
        next_roster(scene.now, admitted=[], dropped=[9])


def test_slots_end(refused: Callable[[Code], Any], scene: Any) -> None:
    scene.land(scene.request("dan"))
    one = scene.now.requests[2]
    assert isinstance(one, OpenRequest)
    many = {n: replace(one, ordinal=n) for n in range(2, MAX_SLOTS)}
    state = replace(scene.now, requests=GrowingMap(many))
    full = next_roster(state, admitted=range(2, MAX_SLOTS - 1), dropped=[])
    assert max(full) == MAX_SLOTS - 1
    with refused(Code.FULL):
        next_roster(state, admitted=range(2, MAX_SLOTS), dropped=[])

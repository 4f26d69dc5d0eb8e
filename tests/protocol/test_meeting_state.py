# SPDX-License-Identifier: Apache-2.0
"""What a meeting's state can be asked."""

from typing import Any

from incamera.protocol.entry import EntryType
from incamera.protocol.meeting_state import (
    Line,
    Status,
    host_ids,
    is_over,
    leader_member,
    line_of,
    member_by_id,
    member_by_mvk,
    next_header,
    request_by_mvk,
)


def test_who_is_who(scene: Any, meetings: Any) -> None:
    scene.land(scene.request("dan"))
    keys = {who: meetings.signer_of(who).public for who in ("ann", "bob", "dan", "eve")}
    leader = leader_member(scene.now)
    assert leader is not None
    assert leader.mvk == keys["ann"]
    bob = member_by_mvk(scene.now, keys["bob"])
    assert bob is not None
    assert member_by_id(scene.now, bob.id) is bob
    assert member_by_mvk(scene.now, keys["dan"]) is None
    assert member_by_mvk(scene.now, keys["eve"]) is None


def test_requests_by_key(scene: Any, meetings: Any) -> None:
    scene.land(scene.request("dan"))
    dan = meetings.signer_of("dan").public
    asked = request_by_mvk(scene.now, dan)
    assert asked is not None
    assert asked.ordinal == 2
    assert request_by_mvk(scene.now, meetings.signer_of("bob").public) is None
    scene.land(scene.leave("dan"))
    assert request_by_mvk(scene.now, dan) is None


def test_two_lines_per_author(scene: Any, meetings: Any) -> None:
    ann, eve = (meetings.signer_of(who).public for who in ("ann", "eve"))
    policy = scene.policy()
    scene.land(policy)
    assert next_header(scene.now, ann, EntryType.EPOCH) == (2, scene.now.last)
    assert next_header(scene.now, ann, EntryType.DISMISS) == (1, policy.id)
    assert next_header(scene.now, eve, EntryType.REQUEST) == (0, None)


def test_which_line_a_type_is_counted_in() -> None:
    leading = {kind for kind in EntryType if line_of(kind) is Line.LEAD}
    assert leading == {EntryType.PUBLISH, EntryType.EPOCH}


def test_the_publisher_is_host_while_nobody_is_named(scene: Any) -> None:
    assert host_ids(scene.now) == {scene.now.meeting_id}


def test_a_meeting_ends_by_word_or_time(scene: Any) -> None:
    assert not is_over(scene.now, scene.now.ends_ms - 1)
    assert is_over(scene.now, scene.now.ends_ms)
    scene.land(scene.dismiss())
    assert scene.now.status is Status.ENDED
    assert is_over(scene.now, 0)

# SPDX-License-Identifier: Apache-2.0
"""A third kind of topic beside users and meetings, and what a parent is."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import pytest

from incamera.errors import Code
from incamera.protocol.bodies import Parent, ParentKind
from incamera.protocol.context import RULES, Context
from incamera.protocol.encoding import encode
from incamera.protocol.entry import Entry
from incamera.protocol.ids import LedgerId, MeetingId
from incamera.protocol.meeting_state import MeetingState
from incamera.protocol.topic import (
    MEETING,
    USER,
    TopicState,
    apply,
    encode_state,
    parent_of,
)
from incamera.protocol.topic_kind import TopicKind, Topics

Refused = Callable[[Code], Any]
PARENT = Parent(
    kind=ParentKind.BREAKOUT,
    meeting=MeetingId(bytes(32)),
    ledger=LedgerId(bytes(32)),
    head=bytes(32),
    count=3,
)


@dataclass(frozen=True)
class Album:
    rules: int = RULES


@dataclass(frozen=True)
class AlbumState:
    entries: int


def turn(state: AlbumState, _entry: Entry, _context: Context) -> AlbumState:
    return AlbumState(state.entries + 1)


ALBUM = TopicKind(
    opening=Album,
    state=AlbumState,
    open=lambda *_: AlbumState(1),
    apply=turn,
    value=lambda state: {0: 99, 1: state.entries},
)
THREE = Topics[TopicState | AlbumState]((USER, MEETING, ALBUM))


@pytest.fixture
def publish(scene: Any) -> Entry:
    entry: Entry = scene.history[0][1]
    return entry


@pytest.fixture
def context(meetings: Any) -> Context:
    return Context(meetings.LEDGER, RULES, 0, meetings.START_MS)


def opening(publish: Entry, **fields: Any) -> Entry:
    return replace(publish, body=Album(**fields))  # type: ignore[arg-type]  # a new kind


def test_a_third_kind_is_a_row(publish: Entry, context: Context) -> None:
    state = THREE.apply(None, opening(publish), context)
    assert THREE.apply(state, publish, context) == AlbumState(2)
    assert THREE.encode(state) == {0: 99, 1: 1}
    assert THREE.parent_of(opening(publish)) is None


def test_the_others_are_judged_as_before(publish: Entry, context: Context) -> None:
    state = THREE.apply(None, publish, context)
    assert isinstance(state, MeetingState)
    assert state == apply(None, publish, context)
    assert encode(THREE.encode(state)) == encode_state(state)


def test_what_no_row_opens_is_refused(
    publish: Entry, context: Context, refused: Refused
) -> None:
    with refused(Code.UNKNOWN_TOPIC):
        apply(None, opening(publish), context)


@pytest.mark.parametrize(
    ("header", "rules", "code"),
    [
        ({"place": bytes(32)}, RULES, Code.WRONG_PLACE),
        ({"seq": 1}, RULES, Code.OUT_OF_SEQUENCE),
        ({}, RULES + 1, Code.UNKNOWN_RULES),
    ],
)
def test_each_kind_opens_by_the_same_rule(
    publish: Entry,
    context: Context,
    refused: Refused,
    *,
    header: Any,
    rules: int,
    code: Code,
) -> None:
    entry = opening(publish, rules=rules)
    with refused(code):
        THREE.apply(
            None, replace(entry, header=replace(entry.header, **header)), context
        )


def test_rules_of_another_version_are_not_judged(
    publish: Entry, context: Context, refused: Refused
) -> None:
    with refused(Code.UNKNOWN_RULES):
        THREE.apply(None, publish, replace(context, rules=RULES + 1))


def test_a_meeting_may_name_a_parent(scene: Any, publish: Entry) -> None:
    breakout = replace(publish, body=replace(publish.body, parent=PARENT))  # type: ignore[arg-type]  # a publish
    assert parent_of(breakout) == PARENT
    assert parent_of(publish) is None
    assert parent_of(scene.leave("bob")) is None

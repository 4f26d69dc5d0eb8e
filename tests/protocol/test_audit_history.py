# SPDX-License-Identifier: Apache-2.0
"""What the chronicle notes of each entry, and of each person."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from incamera.errors import Code
from incamera.protocol.audit_history import (
    Asked,
    Chronicle,
    Dismissed,
    EpochBegan,
    Left,
    Moment,
    Person,
    PolicyChanged,
    Published,
    Refused,
    Seat,
    Step,
    Withdrew,
)
from incamera.protocol.bodies import EpochKind
from incamera.protocol.identity import verify_identity
from incamera.protocol.ids import EntryId
from incamera.protocol.meeting_state import Standing
from incamera.protocol.policy import Doors, Grant, Role
from incamera.protocol.topic import apply


@pytest.fixture(scope="session")
def scenes(generators: Callable[[str], Any]) -> Any:
    """Meetings in one state or another."""
    return generators("_scenes")


def chronicle_of(scene: Any) -> Chronicle:
    """Replay a scene from its beginning."""
    chronicle, state, end = Chronicle(), None, scene.time_ms
    for index, (time_ms, entry) in enumerate(scene.history):
        scene.time_ms, before = time_ms, state
        state = apply(before, entry, replace(scene.context(), index=index))
        chronicle.note(entry, index=index, before=before, after=state)  # type: ignore[arg-type]  # a meeting's state
    scene.time_ms = end
    return chronicle


def told(scene: Any) -> list[Any]:
    return [step.what for step in chronicle_of(scene).steps]


def people(scene: Any) -> tuple[Person, ...]:
    return chronicle_of(scene).people({}, {})


def ids(scene: Any) -> list[EntryId]:
    """Publish and request ids in their order."""
    kinds = ("Publish", "Request")
    return [e.id for _, e in scene.history if type(e.body).__name__ in kinds]


def test_joining_is_told(scenes: Any) -> None:
    scene = scenes.seated()
    ann, bob, cyd = ids(scene)
    steps = chronicle_of(scene).steps
    assert [step.by for step in steps] == [ann, bob, cyd, ann]
    assert [step.time_ms for step in steps] == [t for t, _ in scene.history]
    assert [step.what for step in steps] == [
        Published(Doors.OPEN),
        Asked(0, None),
        Asked(1, None),
        EpochBegan(
            number=1,
            kind=EpochKind.FRESH,
            let_in=(Seat(1, bob), Seat(2, cyd)),
            left=(),
            lost=(),
            removed=(),
        ),
    ]


def test_going_is_told_with_who_did_it(scenes: Any) -> None:
    scene = scenes.removed()
    _, bob, cyd = ids(scene)
    left, epoch = chronicle_of(scene).steps[-2:]
    assert (left.by, left.what) == (bob, Left(1))
    assert epoch.by == ids(scene)[0]
    assert isinstance(epoch.what, EpochBegan)
    assert epoch.what.left == (Seat(1, bob),)
    assert epoch.what.removed == (Seat(2, cyd),)
    assert epoch.what.lost == ()


def test_people_have_their_times_and_epochs(scenes: Any) -> None:
    scene = scenes.removed()
    times = [time_ms for time_ms, _ in scene.history]
    ann, bob, cyd = people(scene)
    assert (ann.slot, ann.entered, ann.gone) == (0, Moment(0, times[0]), None)
    assert (bob.slot, bob.entered, bob.left_ms) == (1, Moment(1, times[3]), times[4])
    assert (bob.gone, bob.how) == (Moment(2, times[5]), Standing.LEFT)
    assert (cyd.left_ms, cyd.how) == (None, Standing.REMOVED)


def test_withdrawing_is_not_leaving(scenes: Any) -> None:
    scene = scenes.withdrawn()
    last = chronicle_of(scene).steps[-1]
    assert (last.what, last.by) == (Withdrew(), ids(scene)[3])
    dan = people(scene)[3]
    assert (dan.ordinal, dan.slot, dan.entered) == (2, None, None)
    assert dan.left_ms == last.time_ms


def test_who_comes_back_is_told_from_a_newcomer(scenes: Any) -> None:
    scene = scenes.whole()
    what = told(scene)
    assert [w.was for w in what if isinstance(w, Asked)][:3] == [None] * 3
    assert what[-3] == Asked(3, ids(scene)[2])
    assert what[-1] == Dismissed(0)
    returned = people(scene)[4]
    assert (returned.slot, returned.how) == (1, None)
    assert people(scene)[3].how is Standing.LOST


def test_doors_gate_and_hosts_are_told_when_they_change(scenes: Any) -> None:
    changes = [w for w in told(scenes.whole()) if isinstance(w, PolicyChanged)]
    closed = PolicyChanged(version=1, doors=Doors.CLOSED, gate=True, hosts=None)
    assert changes == [closed]
    scene = scenes.hosted()
    ann, bob, _ = ids(scene)
    both, one = [w for w in told(scene) if isinstance(w, PolicyChanged)]
    assert both.hosts == tuple(sorted((ann, bob)))
    assert (one.hosts, one.doors, one.gate) == ((bob,), None, False)
    assert chronicle_of(scene).steps[-1].by == bob


def test_the_same_hosts_by_name_are_no_change(scenes: Any) -> None:
    scene = scenes.seated()
    grants = (Grant(who=scene.now.leader, role=Role.HOST),)
    scene.land(scene.policy(policy={"grants": grants}))
    change = told(scene)[-1]
    assert change == PolicyChanged(version=1, doors=None, gate=False, hosts=None)


def test_the_title_is_known_where_it_stands_in_clear(meetings: Any) -> None:
    assert chronicle_of(meetings.Scene().open()).title is None
    assert chronicle_of(meetings.Scene().open(info="Tea")).title == "Tea"


def test_a_refused_entry_is_by_nobody() -> None:
    chronicle = Chronicle()
    chronicle.refused(7, 9, Code.NO_GATE)
    assert chronicle.steps == [Step(7, 9, None, Refused(Code.NO_GATE))]


def test_names_stand_beside_proven_users_only(
    scenes: Any, generators: Callable[[str], Any]
) -> None:
    made = generators("identity")
    opening = made.opening_of(made.CLEAR, made.statement_of(made.CLEAR))
    expected = made.expected_of(opening)
    who = verify_identity(opening, expected=expected, ordered_ms=made.ORDERED)
    scene = scenes.seated()
    ann, bob, _ = ids(scene)
    chronicle, called = chronicle_of(scene), {who.user_id: "Bo"}
    first, second, third = chronicle.people({bob: who}, called)
    assert (first.identified, first.own_name) == (None, None)
    assert (second.identified, second.own_name) == (who, "Bo")
    assert third.own_name is None
    assert chronicle.people({ann: who}, {})[0].own_name is None

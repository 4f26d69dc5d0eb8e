# SPDX-License-Identifier: Apache-2.0
"""Which entry is legal when: the table, by histories and by single faults."""

from collections.abc import Callable
from typing import Any

import pytest

from incamera.errors import Code
from incamera.protocol.bodies import Publish, UserRoot
from incamera.protocol.meeting import TABLE
from incamera.protocol.meeting_state import Status
from incamera.protocol.topic import encode_state


@pytest.fixture(scope="module")
def vectors(generators: Callable[[str], Any]) -> Any:
    return generators("meeting")


@pytest.fixture(scope="module")
def scenes(generators: Callable[[str], Any]) -> Any:
    return generators("_scenes")


def test_every_fault_is_refused_with_its_code(vectors: Any) -> None:
    for (make, code), faults in vectors.REFUSED.items():
        scene = make()
        before = scene.state and encode_state(scene.state)
        for name, fault in faults.items():
            assert vectors.verdict(scene, fault(scene)) is code, name
            assert (scene.state and encode_state(scene.state)) == before


def test_every_history_is_accepted(scenes: Any) -> None:
    lengths = [len(make().history) for make in scenes.HISTORIES]
    assert min(lengths) == 1
    assert max(lengths) >= 10


def test_the_table_has_every_later_entry() -> None:
    bodies = set(TABLE)
    assert bodies.isdisjoint({Publish, UserRoot})
    for row in TABLE.values():
        assert row.statuses <= {Status.OPEN, Status.LEADERLESS}


@pytest.mark.acceptance("D-03")
def test_a_second_publish_with_the_same_id_is_refused(
    refused: Callable[[Code], Any], scene: Any
) -> None:
    with refused(Code.DUPLICATE):
        scene.try_out(scene.history[0][1])


def test_a_second_publish_with_the_same_id_control(meetings: Any) -> None:
    other = meetings.Scene().open(nonce=bytes(32))
    assert other.now.meeting_id != meetings.Scene().open().now.meeting_id


@pytest.mark.acceptance("D-04")
@pytest.mark.parametrize(
    ("fault", "code"),
    [
        ("request of another meeting", Code.WRONG_PLACE),
        ("request, spoiled", Code.BAD_SIGNATURE),
        ("request without gate", Code.NO_GATE),
        ("request with the gate of another request", Code.BAD_COSIGNATURE),
    ],
)
def test_a_bad_request_is_refused(
    vectors: Any, scenes: Any, fault: str, code: Code
) -> None:
    scene = scenes.seated()
    entry = vectors.REFUSED[scenes.seated, code][fault](scene)
    assert vectors.verdict(scene, entry) is code
    assert scene.now.next_ordinal == 2


def test_a_bad_request_control(scene: Any) -> None:
    assert scene.try_out(scene.request("dan")).next_ordinal == 3


@pytest.mark.acceptance("D-10")
def test_a_forged_leave_is_refused(refused: Callable[[Code], Any], scenes: Any) -> None:
    scene = scenes.seated()
    with refused(Code.BAD_SIGNATURE):
        scene.try_out(scenes.forged_leave(scene))
    assert scene.now.leaving == frozenset()


def test_a_forged_leave_control(scene: Any) -> None:
    assert scene.try_out(scene.leave("bob")).leaving == {1}


@pytest.mark.acceptance("D-16")
@pytest.mark.parametrize(
    ("who", "code"), [("bob", Code.WRONG_AUTHOR), ("eve", Code.WRONG_AUTHOR)]
)
def test_only_the_leader_dismisses(
    refused: Callable[[Code], Any], scene: Any, who: str, code: Code
) -> None:
    with refused(code):
        scene.try_out(scene.dismiss(who))


def test_only_the_leader_dismisses_control(scene: Any) -> None:
    assert scene.try_out(scene.dismiss()).status is Status.ENDED


@pytest.mark.acceptance("Z1-16")
@pytest.mark.parametrize("number", [0, 1, 2])
def test_epoch_numbers_only_rise(
    refused: Callable[[Code], Any], scene: Any, number: int
) -> None:
    scene.land(scene.epoch())
    with refused(Code.WRONG_EPOCH):
        scene.try_out(scene.epoch(number=number))


def test_epoch_numbers_only_rise_control(scene: Any) -> None:
    scene.land(scene.epoch())
    assert scene.try_out(scene.epoch(number=3)).epoch == 3
    assert scene.try_out(scene.epoch(number=70)).epoch == 70

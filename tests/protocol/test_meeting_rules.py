# SPDX-License-Identifier: Apache-2.0
"""What an entry must fulfil, beyond the single faults of the vectors."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from incamera.errors import Code
from incamera.protocol.bodies import MAX_REQUESTS
from incamera.protocol.ids import EntryId
from incamera.protocol.meeting_rules import is_superseded
from incamera.protocol.meeting_state import Standing


@pytest.fixture(scope="module")
def faults(generators: Callable[[str], Any]) -> Any:
    return generators("meeting")


def test_single_faults(faults: Any) -> None:
    found = {
        (name, faults.verdict(scene := make(), fault(scene)))
        for (make, _), group in faults.REFUSED.items()
        for name, fault in group.items()
    }
    assert len(found) == sum(map(len, faults.REFUSED.values()))
    assert all(code is not None for _, code in found)


@pytest.mark.parametrize("how", ["left", "lost"])
def test_who_left_or_was_lost_returns_without_the_gate(scene: Any, how: str) -> None:
    scene.land(scene.leave("bob"), scene.epoch(**{how: [1]}))
    closed = {"doors": 1}
    scene.land(scene.policy(policy=closed))
    after = scene.try_out(scene.request("bob", gate=None))
    assert after.requests[2].mvk == scene.history[1][1].body.mvk


def test_a_returner_may_still_use_the_gate(
    refused: Callable[[Code], Any], scene: Any
) -> None:
    scene.land(scene.epoch(lost=[1]))
    assert scene.try_out(scene.request("bob")).next_ordinal == 3
    with refused(Code.BAD_COSIGNATURE):
        scene.try_out(scene.request("bob", gate="eve"))


def test_a_removed_key_never_returns(
    refused: Callable[[Code], Any], scene: Any
) -> None:
    scene.land(scene.epoch(removed=[1]))
    for gate in ("gate", None):
        with refused(Code.NOT_LEGAL):
            scene.try_out(scene.request("bob", gate=gate))


def test_requests_end(refused: Callable[[Code], Any], scene: Any) -> None:
    request = scene.request("dan")
    scene.state = replace(scene.now, next_ordinal=MAX_REQUESTS - 1)
    assert scene.try_out(request).next_ordinal == MAX_REQUESTS
    scene.state = replace(scene.now, next_ordinal=MAX_REQUESTS)
    with refused(Code.FULL):
        scene.try_out(request)


def test_who_must_be_dropped_is_owed_until_dropped(
    refused: Callable[[Code], Any], scene: Any
) -> None:
    scene.state = replace(scene.now, must_drop=frozenset({2}))
    with refused(Code.NOT_LEGAL):
        scene.try_out(scene.epoch(lost=[1]))
    assert scene.try_out(scene.epoch(lost=[1], removed=[2])).must_drop == frozenset()


def test_a_leaving_member_may_be_removed(scene: Any) -> None:
    removal = scene.epoch(removed=[1])
    scene.land(scene.leave("bob"), removal)
    former = scene.now.former[1]
    assert former.how is Standing.REMOVED
    assert scene.now.leaving == frozenset()


def test_superseding_is_transitive(scene: Any) -> None:
    names = [EntryId(bytes([n]) * 32) for n in range(4)]
    bodies = {
        names[0]: scene.epoch_body(),
        names[1]: scene.epoch_body(supersedes=(names[0],)),
        names[2]: scene.epoch_body(supersedes=(names[1],)),
        names[3]: scene.epoch_body(supersedes=(names[2], names[1])),
    }
    assert is_superseded(names[0], names[2], bodies)
    assert is_superseded(names[0], names[3], bodies)
    assert not is_superseded(names[2], names[0], bodies)
    assert not is_superseded(names[1], names[1], bodies)
    del bodies[names[1]]
    assert not is_superseded(names[0], names[2], bodies)

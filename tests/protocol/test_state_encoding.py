# SPDX-License-Identifier: Apache-2.0
"""States have one form, and the frozen histories keep it."""

import json
from pathlib import Path
from typing import Any

import pytest

from incamera.protocol.encoding import MAX_MESSAGE, parse
from incamera.protocol.entry import parse_entry
from incamera.protocol.ids import LedgerId
from incamera.protocol.topic import (
    RULES,
    Context,
    TopicState,
    apply,
    encode_state,
    state_hash,
)

VECTORS = Path(__file__).parents[2] / "spec" / "vectors"
CASES = [
    case
    for name in ("meeting", "user")
    for case in json.loads((VECTORS / f"{name}.json").read_text())["cases"]
]


def fold(case: dict[str, Any]) -> list[TopicState]:
    state: TopicState | None = None
    states = []
    for index, (time_ms, data) in enumerate(case["history"]):
        ledger = LedgerId(bytes.fromhex(case["ledger"]))
        context = Context(ledger, RULES, index, time_ms)
        state = apply(state, parse_entry(bytes.fromhex(data)), context)
        states.append(state)
    return states


@pytest.mark.parametrize(
    "case", [c for c in CASES if "expect" in c], ids=lambda case: case["name"]
)
def test_frozen_histories_keep_their_hashes(case: dict[str, Any]) -> None:
    states = fold(case)
    assert [state_hash(state).hex() for state in states] == case["expect"]["hashes"]
    assert encode_state(states[-1]).hex() == case["expect"]["state"]


def test_a_state_is_canonical(scene: Any) -> None:
    value = parse(encode_state(scene.now), MAX_MESSAGE)
    assert isinstance(value, dict)
    assert sorted(value) == list(range(27))


def test_every_entry_changes_the_hash(scene: Any) -> None:
    hashes = {state_hash(scene.now)}
    for entry in ("request", "leave"):
        scene.land(getattr(scene, entry)("dan"))
        hashes.add(state_hash(scene.now))
    scene.land(scene.policy())
    hashes.add(state_hash(scene.now))
    assert len(hashes) == 4

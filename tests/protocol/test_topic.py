# SPDX-License-Identifier: Apache-2.0
"""One judge for all topics: places, rules and codes by the vectors."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from incamera.errors import Code
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


def step(
    state: TopicState | None, case: dict[str, Any], index: int, pair: tuple[int, str]
) -> TopicState:
    context = Context(LedgerId(bytes.fromhex(case["ledger"])), RULES, index, pair[0])
    return apply(state, parse_entry(bytes.fromhex(pair[1])), context)


@pytest.mark.parametrize("case", CASES, ids=lambda case: case["name"])
def test_vectors(refused: Callable[[Code], Any], case: dict[str, Any]) -> None:
    state: TopicState | None = None
    for index, pair in enumerate(case["history"]):
        state = step(state, case, index, pair)
    if "expect" in case:
        assert state is not None
        assert encode_state(state).hex() == case["expect"]["state"]
        assert state_hash(state).hex() == case["expect"]["hashes"][-1]
        return
    with refused(Code(case["error"])):
        step(state, case, len(case["history"]), case["next"])


def test_unknown_rules_are_not_judged(
    refused: Callable[[Code], Any], scene: Any, meetings: Any
) -> None:
    context = Context(meetings.LEDGER, RULES + 1, 0, meetings.START_MS)
    with refused(Code.UNKNOWN_RULES):
        apply(scene.now, scene.request("dan"), context)

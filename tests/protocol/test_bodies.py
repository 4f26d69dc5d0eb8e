# SPDX-License-Identifier: Apache-2.0
"""Every body is what the vectors say, and nothing else."""

import json
from pathlib import Path
from typing import Any

import pytest

from incamera.protocol.bodies import USER_INFO, ClearInfo
from incamera.protocol.encoding import parse
from incamera.protocol.entry import _BODIES, parse_entry

VECTORS = Path(__file__).parents[2] / "spec" / "vectors" / "entries.json"
CASES = [c for c in json.loads(VECTORS.read_text())["cases"] if "expect" in c]


@pytest.mark.parametrize("case", CASES, ids=lambda case: case["name"])
def test_bodies_write_what_they_read(case: dict[str, Any]) -> None:
    entry = parse_entry(bytes.fromhex(case["entry"]))
    written = _BODIES[entry.header.type].encode(entry.body)
    assert written == parse(bytes.fromhex(case["expect"]["payload"]))


def test_info_is_a_commitment_or_clear() -> None:
    for info in (bytes(32), ClearInfo(name="Ann"), ClearInfo(name="", note="")):
        assert USER_INFO.decode(USER_INFO.encode(info)) == info

# SPDX-License-Identifier: Apache-2.0
"""Every item of an audit file has the form that the schema says (spec/audit.md, 2)."""

import io
import json
import logging
from collections.abc import Iterator
from pathlib import Path

import cbor2
import pytest
from cddl_verifier import Validator  # type: ignore[import-untyped]  # has no stubs

SPEC = Path(__file__).parents[1] / "spec"
logging.getLogger("cddl_verifier").setLevel(logging.CRITICAL)  # refusals are meant


@pytest.fixture(scope="module")
def schema() -> Validator:
    return Validator((SPEC / "incamera.cddl").read_text())


def items(data: bytes) -> Iterator[bytes]:
    start, decoder = 0, cbor2.CBORDecoder(io.BytesIO(data))
    while start < len(data):
        item = cbor2.dumps(decoder.decode(), canonical=True)
        assert data[start:].startswith(item)
        yield item
        start += len(item)


def test_the_schema_accepts_every_item(schema: Validator) -> None:
    cases = json.loads((SPEC / "vectors/audit.json").read_text())["cases"]
    good = [case for case in cases if "expect" in case][:2]
    found = set()
    for case in good:
        for item in items(bytes.fromhex(case["data"])):
            assert schema.validate(item, root_type="audit-record").valid, item.hex()
            found.add(item[1])
    assert found == {0, 1, 2, 3, 4, 5, 8, 9}


@pytest.mark.parametrize("item", [[10], [8, bytes(32)], [9, bytes(31)]])
def test_the_schema_accepts_no_other_item_control(
    schema: Validator, item: list[object]
) -> None:
    data = cbor2.dumps(item, canonical=True)
    assert not schema.validate(data, root_type="audit-record").valid

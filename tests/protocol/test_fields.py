# SPDX-License-Identifier: Apache-2.0
"""Fields that several entries share."""

from collections.abc import Callable
from typing import Any

import pytest

from incamera.errors import Code
from incamera.protocol.encoding import Value
from incamera.protocol.fields import (
    EXTENSIONS,
    INFO,
    MAX_EXTENSIONS,
    MAX_NAME,
    MAX_TEXT,
    NAME,
    VERIFY_KEY,
    is_clear_identity,
)
from incamera.protocol.schema import Codec


@pytest.mark.parametrize(("codec", "most"), [(INFO, MAX_TEXT), (NAME, MAX_NAME)])
def test_a_commitment_or_a_text(
    refused: Callable[[Code], Any], codec: Codec[bytes | str], most: int
) -> None:
    for good in (bytes(32), "", "x" * most):
        assert codec.decode(codec.encode(good)) == good
    bad: list[Value] = [bytes(31), bytes(33), "x" * (most + 1), None, 7]
    for value in bad:
        with refused(Code.SCHEMA):
            codec.decode(value)


def test_even_extensions_are_kept() -> None:
    most: dict[int, Value] = {2 * n: "x" for n in range(MAX_EXTENSIONS)}
    assert EXTENSIONS.decode(most) == most


@pytest.mark.parametrize(
    ("value", "code"),
    [
        ({2 * n: 0 for n in range(MAX_EXTENSIONS + 1)}, Code.SCHEMA),
        ([], Code.SCHEMA),
        ({2: 0, 3: 0}, Code.UNKNOWN_EXTENSION),
    ],
)
def test_odd_extensions_are_refused(
    refused: Callable[[Code], Any], value: Value, code: Code
) -> None:
    with refused(code):
        EXTENSIONS.decode(value)


def test_keys_are_checked_when_parsed(refused: Callable[[Code], Any]) -> None:
    with refused(Code.BAD_KEY):
        VERIFY_KEY.decode(bytes(32))


def test_an_identity_in_clear_is_longer_than_a_commitment() -> None:
    assert not is_clear_identity(bytes(32))
    assert is_clear_identity(bytes(33))

# SPDX-License-Identifier: Apache-2.0
"""One form for every set of indices."""

from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from incamera.errors import Code, PeerError, UsageError
from incamera.protocol.encoding import Value, encode
from incamera.protocol.index_set import (
    MAX_BITMAP,
    MAX_RANGES,
    IndexSetCodec,
    index_set,
)

CODEC = IndexSetCodec(65_536, 4096)


@given(st.sets(st.integers(0, 65_535), max_size=80))
def test_round_trip_in_the_shorter_form(indices: set[int]) -> None:
    try:
        value = CODEC.encode(index_set(indices))
    except UsageError:
        assert len(index_set(indices).ranges) > MAX_RANGES
        return
    found = CODEC.decode(value)
    assert list(found) == sorted(indices)
    assert len(found) == len(indices)
    assert isinstance(value, dict) or len(value) <= 2 * MAX_RANGES  # type: ignore[arg-type]  # a list


def verdict(value: Value) -> Code | None:
    try:
        assert CODEC.encode(CODEC.decode(value)) == value
    except PeerError as error:
        return error.code
    return None


values = st.recursive(
    st.none() | st.integers(0, 70_000) | st.binary(max_size=9),
    lambda inner: (
        st.lists(inner, max_size=6)
        | st.dictionaries(st.integers(0, 3), inner, max_size=3)
    ),
    max_leaves=8,
)


@given(values)
def test_any_value_is_the_one_form_or_refused(value: Value) -> None:
    assert verdict(value) in {None, Code.SCHEMA, Code.NOT_CANONICAL}


def test_membership() -> None:
    found = index_set([5, 1, 2, 2])
    assert found.ranges == ((1, 2), (5, 1))
    assert [i for i in range(7) if i in found] == [1, 2, 5]
    assert None not in found


@pytest.mark.parametrize(
    ("indices", "value"),
    [
        ([], []),
        ([7], [7, 1]),
        ([9, 12], [9, 1, 12, 1]),
        ([9, 11, 13, 15, 17], {1: 8, 2: b"\xaa\x02"}),
    ],
)
def test_the_shorter_form_is_taken(indices: list[int], value: Value) -> None:
    assert CODEC.encode(index_set(indices)) == value


@pytest.mark.parametrize(
    ("value", "code"),
    [
        ([0, 4097], Code.SCHEMA),
        ([65_536, 1], Code.SCHEMA),
        ([0, 2**52], Code.SCHEMA),
        ([1, 1, 2, 1], Code.SCHEMA),
        ([3, 1, 1, 1], Code.SCHEMA),
        ([1, 0], Code.SCHEMA),
        ([1], Code.SCHEMA),
        ({1: 8}, Code.SCHEMA),
        ({1: 8, 2: b"\xaa\x02\x00"}, Code.NOT_CANONICAL),
        ({1: 0, 2: b"\x00\xaa\x02"}, Code.NOT_CANONICAL),
        ({1: 8, 2: b"\x02"}, Code.NOT_CANONICAL),
        ({1: 8, 2: b"\x00"}, Code.NOT_CANONICAL),
        ([9, 1, 11, 1, 13, 1, 15, 1, 17, 1], Code.NOT_CANONICAL),
    ],
)
def test_every_other_form_is_refused(
    refused: Callable[[Code], Any], value: Value, code: Code
) -> None:
    with refused(code):
        CODEC.decode(value)


def test_scattered_indices_need_two_sets(refused: Callable[[Code], Any]) -> None:
    most = index_set(range(0, 900 * MAX_RANGES, 900))
    assert CODEC.decode(CODEC.encode(most)) == most
    with refused(Code.TOO_LARGE):
        CODEC.encode(index_set([*most, 65_535]))


def test_a_bitmap_has_a_maximum(refused: Callable[[Code], Any]) -> None:
    longest = CODEC.encode(index_set(range(0, 8 * MAX_BITMAP, 2)))
    assert len(encode(longest)) < MAX_BITMAP + 10
    with refused(Code.TOO_LARGE):
        CODEC.encode(index_set([*range(0, 8 * MAX_BITMAP, 4), 8 * MAX_BITMAP]))


def test_bounds_are_checked_when_writing(refused: Callable[[Code], Any]) -> None:
    with refused(Code.SCHEMA):
        CODEC.encode(index_set([65_536]))

# SPDX-License-Identifier: Apache-2.0
from typing import Any

import cbor2
import pytest
from hypothesis import given
from hypothesis import strategies as st

from incamera.errors import Code, PeerError
from incamera.protocol.encoding import MAX_DEPTH, MAX_ENTRY, MAX_UINT, encode, parse

LEAVES = st.integers(0, MAX_UINT) | st.binary() | st.text() | st.booleans() | st.none()
REFUSED = Code.NOT_CANONICAL
VALUES = st.recursive(
    LEAVES,
    lambda inner: st.lists(inner) | st.dictionaries(st.integers(0, MAX_UINT), inner),
    max_leaves=12,
)


def outcome(data: bytes) -> Any:
    """Return the value, or the code of the refusal."""
    try:
        return parse(data)
    except PeerError as error:
        return error.code


@given(VALUES)
def test_values_round_trip(value: Any) -> None:
    found = outcome(encode(value))
    # deeper or longer than the profile allows, or the same again
    assert found in (Code.NOT_CANONICAL, Code.TOO_LARGE) or found == value


@given(st.lists(st.integers(0, MAX_UINT), unique=True, max_size=5))
def test_a_map_has_ascending_keys(keys: list[int]) -> None:
    data = cbor2.dumps(dict.fromkeys(keys, 0))  # in the order given
    found = outcome(data)
    assert found == (dict.fromkeys(keys, 0) if sorted(keys) == keys else REFUSED)
    assert (encode(dict.fromkeys(keys, 0)) == data) is (sorted(keys) == keys)


@given(st.binary(max_size=64))
def test_random_bytes_are_a_value_or_refused(data: bytes) -> None:
    found = outcome(data)
    assert found is Code.NOT_CANONICAL or encode(found) == data


@pytest.mark.parametrize(
    "data",
    [
        "",  # nothing
        "1800",  # 0 in two bytes
        "190001",  # 1 in three bytes
        "5f4100ff",  # byte string of indefinite length
        "9fff",  # array of indefinite length
        "bfff",  # map of indefinite length
        "a1000000",  # trailing byte
        "0000",  # two items
        "a201000000",  # keys out of order
        "a200000000",  # a key twice
        "a1616100",  # text as key
        "a1f400",  # boolean as key
        "a1200000",  # negative key
        "20",  # negative integer
        "1b0020000000000000",  # 2^53
        "c24101",  # bignum
        "c000",  # tag
        "f90000",  # float
        "fb3ff0000000000000",  # float
        "f7",  # undefined
        "e0",  # simple value
        "f800",  # simple value in two bytes
        "61ff",  # not UTF-8
        "4201",  # cut short
        "8101ff",  # break without a start
        "9bffffffffffffffff",  # an array of 2^64 - 1 items
        "a1001c",  # reserved
    ],
)
def test_other_forms_are_refused(data: Any, refused: Any) -> None:
    with refused(Code.NOT_CANONICAL):
        parse(bytes.fromhex(data))


def test_depth_is_bounded(refused: Any) -> None:
    deep = b"\x81" * MAX_DEPTH + b"\x00"
    assert encode(parse(deep)) == deep
    with refused(Code.NOT_CANONICAL):
        parse(b"\x81" + deep)
    with refused(Code.NOT_CANONICAL):
        parse(b"\xa1\x00" * MAX_DEPTH + b"\x80")


def test_size_is_bounded(refused: Any) -> None:
    longest = encode(bytes(MAX_ENTRY - 3))
    assert len(longest) == MAX_ENTRY
    assert parse(longest) == bytes(MAX_ENTRY - 3)
    with refused(Code.TOO_LARGE):
        parse(encode(bytes(MAX_ENTRY - 2)))


def test_integers_at_their_bounds() -> None:
    assert parse(bytes.fromhex("1b001fffffffffffff")) == MAX_UINT
    assert parse(b"\x00") == 0


def test_true_is_not_an_integer() -> None:
    assert parse(b"\xf5") is True
    assert encode(True) != encode(1)


def _in_profile(value: Any) -> Any:
    match value:
        case bool() | str() | None:
            return True
        case int():
            return 0 <= value <= MAX_UINT
        case list():
            return all(map(_in_profile, value))
        case dict():
            return not value  # JSON has text keys only
    return False


def test_examples_of_rfc_8949(published: Any) -> None:
    taken = 0
    for case in published("cbor/rfc8949-appendix_a.json"):
        data = bytes.fromhex(case["hex"])
        wanted = case.get("roundtrip") and _in_profile(case.get("decoded", 0.5))
        if wanted:
            assert parse(data) == case["decoded"]
            taken += 1
        elif "decoded" in case:
            with pytest.raises(PeerError):
                parse(data)
    assert taken == 25


def test_duplicate_keys_of_dag_cbor(published: Any, refused: Any) -> None:
    for case in published("cbor/dag-cbor-duplicate-keys.json"):
        with refused(Code.NOT_CANONICAL):
            parse(bytes.fromhex(case["hex"]))

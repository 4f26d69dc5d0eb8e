# SPDX-License-Identifier: Apache-2.0
from enum import IntEnum
from typing import Any

import pytest

from incamera.errors import Code
from incamera.protocol.encoding import encode
from incamera.protocol.ids import Kid
from incamera.protocol.schema import (
    BOOL,
    ArrayOf,
    As,
    Codec,
    Either,
    Embedded,
    Enumerated,
    ListOf,
    MapOf,
    Nullable,
    key,
    octets,
    record,
    text,
    uint,
)


class Colour(IntEnum):
    RED = 1
    BLUE = 2


@record
class Inner:
    number: int = key(1, uint(9))
    name: str = key(0, text(4, 1))


@record
class Outer:
    kid: Kid = key(4, As(octets(2), Kid))
    flag: bool = key(5, BOOL)
    colour: Colour = key(6, Enumerated(Colour))
    inner: Inner = key(7, Embedded(MapOf(Inner), 16))
    many: tuple[int, ...] = key(8, ListOf(uint(9), 3, 1))
    null: bytes | None = key(9, Nullable(octets(1, 3)))
    spare: Inner | None = key(10, ArrayOf(Inner), default=None)


INNER = Inner(number=3, name="ab")
OUTER = Outer(
    kid=Kid(b"kk"),
    flag=True,
    colour=Colour.BLUE,
    inner=INNER,
    many=(1, 2),
    null=None,
)
WIRE: dict[int, Any] = {
    4: b"kk",
    5: True,
    6: 2,
    7: encode({0: "ab", 1: 3}),
    8: [1, 2],
    9: None,
}


def test_record_round_trip() -> None:
    assert MapOf(Outer).encode(OUTER) == WIRE
    assert MapOf(Outer).decode(WIRE) == OUTER


def test_optional_field_is_absent_or_present() -> None:
    full = {**WIRE, 9: b"xyz", 10: ["ab", 3]}
    value = MapOf(Outer).decode(full)
    assert value.spare == INNER
    assert MapOf(Outer).encode(value) == full


@pytest.mark.parametrize(
    ("number", "value"),
    [
        (4, b"kkk"),
        (4, "kk"),
        (5, 1),
        (6, 3),
        (6, True),
        (7, b""),
        (7, encode({0: "ab", 1: 3, 2: 0})),
        (7, encode({0: "ab"})),
        (7, encode([])),
        (7, encode({0: "abcde", 1: 3})),
        (7, encode({0: "", 1: 3})),
        (7, encode({0: "ééé", 1: 3})),
        (7, encode({0: b"ab", 1: 3})),
        (8, []),
        (8, [1, 2, 3, 4]),
        (8, [10]),
        (8, {}),
        (9, b""),
        (9, b"abcd"),
        (10, ["ab"]),
        (10, {0: "ab", 1: 3}),
        (10, None),
        (11, 0),
    ],
)
def test_one_fault_is_refused(number: Any, value: Any, refused: Any) -> None:
    with refused(Code.SCHEMA):
        MapOf(Outer).decode({**WIRE, number: value})


def test_missing_field_and_other_shape_are_refused(refused: Any) -> None:
    for number in WIRE:
        with refused(Code.SCHEMA):
            MapOf(Outer).decode({k: v for k, v in WIRE.items() if k != number})
    with refused(Code.SCHEMA):
        MapOf(Outer).decode([])


def test_embedded_bytes_are_canonical(refused: Any) -> None:
    with refused(Code.NOT_CANONICAL):
        MapOf(Outer).decode({**WIRE, 7: bytes.fromhex("a200626162011803")})


def test_embedded_maximum_holds_both_ways(refused: Any) -> None:
    codec = Embedded(ListOf(octets(1, 20), 4), 16)
    assert codec.decode(codec.encode((b"1234",))) == (b"1234",)
    with refused(Code.SCHEMA):
        codec.decode(encode([bytes(20)]))
    with refused(Code.SCHEMA):
        codec.encode((bytes(20),))


def test_bounds_hold_when_encoding(refused: Any) -> None:
    with refused(Code.SCHEMA):
        uint(9).encode(10)
    with refused(Code.SCHEMA):
        ListOf(uint(9), 1).encode((1, 2))
    with refused(Code.SCHEMA):
        octets(2).encode(b"1")


def test_either_takes_the_first_form_that_fits(refused: Any) -> None:
    forms: tuple[Codec[Any], ...] = (octets(2), MapOf(Inner))
    codec = Either(forms)
    assert codec.decode(b"12") == b"12"
    assert codec.decode({0: "ab", 1: 3}) == INNER
    assert codec.encode(b"12") == b"12"
    assert codec.encode(INNER) == {0: "ab", 1: 3}
    with refused(Code.SCHEMA):
        codec.decode(b"123")

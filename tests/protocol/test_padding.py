# SPDX-License-Identifier: Apache-2.0
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from incamera.errors import Code
from incamera.protocol.padding import MAX_CONTENT, SIZE_CLASSES, pad, unpad
from incamera.protocol.secret import Secret


@given(st.binary(max_size=2000))
def test_round_trip(content: Any) -> None:
    padded = pad(content)
    assert len(padded) in SIZE_CLASSES
    assert unpad(Secret(padded)) == content


@pytest.mark.parametrize("size", SIZE_CLASSES)
def test_each_class_is_filled_before_the_next(size: Any) -> None:
    assert len(pad(bytes(size - 4))) == size
    assert len(pad(b"")) == SIZE_CLASSES[0]
    if size < SIZE_CLASSES[-1]:
        assert len(pad(bytes(size - 3))) > size


def test_content_is_bounded(refused: Any) -> None:
    assert len(pad(bytes(MAX_CONTENT))) == SIZE_CLASSES[-1]
    with refused(Code.TOO_LARGE):
        pad(bytes(MAX_CONTENT + 1))


def spoil(at: int, value: int) -> bytearray:
    padded = pad(b"abc")
    padded[at] = value
    return padded


@pytest.mark.parametrize(
    "padded",
    [
        bytearray(),
        bytearray(3),
        bytearray(255),
        bytearray(512),  # empty content in the second class
        pad(b"abc")[:-1],
        pad(b"abc") + b"\0",
        spoil(255, 1),
        spoil(7, 1),
        spoil(2, 1),  # a length beyond the class
        spoil(0, 255),
        bytearray(b"\0\0\xff\xff") + bytes(65_535),
    ],
)
def test_other_padding_is_refused(padded: Any, refused: Any) -> None:
    with refused(Code.NOT_CANONICAL):
        unpad(Secret(padded))

# SPDX-License-Identifier: Apache-2.0
"""Saved state: plain values in CBOR, secrets beside them."""

from collections.abc import Callable
from contextlib import suppress
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from incamera.errors import Code, IncameraError
from incamera.protocol.encoding import encode
from incamera.protocol.secret import Secret
from incamera.protocol.snapshot import SnapshotReader, SnapshotWriter

Refused = Callable[[Code], Any]


def two_secrets() -> bytearray:
    writer = SnapshotWriter()
    places = [writer.put(Secret(bytearray(b"one"))), writer.put(None)]
    places.append(writer.put(Secret(bytearray(b"three"))))
    return writer.finish([*places, "text"])


def test_what_was_written_is_read() -> None:
    reader = SnapshotReader(two_secrets())
    assert reader.value == [0, None, 1, "text"]
    assert bytes(reader.take(0).buffer) == b"one"
    assert bytes(reader.take(1).buffer) == b"three"


def test_secrets_stay_out_of_the_plain_part() -> None:
    plain = encode([[0, None, 1, "text"], [3, 5]])
    assert bytes(two_secrets()) == len(plain).to_bytes(4, "big") + plain + b"onethree"


def test_a_reader_hands_out_copies_and_wipes_its_own() -> None:
    reader = SnapshotReader(two_secrets())
    taken = reader.take(0)
    reader.wipe()
    assert bytes(taken.buffer) == b"one"
    assert bytes(reader.take(0).buffer) == bytes(3)


@pytest.mark.parametrize("index", [2, None, "0"])
def test_a_secret_that_is_not_there_is_refused(index: Any, refused: Refused) -> None:
    with refused(Code.STORAGE):
        SnapshotReader(two_secrets()).take(index)


@pytest.mark.parametrize("extra", [b"", b"more"])
def test_parts_that_do_not_fit_are_refused(extra: bytes, refused: Refused) -> None:
    snapshot = two_secrets() + extra if extra else two_secrets()[:-1]
    with refused(Code.STORAGE):
        SnapshotReader(snapshot)


@pytest.mark.parametrize("value", ["text", [1], [1, 2], [1, ["x"]]])
def test_other_plain_values_are_refused(value: Any, refused: Refused) -> None:
    plain = encode(value)
    with refused(Code.STORAGE):
        SnapshotReader(bytearray(len(plain).to_bytes(4, "big") + plain))


@given(st.binary(max_size=60))
def test_any_bytes_are_read_or_refused(data: bytes) -> None:
    with suppress(IncameraError):
        SnapshotReader(bytearray(data))

# SPDX-License-Identifier: Apache-2.0
"""Descriptors: whatever is in one is in the ledger's id."""

from collections.abc import Callable
from dataclasses import replace
from hashlib import sha256
from typing import Any

import pytest

from incamera.errors import Code, PeerError
from incamera.protocol.descriptor import (
    MAX_DESCRIPTOR,
    MAX_NAME,
    MAX_WITNESSES,
    Descriptor,
    Witness,
    WitnessKind,
    embedded_descriptor,
    encode_descriptor,
    ledger_id_of,
    parse_descriptor,
)
from incamera.protocol.encoding import Value, encode, parse
from incamera.protocol.signer import Ed25519Signer

Refused = Callable[[Code], Any]


@pytest.fixture
def descriptor(signer: Callable[[int], Ed25519Signer]) -> Descriptor:
    return embedded_descriptor(signer(1).public)


def altered(descriptor: Descriptor, key: int, value: Value) -> bytes:
    fields = parse(encode_descriptor(descriptor))
    assert isinstance(fields, dict)
    return encode({**fields, key: value})


def test_ledger_id_is_the_hash_of_the_bytes(descriptor: Descriptor) -> None:
    data = encode_descriptor(descriptor)
    assert parse_descriptor(data) == descriptor
    assert ledger_id_of(data) == sha256(b"incamera/0 ledger\0" + data).digest()


def test_every_parameter_changes_the_id(descriptor: Descriptor) -> None:
    parameters = descriptor.parameters
    others = [
        replace(descriptor, parameters=replace(parameters, period_s=6)),
        replace(descriptor, parameters=replace(parameters, drift_s=9)),
        replace(descriptor, parameters=replace(parameters, checked=False)),
        replace(descriptor, parameters=replace(parameters, trusting_s=1)),
        descriptor,
    ]
    assert len({ledger_id_of(encode_descriptor(other)) for other in others}) == 5


def test_sixteen_large_witnesses_fit(descriptor: Descriptor) -> None:
    witness = Witness(name="w" * MAX_NAME, kind=WitnessKind.ML_DSA, public=bytes(1312))
    full = replace(descriptor, witnesses=(witness,) * MAX_WITNESSES, threshold=16)
    data = encode_descriptor(full)
    assert len(data) <= MAX_DESCRIPTOR
    assert parse_descriptor(data) == full


@pytest.mark.parametrize(
    ("key", "value", "code"),
    [
        (1, 2, Code.SCHEMA),
        (2, [2, "chain", bytes(32)], Code.UNKNOWN_TYPE),
        (2, [1, bytes(31)], Code.SCHEMA),
        (2, [1, bytes(32)], Code.BAD_KEY),
        (2, [], Code.SCHEMA),
        (2, [True, bytes(32)], Code.SCHEMA),
        (2, 1, Code.SCHEMA),
        (3, [["w", 5, bytes(32)]], Code.SCHEMA),
        (4, 1, Code.SCHEMA),
        (4, 17, Code.SCHEMA),
        (5, {1: 0, 2: 0, 3: True}, Code.SCHEMA),
        (5, {1: 5, 2: 0}, Code.SCHEMA),
        (9, 1, Code.SCHEMA),
    ],
)
def test_one_fault_is_refused(
    descriptor: Descriptor, key: int, value: Value, code: Code
) -> None:
    with pytest.raises(PeerError) as caught:
        parse_descriptor(altered(descriptor, key, value))
    assert caught.value.code is code


def test_too_large_is_refused(refused: Refused) -> None:
    with refused(Code.TOO_LARGE):
        parse_descriptor(bytes(MAX_DESCRIPTOR + 1))

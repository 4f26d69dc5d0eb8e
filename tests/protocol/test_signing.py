# SPDX-License-Identifier: Apache-2.0
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from incamera.errors import Code, PeerError
from incamera.protocol.ids import VerifyKey
from incamera.protocol.secret import Secret
from incamera.protocol.signer import Ed25519Signer
from incamera.protocol.signing import (
    ORDER,
    device_id_of,
    kid_of,
    verify_key,
    verify_signature,
)


def is_accepted(key: bytes, signature: bytes, message: bytes) -> bool:
    try:
        verify_signature(VerifyKey(key), signature, message)
    except PeerError as error:
        if error.code not in {Code.BAD_KEY, Code.BAD_SIGNATURE}:
            raise
        return False
    return True


def test_exactly_one_edge_case_of_914_is_accepted(published: Any) -> None:
    cases = published("cctv/ed25519vectors.json.gz")
    accepted = [
        case["number"]
        for case in cases
        if is_accepted(
            bytes.fromhex(case["key"]),
            bytes.fromhex(case["sig"]),
            case["msg"].encode(),
        )
    ]
    assert len(cases) == 914
    assert len(accepted) == 1


def test_wycheproof(published: Any) -> None:
    tested = 0
    for group in published("wycheproof/ed25519_test.json")["testGroups"]:
        key = bytes.fromhex(group["publicKey"]["pk"])
        for case in group["tests"]:
            sig, message = bytes.fromhex(case["sig"]), bytes.fromhex(case["msg"])
            wanted = case["result"] == "valid"
            assert is_accepted(key, sig, message) is wanted, case["comment"]
            tested += 1
    assert tested > 100


@settings(max_examples=50)
@given(seed=st.binary(min_size=32, max_size=32), message=st.binary())
def test_honest_signatures_verify(seed: Any, message: Any) -> None:
    signer = Ed25519Signer(Secret(bytearray(seed)))
    signature = signer.sign(message)
    assert is_accepted(signer.public, signature, message)
    assert not is_accepted(signer.public, signature, message + b"!")


def test_scalar_is_reduced_and_the_length_exact(signer: Any, refused: Any) -> None:
    signature = signer(1).sign(b"m")
    scalar = int.from_bytes(signature[32:], "little") + ORDER
    malleated = signature[:32] + scalar.to_bytes(32, "little")
    for bad in (malleated, signature + b"\0", signature[:-1], b""):
        with refused(Code.BAD_SIGNATURE):
            verify_signature(signer(1).public, bad, b"m")


def test_identity_as_r_is_refused(signer: Any, refused: Any) -> None:
    with refused(Code.BAD_SIGNATURE):
        verify_signature(signer(1).public, bytes([1]) + bytes(63), b"m")


@pytest.mark.parametrize(
    "data",
    [
        bytes(32),  # order 4
        bytes([1]) + bytes(31),  # the identity
        b"\xff" * 32,  # not canonical
        bytes([2]) + bytes(31),  # not on the curve
        bytes(31),
        bytes(33),
    ],
)
def test_unusable_keys_are_refused(data: Any, refused: Any) -> None:
    with refused(Code.BAD_KEY):
        verify_key(data)


def test_names_of_keys(signer: Any) -> None:
    key = signer(1).public
    assert len(kid_of(key)) == len(device_id_of(key)) == 16
    assert bytes(kid_of(key)) != bytes(device_id_of(key))
    assert verify_key(key) == key

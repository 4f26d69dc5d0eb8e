# SPDX-License-Identifier: Apache-2.0
from typing import Any

import pytest

from incamera.errors import UsageError
from incamera.protocol.ports import Signer
from incamera.protocol.secret import Secret
from incamera.protocol.signer import Ed25519Signer
from incamera.protocol.signing import verify_signature


def test_the_signature_of_cose_example_eddsa_sig_01(published: Any) -> None:
    case = published("cose/eddsa-examples/eddsa-sig-01.json")
    key = case["input"]["sign0"]["key"]
    signer: Signer = Ed25519Signer(Secret(bytearray.fromhex(key["d_hex"])))
    assert signer.public.hex() == key["x_hex"]
    message = bytes.fromhex(case["intermediates"]["ToBeSign_hex"])
    signature = bytes.fromhex(case["output"]["cbor"])[-64:]
    assert signer.sign(message) == signature


def test_the_seed_may_be_wiped() -> None:
    seed = Secret(bytearray(range(32)))
    signer = Ed25519Signer(seed)
    seed.wipe()
    verify_signature(signer.public, signer.sign(b"m"), b"m")
    assert repr(bytes(range(32)))[2:-1] not in repr(signer)


def test_a_wiped_signer_signs_nothing() -> None:
    signer = Ed25519Signer(Secret(bytearray(range(32))))
    signer.wipe()
    with pytest.raises(UsageError, match=r"\[wrong-state\]"):
        signer.sign(b"m")

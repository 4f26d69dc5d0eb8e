# SPDX-License-Identifier: Apache-2.0
from hashlib import sha256
from typing import Any

import cbor2
import pytest

from incamera.errors import Code, PeerError
from incamera.protocol import labels
from incamera.protocol.encoding import MAX_ENTRY, Value, encode
from incamera.protocol.envelope import (
    Signed,
    countersign_structure,
    parse_signed,
    sign,
)
from incamera.protocol.signing import verify_key

HEADER: dict[int, Value] = {4: b"k" * 16, 16: 1}
PAYLOAD: dict[int, Value] = {1: "hello", 22: [[1, b"x"]]}


@pytest.fixture
def signed(signer: Any) -> Any:
    return sign(signer(1), labels.ENTRY, header=HEADER, payload=PAYLOAD)


def test_round_trip(signed: Any, signer: Any) -> None:
    again = parse_signed(signed.encode())
    assert again == signed
    again.verify(signer(1).public, labels.ENTRY)
    assert signed.encode()[0] == 0xD2


def test_another_class_does_not_verify(signed: Any, signer: Any, refused: Any) -> None:
    with refused(Code.BAD_SIGNATURE):
        signed.verify(signer(1).public, labels.MESSAGE)


def test_another_key_does_not_verify(signed: Any, signer: Any, refused: Any) -> None:
    with refused(Code.BAD_SIGNATURE):
        signed.verify(signer(2).public, labels.ENTRY)


def test_no_flipped_bit_is_accepted(signed: Any, signer: Any) -> None:
    data = signed.encode()
    for place in range(len(data)):
        spoiled = bytearray(data)
        spoiled[place] ^= 1
        with pytest.raises(Exception, match=r"\["):
            parse_signed(bytes(spoiled)).verify(signer(1).public, labels.ENTRY)


def test_id_covers_all_but_the_signature(signed: Any) -> None:
    other = Signed(signed.protected, signed.payload, bytes(64))
    assert other.identify(labels.ENTRY) == signed.identify(labels.ENTRY)
    assert signed.identify(labels.ENTRY) != signed.identify(labels.MESSAGE)
    structure = signed.sig_structure(labels.ENTRY)
    assert signed.identify(labels.ENTRY) == sha256(structure).digest()


@pytest.mark.parametrize(
    "value",
    [
        [b"", {}, b""],
        [b"", {4: b"k"}, b"", bytes(64)],
        [b"", {}, b"", bytes(63)],
        [b"", {}, None, bytes(64)],
        ["", {}, b"", bytes(64)],
        {},
    ],
)
def test_other_shapes_are_refused(value: Any, refused: Any) -> None:
    with refused(Code.SCHEMA):
        parse_signed(b"\xd2" + encode(value))


def test_the_tag_is_demanded_once_in_one_form(signed: Any, refused: Any) -> None:
    data = signed.encode()
    for other in (b"", data[1:], b"\xd8\x12" + data[1:]):
        with refused(Code.SCHEMA):
            parse_signed(other)
    with refused(Code.NOT_CANONICAL):
        parse_signed(b"\xd2" + data)


def test_size_is_bounded(refused: Any) -> None:
    longest = Signed(b"", bytes(MAX_ENTRY - 73), bytes(64)).encode()
    assert len(longest) == MAX_ENTRY
    parse_signed(longest)
    with refused(Code.TOO_LARGE):
        parse_signed(Signed(b"", bytes(MAX_ENTRY - 72), bytes(64)).encode())
    with refused(Code.TOO_LARGE):
        parse_signed(longest, MAX_ENTRY - 1)


def test_counter_signature_covers_header_role_and_rest() -> Any:
    protected = encode(HEADER)

    def structure(
        payload: Any = PAYLOAD,
        protected: Any = protected,
        role: Any = labels.COSIGN_GATE,
    ) -> Any:
        return countersign_structure(protected, payload, label=labels.ENTRY, role=role)

    assert structure() == structure({1: "hello"})
    assert structure() != structure({1: "hullo"})
    assert structure() != structure(protected=encode({**HEADER, 16: 2}))
    assert structure() != structure(role=labels.COSIGN_POLICY)


def test_counter_signature_needs_a_map(refused: Any) -> None:
    with refused(Code.SCHEMA):
        countersign_structure(b"", [], label=labels.ENTRY, role=labels.COSIGN_GATE)


COSE = (
    "sign1-tests/sign-pass-02",
    "sign1-tests/sign-pass-03",
    "eddsa-examples/eddsa-sig-01",
)


def example(published: Any, name: Any) -> Any:
    """Return an example of cose-wg as an envelope, its external_aad and the case."""
    case = published(f"cose/{name}.json")
    data = bytes.fromhex(case["output"]["cbor"]).removeprefix(b"\xd2")
    protected, _, payload, signature = cbor2.loads(data)
    external = bytes.fromhex(case["input"]["sign0"].get("external", ""))
    return Signed(protected, payload, signature), external, case


@pytest.mark.parametrize("name", COSE)
def test_sig_structure_as_in_cose_examples(name: Any, published: Any) -> None:
    signed, external, case = example(published, name)
    structure = bytes.fromhex(case["intermediates"]["ToBeSign_hex"])
    assert signed.sig_structure(external) == structure


def test_ed25519_example_of_cose_verifies(published: Any, refused: Any) -> None:
    signed, external, case = example(published, "eddsa-examples/eddsa-sig-01")
    key = verify_key(bytes.fromhex(case["input"]["sign0"]["key"]["x_hex"]))
    signed.verify(key, external)
    with refused(Code.BAD_SIGNATURE):
        signed.verify(key, b"other")


@pytest.mark.parametrize(
    "number", ["fail-01", "fail-02", "fail-03", "fail-04", "pass-01"]
)
def test_cose_freedoms_are_refused(number: Any, published: Any) -> None:
    case = published(f"cose/sign1-tests/sign-{number}.json")
    with pytest.raises(PeerError) as caught:
        parse_signed(bytes.fromhex(case["output"]["cbor"]))
    assert caught.value.code in {Code.SCHEMA, Code.NOT_CANONICAL}

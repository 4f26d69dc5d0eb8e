# SPDX-License-Identifier: Apache-2.0
"""Proofs: what is proven, and that nothing else can be."""

import json
from collections.abc import Callable, Iterator
from dataclasses import replace
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from incamera.errors import Code, PeerError
from incamera.protocol.attestation import (
    CheckpointAttestation,
    LogLeaf,
    encode_leaf,
    verify_attestation,
)
from incamera.protocol.checkpoint import Checkpoint, format_note, sign_checkpoint
from incamera.protocol.descriptor import (
    Descriptor,
    embedded_descriptor,
    encode_descriptor,
    ledger_id_of,
    parse_descriptor,
)
from incamera.protocol.encoding import Value, encode, parse
from incamera.protocol.ids import Head, LedgerId, TopicId
from incamera.protocol.log import Log, leaf_hash
from incamera.protocol.proof import (
    EMPTY_HEAD,
    MAX_PROOF,
    Proof,
    Strength,
    encode_proof,
    fold_head,
    map_value,
    parse_proof,
    verify_proof,
)
from incamera.protocol.signer import Ed25519Signer
from incamera.protocol.smt import MapProof, OtherLeaf, SparseMap

Refused = Callable[[Code], Any]
TOPICS = {
    TopicId(bytes([n]) * 32): (Head(sha256(bytes([n])).digest()), n)
    for n in range(1, 50)
}
TOPIC = TopicId(bytes([7]) * 32)


@pytest.fixture(scope="module")
def key(signer: Callable[[int], Ed25519Signer]) -> Ed25519Signer:
    return signer(1)


@pytest.fixture(scope="module")
def descriptor(key: Ed25519Signer) -> Descriptor:
    return embedded_descriptor(key.public)


@pytest.fixture(scope="module")
def tree() -> SparseMap:
    return SparseMap((topic, map_value(*item)) for topic, item in TOPICS.items())


Attest = Callable[..., CheckpointAttestation]


@pytest.fixture(scope="module")
def attest(key: Ed25519Signer, descriptor: Descriptor) -> Attest:
    def make(map_root: bytes, /, **changes: Any) -> CheckpointAttestation:
        """Attest a log of 6 leaves; `changes` make the checkpoint a lie."""
        log, size = Log(), 6
        for number in range(1, size):
            log.append(leaf_hash(bytes([number])))
        leaf = LogLeaf(time_ms=1000, map_root=map_root, topics=len(TOPICS))
        log.append(leaf_hash(encode_leaf(leaf)))
        ledger = ledger_id_of(encode_descriptor(descriptor))
        checkpoint = Checkpoint(
            ledger=ledger, size=size, root=log.root(), map_root=map_root, time_ms=1000
        )
        note = sign_checkpoint(replace(checkpoint, **changes), key)
        path = log.prove_inclusion(size - 1, size)
        return CheckpointAttestation(note=format_note(note), leaf=leaf, path=path)

    return make


@pytest.fixture(scope="module")
def proof(descriptor: Descriptor, tree: SparseMap, attest: Attest) -> Proof:
    head, count = TOPICS[TOPIC]
    return Proof(
        ledger=ledger_id_of(encode_descriptor(descriptor)),
        topic=TOPIC,
        head=head,
        count=count,
        map=tree.prove(TOPIC),
        attestation=attest(tree.root()),
    )


@pytest.fixture(scope="module")
def absence(proof: Proof, tree: SparseMap) -> Proof:
    topic = TopicId(bytes(32))
    return replace(proof, topic=topic, head=None, count=0, map=tree.prove(topic))


def test_head_chain_is_as_specified() -> None:
    expected = sha256(
        b"incamera/0 head\0"
        + bytes(32)
        + sha256(b"entry").digest()
        + bytes(6)
        + b"\1\2"
    ).digest()
    assert fold_head(EMPTY_HEAD, b"entry", 258) == expected


def test_proof_says_head_count_time_and_strength(
    proof: Proof, descriptor: Descriptor
) -> None:
    proven = verify_proof(parse_proof(encode_proof(proof)), descriptor)
    assert (proven.topic, proven.head, proven.count) == (TOPIC, *TOPICS[TOPIC])
    assert (proven.time_ms, proven.size) == (1000, 6)
    assert proven.strength is Strength.HOST
    assert verify_proof(proof, descriptor, own=True).strength is Strength.SELF


def test_absence_is_proven_too(absence: Proof, descriptor: Descriptor) -> None:
    proven = verify_proof(parse_proof(encode_proof(absence)), descriptor)
    assert (proven.head, proven.count) == (None, 0)


def variants(value: Value) -> Iterator[Value]:
    """Every value that differs from `value` in one leaf, or by one item less."""
    match value:
        case bool() | None:
            yield bytes(32)
        case int():
            yield value + 1
        case bytes():
            yield from (value[:-1] + bytes([value[-1] ^ 1]), value[:-1])
        case str():
            yield from (value[:-2] + "B\n", value.replace("time 1", "time 2"))
        case list():
            for at, item in enumerate(value):
                yield value[:at] + value[at + 1 :]
                for other in variants(item):
                    yield [*value[:at], other, *value[at + 1 :]]
        case dict():
            for name, item in value.items():
                yield {k: v for k, v in value.items() if k != name}
                for other in variants(item):
                    yield {**value, name: other}


@pytest.mark.parametrize("which", ["proof", "absence"])
def test_every_altered_field_is_refused(
    which: str, descriptor: Descriptor, request: pytest.FixtureRequest
) -> None:
    data = encode_proof(request.getfixturevalue(which))
    changed = [encode(variant) for variant in variants(parse(data, MAX_PROOF))]
    assert len(changed) > 25
    for other in changed:
        with pytest.raises(PeerError):
            verify_proof(parse_proof(other), descriptor)
    verify_proof(parse_proof(data), descriptor)


@settings(deadline=None)  # other work may hold the machine
@given(st.integers(0, 5000), st.integers(1, 255))
def test_every_altered_byte_is_refused(
    proof: Proof, descriptor: Descriptor, at: int, mask: int
) -> None:
    data = bytearray(encode_proof(proof))
    data[at % len(data)] ^= mask
    with pytest.raises(PeerError):
        verify_proof(parse_proof(bytes(data)), descriptor)


def test_proof_of_another_ledger_is_refused(
    proof: Proof,
    signer: Callable[[int], Ed25519Signer],
    descriptor: Descriptor,
    refused: Refused,
) -> None:
    with refused(Code.WRONG_LEDGER):
        verify_proof(proof, embedded_descriptor(signer(2).public))
    with refused(Code.WRONG_LEDGER):
        verify_proof(replace(proof, ledger=LedgerId(proof.topic)), descriptor)


def test_head_and_count_go_together(
    proof: Proof, descriptor: Descriptor, refused: Refused
) -> None:
    for change in ({"count": 0}, {"head": None}):
        with refused(Code.BAD_PROOF):
            verify_proof(replace(proof, **change), descriptor)


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"map_root": bytes(32)}, Code.BAD_CHECKPOINT),
        ({"time_ms": 999}, Code.BAD_CHECKPOINT),
        ({"root": bytes(32)}, Code.BAD_PROOF),
        ({"size": 0}, Code.BAD_PROOF),
        ({"size": 5}, Code.BAD_PROOF),
        ({"size": 8}, Code.BAD_PROOF),
    ],
)
def test_signed_contradictions_are_refused(
    changes: dict[str, Any],
    code: Code,
    attest: Attest,
    descriptor: Descriptor,
) -> None:
    """Not even the ledger's own key can make one hold."""
    verify_attestation(attest(b"m" * 32), descriptor)
    with pytest.raises(PeerError) as caught:
        verify_attestation(attest(b"m" * 32, **changes), descriptor)
    assert caught.value.code is code


def test_unknown_attestations_are_told_apart(proof: Proof, refused: Refused) -> None:
    fields = parse(encode_proof(proof), MAX_PROOF)
    assert isinstance(fields, dict)
    later: Value = [2, 1, b"", b"", []]
    for wrong, code in ((later, Code.UNKNOWN_TYPE), (b"", Code.SCHEMA)):
        with refused(code):
            parse_proof(encode({**fields, 6: wrong}))


def test_largest_proof_fits(proof: Proof) -> None:
    siblings, hashes = (bytes(32),) * 256, (bytes(32),) * 63
    other = OtherLeaf(key_hash=bytes(32), value_hash=bytes(32))
    kept = proof.attestation
    assert isinstance(kept, CheckpointAttestation)
    attestation = replace(kept, note="n" * 8192, path=hashes)
    large = replace(
        proof, map=MapProof(siblings=siblings, other=other), attestation=attestation
    )
    assert parse_proof(encode_proof(large)) == large


def run_vector(case: dict[str, Any]) -> dict[str, Any]:
    if case["operation"] == "head":
        before, entry = Head(bytes.fromhex(case["head"])), bytes.fromhex(case["entry"])
        return {"head": fold_head(before, entry, case["time_ms"]).hex()}
    descriptor = parse_descriptor(bytes.fromhex(case["descriptor"]))
    proven = verify_proof(parse_proof(bytes.fromhex(case["data"])), descriptor)
    return {
        "topic": proven.topic.hex(),
        "head": proven.head and proven.head.hex(),
        "count": proven.count,
        "time_ms": proven.time_ms,
        "strength": int(proven.strength),
        "size": proven.size,
    }


VECTORS = Path(__file__).parents[2] / "spec" / "vectors" / "proof.json"


@pytest.mark.parametrize(
    "case", json.loads(VECTORS.read_text())["cases"], ids=lambda case: case["name"]
)
def test_vector(case: dict[str, Any]) -> None:
    if "error" not in case:
        assert case["expect"].items() <= run_vector(case).items()
        return
    with pytest.raises(PeerError) as caught:
        run_vector(case)
    assert caught.value.code.value == case["error"]

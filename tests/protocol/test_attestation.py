# SPDX-License-Identifier: Apache-2.0
"""Attestations and anchors: one verifier per form, and none that is not brought."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from incamera.errors import Code
from incamera.protocol.attestation import (
    ANCHOR,
    ATTESTATION,
    LIGHT_BLOCK,
    STATE_PROOF,
    VERIFIERS,
    Anchor,
    AnchorKind,
    Attestation,
    Attester,
    CheckpointAttestation,
    LightBlock,
    LogLeaf,
    ProvenCheckpoint,
    StateProof,
    encode_leaf,
    verify_anchor,
    verify_attestation,
)
from incamera.protocol.checkpoint import Checkpoint, format_note, sign_checkpoint
from incamera.protocol.descriptor import (
    Descriptor,
    embedded_descriptor,
    encode_descriptor,
    ledger_id_of,
)
from incamera.protocol.ids import TopicId
from incamera.protocol.log import leaf_hash
from incamera.protocol.proof import Proof, encode_proof, verify_proof
from incamera.protocol.secret import Secret
from incamera.protocol.signer import Ed25519Signer
from incamera.protocol.smt import MapProof, SparseMap

Refused = Callable[[Code], Any]
BLOCK = LightBlock(height=7, commit=b"c", validators=b"v", path=(bytes(32),))
ATTESTER = Attester(
    public=Ed25519Signer(Secret(bytearray(32))).public, signature=bytes(64)
)
STATE = StateProof(header=b"h", account=(b"a",), storage=(b"s",), attesters=(ATTESTER,))
MAP = SparseMap([(TopicId(bytes([n]) * 32), bytes(40)) for n in (1, 2)])
ABSENT = TopicId(bytes([3]) * 32)


@pytest.fixture
def descriptor(signer: Callable[[int], Ed25519Signer]) -> Descriptor:
    return embedded_descriptor(signer(1).public)


@pytest.fixture
def checkpoint(
    signer: Callable[[int], Ed25519Signer], descriptor: Descriptor
) -> CheckpointAttestation:
    leaf = LogLeaf(time_ms=1000, map_root=MAP.root(), topics=2)
    signed = Checkpoint(
        ledger=ledger_id_of(encode_descriptor(descriptor)),
        size=1,
        root=leaf_hash(encode_leaf(leaf)),
        map_root=leaf.map_root,
        time_ms=leaf.time_ms,
    )
    note = format_note(sign_checkpoint(signed, signer(1)))
    return CheckpointAttestation(note=note, leaf=leaf, path=())


def trust_height(attestation: Attestation, _: Descriptor) -> ProvenCheckpoint:
    """Stands for a light client: believes every block."""
    assert isinstance(attestation, LightBlock)
    height = attestation.height
    return ProvenCheckpoint(
        size=height,
        root=bytes(32),
        time_ms=height * 1000,
        map_root=MAP.root(),
        topics=2,
        note="block",
    )


def absence(descriptor: Descriptor, attestation: Attestation) -> Proof:
    return Proof(
        ledger=ledger_id_of(encode_descriptor(descriptor)),
        topic=ABSENT,
        head=None,
        count=0,
        map=MAP.prove(ABSENT),
        attestation=attestation,
    )


def test_the_checkpoint_is_verified(
    checkpoint: CheckpointAttestation, descriptor: Descriptor
) -> None:
    proven = verify_attestation(checkpoint, descriptor)
    assert (proven.size, proven.topics, proven.note) == (1, 2, checkpoint.note)
    assert ATTESTATION.decode(ATTESTATION.encode(checkpoint)) == checkpoint


@pytest.mark.parametrize(
    ("later", "codec"), [(BLOCK, LIGHT_BLOCK), (STATE, STATE_PROOF)]
)
def test_later_forms_are_named_and_refused(
    later: Any, codec: Any, descriptor: Descriptor, refused: Refused
) -> None:
    wire = codec.encode(later)
    assert codec.decode(wire) == later
    for attempt in (
        lambda: ATTESTATION.decode(wire),
        lambda: ATTESTATION.encode(later),
        lambda: encode_proof(absence(descriptor, later)),
        lambda: verify_proof(absence(descriptor, later), descriptor),
    ):
        with refused(Code.UNKNOWN_TYPE):
            attempt()


def test_another_engine_brings_its_verifier(
    checkpoint: CheckpointAttestation, descriptor: Descriptor
) -> None:
    verifiers = {**VERIFIERS, LightBlock: trust_height}
    by_block = verify_proof(absence(descriptor, BLOCK), descriptor, verifiers=verifiers)
    assert (by_block.size, by_block.time_ms, by_block.note) == (7, 7000, "block")
    by_log = verify_proof(
        absence(descriptor, checkpoint), descriptor, verifiers=verifiers
    )
    assert by_log.size == 1


def test_no_verifier_saves_a_false_map(
    descriptor: Descriptor, refused: Refused
) -> None:
    false = Proof(
        ledger=ledger_id_of(encode_descriptor(descriptor)),
        topic=TopicId(bytes([1]) * 32),
        head=None,
        count=0,
        map=MapProof(siblings=()),
        attestation=BLOCK,
    )
    with refused(Code.BAD_PROOF):
        verify_proof(false, descriptor, verifiers={LightBlock: trust_height})


def test_an_anchor_counts_only_with_a_verifier(
    checkpoint: CheckpointAttestation, descriptor: Descriptor, refused: Refused
) -> None:
    proven = verify_attestation(checkpoint, descriptor)
    anchor = Anchor(kind=AnchorKind.BITCOIN, proof=proven.root)
    assert ANCHOR.decode(ANCHOR.encode(anchor)) == anchor

    def since(said: Anchor, log: ProvenCheckpoint) -> int:
        assert said.proof == log.root
        return 900

    assert verify_anchor(anchor, proven, {AnchorKind.BITCOIN: since}) == 900
    with refused(Code.UNKNOWN_TYPE):
        verify_anchor(anchor, proven, {})


def test_the_leaf_is_the_checkpoints(
    checkpoint: CheckpointAttestation, descriptor: Descriptor, refused: Refused
) -> None:
    other = LogLeaf(time_ms=1001, map_root=checkpoint.leaf.map_root, topics=2)
    with refused(Code.BAD_CHECKPOINT):
        verify_attestation(replace(checkpoint, leaf=other), descriptor)

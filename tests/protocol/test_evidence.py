# SPDX-License-Identifier: Apache-2.0
"""Evidence convicts who signed twice, and nobody who did not."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import pytest

from incamera.errors import Code
from incamera.protocol.attestation import (
    Attestation,
    CheckpointAttestation,
    LogLeaf,
    encode_leaf,
    ledger_of,
)
from incamera.protocol.checkpoint import Checkpoint, format_note, sign_checkpoint
from incamera.protocol.descriptor import Descriptor, embedded_descriptor
from incamera.protocol.encoding import encode
from incamera.protocol.evidence import (
    EpochPair,
    Evidence,
    EvidenceKind,
    Guilt,
    LedgerFork,
    encode_evidence,
    parse_evidence,
)
from incamera.protocol.log import Log, leaf_hash
from incamera.protocol.signer import Ed25519Signer

Refused = Callable[[Code], Any]


@pytest.fixture
def key(signer: Callable[[int], Ed25519Signer]) -> Ed25519Signer:
    return signer(1)


@pytest.fixture
def descriptor(key: Ed25519Signer) -> Descriptor:
    return embedded_descriptor(key.public)


class History:
    """A log whose leaf number n holds `marks[n]`, as its ledger signs it."""

    def __init__(self, marks: Sequence[int]) -> None:
        self.leaves = [
            LogLeaf(time_ms=n, map_root=bytes([mark]) * 32, topics=n)
            for n, mark in enumerate(marks)
        ]
        self.log = Log()
        for leaf in self.leaves:
            self.log.append(leaf_hash(encode_leaf(leaf)))

    def attest(self, key: Ed25519Signer, descriptor: Descriptor) -> Attestation:
        size, leaf = len(self.leaves), self.leaves[-1]
        signed = Checkpoint(
            ledger=ledger_of(descriptor),
            size=size,
            root=self.log.root(),
            map_root=leaf.map_root,
            time_ms=leaf.time_ms,
        )
        return CheckpointAttestation(
            note=format_note(sign_checkpoint(signed, key)),
            leaf=leaf,
            path=self.log.prove_inclusion(size - 1, size),
        )

    def path(self, size: int) -> tuple[bytes, ...]:
        """What a fork at `size` is shown by."""
        leaf = leaf_hash(encode_leaf(self.leaves[size - 1]))
        return (leaf, *self.log.prove_inclusion(size - 1, len(self.leaves)))


Fork = Callable[[Sequence[int], Sequence[int]], LedgerFork]


@pytest.fixture
def fork(key: Ed25519Signer, descriptor: Descriptor) -> Fork:
    def make(old: Sequence[int], new: Sequence[int]) -> LedgerFork:
        smaller, larger = History(old), History(new)
        return LedgerFork(
            smaller=smaller.attest(key, descriptor),
            larger=larger.attest(key, descriptor),
            path=() if len(old) == len(new) else larger.path(len(old)),
        )

    return make


@pytest.mark.parametrize("size", range(1, 18))
@pytest.mark.parametrize("more", [0, 1, 5])
def test_a_fork_anywhere_convicts_the_ledger(
    size: int, more: int, fork: Fork, descriptor: Descriptor
) -> None:
    guilt = Guilt(EvidenceKind.LEDGER_FORK, ledger_of(descriptor))
    for changed in range(size):
        old = [1] * size
        old[changed] = 2
        assert fork(old, [1] * (size + more)).verify(descriptor) == guilt


@pytest.mark.parametrize("size", range(1, 18))
@pytest.mark.parametrize("more", [0, 1, 5])
def test_a_log_that_grew_convicts_nobody(
    size: int, more: int, *, fork: Fork, descriptor: Descriptor, refused: Refused
) -> None:
    with refused(Code.BAD_PROOF):
        fork([1] * size, [1] * (size + more)).verify(descriptor)


def test_a_fork_needs_its_path_and_both_signatures(
    fork: Fork, descriptor: Descriptor, refused: Refused, signer: Any
) -> None:
    found = fork([2] * 3, [1] * 7)
    wrong_leaf = (bytes(32), *found.path[1:])
    for path in ((), wrong_leaf, found.path[:-1], found.path[::-1]):
        with refused(Code.BAD_PROOF):
            replace(found, path=path).verify(descriptor)
    with refused(Code.BAD_PROOF):
        LedgerFork(smaller=found.larger, larger=found.smaller, path=found.path).verify(
            descriptor
        )
    with refused(Code.WRONG_LEDGER):
        found.verify(embedded_descriptor(signer(2).public))


def pair(scene: Any, **second: Any) -> EpochPair:
    """Two epochs by Ann on one entry: Bob goes, and whatever `second` says."""
    first = scene.epoch(removed=[1])
    return EpochPair(first=first.data, second=scene.epoch(**second).data)


def ann(scene: Any) -> tuple[Any, Any]:
    return scene.now.meeting_id, scene.now.roster[0].mvk


def test_two_epochs_on_one_entry_convict_the_leader(scene: Any) -> None:
    meeting, leader = ann(scene)
    guilt = pair(scene, removed=[2]).verify(meeting, leader)
    assert guilt == Guilt(EvidenceKind.EPOCH_PAIR, leader)


def test_who_names_the_first_epoch_is_innocent(scene: Any, refused: Refused) -> None:
    first = scene.epoch(removed=[1])
    second = scene.epoch(removed=[2], supersedes=(first.id,))
    third = scene.epoch(lost=[2], supersedes=(second.id,))
    for one, two in ((first, second), (second, first)):
        with refused(Code.BAD_PROOF):
            EpochPair(first=one.data, second=two.data).verify(*ann(scene))
    gap = EpochPair(first=first.data, second=third.data)
    with refused(Code.BAD_PROOF):
        gap.verify(*ann(scene), known={second.id: second.body})


def test_what_is_no_pair_convicts_nobody(scene: Any, refused: Refused) -> None:
    meeting, leader = ann(scene)
    first = scene.epoch(removed=[1])
    same = EpochPair(first=first.data, second=first.data)
    leave = EpochPair(first=scene.leave("bob").data, second=first.data)
    scene.land(first)
    later = EpochPair(first=first.data, second=scene.epoch(removed=[2]).data)
    for found in (same, leave, later):
        with refused(Code.BAD_PROOF):
            found.verify(meeting, leader)


def test_a_pair_needs_the_leaders_hand(scene: Any, refused: Refused) -> None:
    (meeting, leader), found = ann(scene), pair(scene, removed=[2])
    with refused(Code.WRONG_PLACE):
        found.verify(type(meeting)(bytes(32)), leader)
    with refused(Code.BAD_SIGNATURE):
        found.verify(meeting, scene.now.roster[1].mvk)


def test_the_wire_forms(scene: Any, fork: Fork) -> None:
    found: list[Evidence] = [pair(scene, removed=[2]), fork([2] * 3, [1] * 7)]
    for evidence in found:
        assert parse_evidence(encode_evidence(evidence)) == evidence


@pytest.mark.parametrize("kind", list(EvidenceKind)[2:])
def test_later_kinds_have_a_number_and_no_parser(
    kind: EvidenceKind, refused: Refused
) -> None:
    with refused(Code.UNKNOWN_TYPE):
        parse_evidence(encode([int(kind), b""]))
    with refused(Code.SCHEMA):
        parse_evidence(encode({1: int(kind)}))

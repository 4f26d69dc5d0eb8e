# SPDX-License-Identifier: Apache-2.0
"""What does a ledger's proof prove, and how strongly (spec/ledger.md, section 7)?

One rule for every engine: a proof leads from (topic, head, count) through the map and
the log of map roots to a checkpoint that the descriptor's key signed.
"""

from dataclasses import dataclass
from enum import IntEnum
from hashlib import sha256
from typing import Final

from incamera.errors import Code, PeerError
from incamera.protocol import labels
from incamera.protocol.attestation import (
    ATTESTATION,
    VERIFIERS,
    Attestation,
    Verifiers,
    ledger_of,
    verify_attestation,
)
from incamera.protocol.descriptor import Descriptor
from incamera.protocol.encoding import MAX_ENTRY, encode, parse
from incamera.protocol.ids import EntryId, Head, LedgerId, TopicId
from incamera.protocol.schema import (
    ArrayOf,
    As,
    MapOf,
    Nullable,
    key,
    octets,
    record,
    uint,
)
from incamera.protocol.smt import MAP_PROOF, MapProof, verify_map

EMPTY_HEAD: Final = Head(bytes(32))
"""Head of a topic before its first entry."""
MAX_PROOF: Final = 20_480
"""Bytes of a proof: 256 siblings, 63 hashes and a full note fit."""


class Strength(IntEnum):
    """Who must be honest for a proof to hold; a policy may demand a minimum."""

    SELF = 0
    HOST = 1
    WITNESSED = 2
    CONSENSUS = 3
    ANCHORED = 4


class Confirmation(IntEnum):
    """How far an entry has come."""

    SIGNED = 0
    ORDERED = 1
    FINAL = 2
    WITNESSED = 3
    ANCHORED = 4


@record
class Record:
    """An entry and the ledger time (ms) at which it was ordered."""

    time_ms: int = key(0, uint())
    entry: bytes = key(1, octets(1, MAX_ENTRY))


@record
class Receipt:
    """Where an entry was put: after it the topic has `count` entries and `head`."""

    topic: TopicId = key(0, As(octets(32), TopicId))
    entry: EntryId = key(1, As(octets(32), EntryId))
    count: int = key(2, uint(minimum=1))
    head: Head = key(3, As(octets(32), Head))
    time_ms: int = key(4, uint())


@record
class Proof:
    """A topic's head and count (or absence: None and 0) with all that shows it."""

    ledger: LedgerId = key(1, As(octets(32), LedgerId))
    topic: TopicId = key(2, As(octets(32), TopicId))
    head: Head | None = key(3, Nullable(As(octets(32), Head)))
    count: int = key(4, uint())
    map: MapProof = key(5, MAP_PROOF)
    attestation: Attestation = key(6, ATTESTATION)


RECORD: Final = ArrayOf(Record)
RECEIPT: Final = ArrayOf(Receipt)
PROOF: Final = MapOf(Proof)


@dataclass(frozen=True, slots=True, kw_only=True)
class ProvenHead:
    """What a verified proof says; `root` and `size` are the log's, for memory."""

    ledger: LedgerId
    topic: TopicId
    head: Head | None
    count: int
    time_ms: int
    strength: Strength
    size: int
    root: bytes
    note: str
    """See `ProvenCheckpoint`."""


def fold_head(head: Head, entry: bytes, time_ms: int) -> Head:
    """Return the head after `entry`, ordered at `time_ms`."""
    tail = sha256(entry).digest() + time_ms.to_bytes(8, "big")
    return Head(sha256(labels.HEAD + head + tail).digest())


def map_value(head: Head, count: int) -> bytes:
    """Return what the map holds for a topic: the count shows a cut-off tail."""
    return head + count.to_bytes(8, "big")


def parse_proof(data: bytes) -> Proof:
    """Parse a proof; raises PeerError as every parser."""
    return PROOF.decode(parse(data, MAX_PROOF))


def encode_proof(proof: Proof) -> bytes:
    """Return the proof's bytes."""
    return encode(PROOF.encode(proof))


def verify_proof(
    proof: Proof,
    descriptor: Descriptor,
    *,
    own: bool = False,
    verifiers: Verifiers = VERIFIERS,
) -> ProvenHead:
    """Return what `proof` proves under the ledger of `descriptor`.

    `own`: the topic's subject also holds the checkpoint key, so the strength is SELF.
    Raises PeerError: WRONG_LEDGER, BAD_PROOF, and as `verify_attestation`.
    """
    proven = verify_attestation(proof.attestation, descriptor, verifiers=verifiers)
    if proof.ledger != ledger_of(descriptor):
        raise PeerError(Code.WRONG_LEDGER, "proof of another ledger")
    if (proof.head is None) != (proof.count == 0):
        raise PeerError(Code.BAD_PROOF, "head and count contradict each other")
    value = None if proof.head is None else map_value(proof.head, proof.count)
    verify_map(proven.map_root, proof.map, key=proof.topic, value=value)
    return ProvenHead(
        ledger=proof.ledger,
        topic=proof.topic,
        head=proof.head,
        count=proof.count,
        time_ms=proven.time_ms,
        strength=Strength.SELF if own else Strength.HOST,
        size=proven.size,
        root=proven.root,
        note=proven.note,
    )

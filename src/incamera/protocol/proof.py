# SPDX-License-Identifier: Apache-2.0
"""What does a ledger's proof prove, and how strongly (spec/ledger.md, section 7)?

One rule for every engine: a proof leads from (topic, head, count) through the map and
the log of map roots to a checkpoint that the descriptor's key signed.
"""

from dataclasses import dataclass
from enum import IntEnum
from hashlib import sha256
from typing import Final

from incamera.protocol import labels
from incamera.protocol.descriptor import Descriptor
from incamera.protocol.ids import EntryId, Head, LedgerId, TopicId


EMPTY_HEAD: Final = Head(bytes(32))
"""Head of a topic before its first entry."""


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


@dataclass(frozen=True, slots=True, kw_only=True)
class Record:
    """An entry and the ledger time at which it was ordered: `[time-ms, bytes]`."""

    time_ms: int
    entry: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class Receipt:
    """Where an entry was put: `[topic, entry, count, head, time-ms]`."""

    topic: TopicId
    entry: EntryId
    count: int
    head: Head
    time_ms: int


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckpointAttestation:
    """A signed checkpoint, its log's last leaf and the path between them."""

    note: str
    leaf: bytes
    path: tuple[bytes, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class MapProof:
    """Siblings from the leaf to the root; for absence the other leaf found there."""

    siblings: tuple[bytes, ...]
    other: tuple[bytes, bytes] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Proof:
    """A topic's head and count (or absence: None and 0) with all that shows it."""

    ledger: LedgerId
    topic: TopicId
    head: Head | None
    count: int
    map: MapProof
    attestation: CheckpointAttestation


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


@dataclass(frozen=True, slots=True, kw_only=True)
class ProvenCheckpoint:
    """What a verified attestation says."""

    size: int
    root: bytes
    time_ms: int
    map_root: bytes
    topics: int


def fold_head(head: Head, entry: bytes, time_ms: int) -> Head:
    """Return the head after `entry`, ordered at `time_ms`."""
    tail = sha256(entry).digest() + time_ms.to_bytes(8, "big")
    return Head(sha256(labels.HEAD + head + tail).digest())


def parse_proof(data: bytes) -> Proof:
    """Parse a proof; raises PeerError as every parser."""
    raise NotImplementedError


def encode_proof(proof: Proof) -> bytes:
    """Return the proof's bytes."""
    raise NotImplementedError


def verify_attestation(
    attestation: CheckpointAttestation, descriptor: Descriptor
) -> ProvenCheckpoint:
    """Return what the checkpoint says; PeerError BAD_CHECKPOINT or BAD_PROOF."""
    raise NotImplementedError


def verify_proof(
    proof: Proof, descriptor: Descriptor, *, own: bool = False
) -> ProvenHead:
    """Return what `proof` proves under the ledger of `descriptor`.

    `own`: the topic's subject also holds the checkpoint key, so the strength is SELF.
    Raises PeerError: WRONG_LEDGER, BAD_CHECKPOINT, BAD_PROOF.
    """
    raise NotImplementedError

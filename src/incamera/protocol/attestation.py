# SPDX-License-Identifier: Apache-2.0
"""By what does a ledger vouch for its map of topics (spec/ledger.md, section 7)?

    embedded   checkpoint attestation   a signed checkpoint and the log's last leaf
    CometBFT   light block              signed by more than two thirds of the validators
    EVM        state proof              from a block header down to the contract's slot

A closed union with one verifier each.  This version has the first alone: the other two
have their form, no parser takes them, and verifying them is refused.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import IntEnum
from functools import lru_cache
from typing import Final, Protocol, TypeAlias

from incamera.errors import Code, PeerError
from incamera.protocol.checkpoint import MAX_NOTE, parse_note, verify_note
from incamera.protocol.descriptor import (
    Descriptor,
    Numbered,
    encode_descriptor,
    ledger_id_of,
)
from incamera.protocol.encoding import MAX_MESSAGE, Value, encode
from incamera.protocol.ids import LedgerId, VerifyKey
from incamera.protocol.log import MAX_PATH, leaf_hash, verify_inclusion
from incamera.protocol.schema import (
    ArrayOf,
    As,
    Codec,
    Embedded,
    Enumerated,
    ListOf,
    key,
    octets,
    record,
    text,
    uint,
)
from incamera.protocol.signing import verify_key

_LEAF_VERSION: Final = 1
_MAX_LEAF: Final = 64
_MAX_STORE_PATH: Final = 8
_MAX_HEADER: Final = 2048
_MAX_TRIE_NODES: Final = 64
_MAX_TRIE_NODE: Final = 1024
_MAX_ATTESTERS: Final = 16
_MAX_ANCHOR: Final = 8192


@record
class LogLeaf:
    """One line of the log: ledger time (ms), map root and number of topics."""

    time_ms: int = key(0, uint())
    map_root: bytes = key(1, octets(32))
    topics: int = key(2, uint())


_LEAF: Final = Numbered(_LEAF_VERSION, ArrayOf(LogLeaf))


@record
class CheckpointAttestation:
    """A signed checkpoint, its log's last leaf and the path between them."""

    note: str = key(0, text(MAX_NOTE, 1))
    leaf: LogLeaf = key(1, Embedded(_LEAF, _MAX_LEAF))
    path: tuple[bytes, ...] = key(2, ListOf(octets(32), MAX_PATH))


@record
class LightBlock:
    """A block that the validators signed, and the store's path to the map root."""

    height: int = key(0, uint())
    commit: bytes = key(1, octets(1, MAX_MESSAGE))
    validators: bytes = key(2, octets(1, MAX_MESSAGE))
    path: tuple[bytes, ...] = key(3, ListOf(octets(32), _MAX_STORE_PATH))


@record
class Attester:
    """One who signed a block header."""

    public: VerifyKey = key(0, As(octets(32), verify_key))
    signature: bytes = key(1, octets(64))


_TRIE: Final = ListOf(octets(1, _MAX_TRIE_NODE), _MAX_TRIE_NODES, 1)


@record
class StateProof:
    """A block header, the tries' nodes down to the map root, and who signed it."""

    header: bytes = key(0, octets(1, _MAX_HEADER))
    account: tuple[bytes, ...] = key(1, _TRIE)
    storage: tuple[bytes, ...] = key(2, _TRIE)
    attesters: tuple[Attester, ...] = key(3, ListOf(ArrayOf(Attester), _MAX_ATTESTERS))


Attestation: TypeAlias = CheckpointAttestation | LightBlock | StateProof

LIGHT_BLOCK: Final = Numbered(2, ArrayOf(LightBlock))
STATE_PROOF: Final = Numbered(3, ArrayOf(StateProof))
_CHECKPOINT: Final = Numbered(1, ArrayOf(CheckpointAttestation))


class _AttestationCodec(Codec[Attestation]):
    """The forms that an engine brings; PeerError(UNKNOWN_TYPE) for the later ones."""

    def encode(self, value: Attestation, /) -> Value:
        if not isinstance(value, CheckpointAttestation):
            raise _later()
        return _CHECKPOINT.encode(value)

    def decode(self, value: Value, /) -> Attestation:
        return _CHECKPOINT.decode(value)


ATTESTATION: Final[Codec[Attestation]] = _AttestationCodec()


@dataclass(frozen=True, slots=True, kw_only=True)
class ProvenCheckpoint:
    """What a verified attestation says; the time is the last leaf's, in ms."""

    size: int
    root: bytes
    time_ms: int
    map_root: bytes
    topics: int
    note: str
    """What the ledger signed, word for word: shown against it if it forks."""


class Verifier(Protocol):
    """Checks one form of attestation against the ledger of a descriptor."""

    def __call__(
        self, attestation: Attestation, descriptor: Descriptor, /
    ) -> ProvenCheckpoint:
        """Return what it says, or raise PeerError."""


Verifiers: TypeAlias = Mapping[type[Attestation], Verifier]


def encode_leaf(leaf: LogLeaf) -> bytes:
    """Return the bytes of a log leaf."""
    return encode(_LEAF.encode(leaf))


@lru_cache(maxsize=64)
def ledger_of(descriptor: Descriptor) -> LedgerId:
    """Return the id of a descriptor's ledger."""
    return ledger_id_of(encode_descriptor(descriptor))


def verify_checkpoint(
    attestation: Attestation, descriptor: Descriptor, /
) -> ProvenCheckpoint:
    """Return what the checkpoint says under the ledger of `descriptor`.

    Raises PeerError: WRONG_LEDGER, BAD_CHECKPOINT, or BAD_PROOF if the leaf is not the
    log's last.
    """
    assert isinstance(attestation, CheckpointAttestation)  # found by its type
    note, leaf = parse_note(attestation.note), attestation.leaf
    signer = descriptor.genesis.checkpoint_key
    checkpoint = verify_note(note, ledger=ledger_of(descriptor), key=signer)
    if (checkpoint.map_root, checkpoint.time_ms) != (leaf.map_root, leaf.time_ms):
        raise PeerError(Code.BAD_CHECKPOINT, "checkpoint does not repeat its leaf")
    verify_inclusion(
        leaf_hash(encode_leaf(leaf)),
        attestation.path,
        index=checkpoint.size - 1,
        size=checkpoint.size,
        root=checkpoint.root,
    )
    return ProvenCheckpoint(
        size=checkpoint.size,
        root=checkpoint.root,
        time_ms=leaf.time_ms,
        map_root=leaf.map_root,
        topics=leaf.topics,
        note=attestation.note,
    )


VERIFIERS: Final[Verifiers] = {CheckpointAttestation: verify_checkpoint}
"""Light blocks and state proofs come with their engines."""


def verify_attestation(
    attestation: Attestation,
    descriptor: Descriptor,
    *,
    verifiers: Verifiers = VERIFIERS,
) -> ProvenCheckpoint:
    """Return what the attestation says under the ledger of `descriptor`.

    Raises PeerError: UNKNOWN_TYPE without a verifier of this form, and what the form's
    verifier raises.
    """
    verifier = verifiers.get(type(attestation))
    if verifier is None:
        raise _later()
    return verifier(attestation, descriptor)


def _later() -> PeerError:
    return PeerError(Code.UNKNOWN_TYPE, "no engine brings this attestation yet")


class AnchorKind(IntEnum):
    """Where a ledger's log was written down for good."""

    OPEN_TIMESTAMPS = 1
    BITCOIN = 2
    ETHEREUM = 3


@record
class Anchor:
    """What shows that a log was known to a public chain; no proof carries one yet."""

    kind: AnchorKind = key(0, Enumerated(AnchorKind))
    proof: bytes = key(1, octets(1, _MAX_ANCHOR))


ANCHOR: Final = ArrayOf(Anchor)


class AnchorVerifier(Protocol):
    """Checks one kind of anchor; none is part of this version."""

    def __call__(self, anchor: Anchor, proven: ProvenCheckpoint, /) -> int:
        """Return since when (ms) the chain has known this log, or raise PeerError."""


def verify_anchor(
    anchor: Anchor,
    proven: ProvenCheckpoint,
    verifiers: Mapping[AnchorKind, AnchorVerifier],
) -> int:
    """Return since when (ms) a public chain has known the log.

    Raises PeerError: UNKNOWN_TYPE for a kind that nobody here can check, and what its
    verifier raises.
    """
    verifier = verifiers.get(anchor.kind)
    if verifier is None:
        raise PeerError(Code.UNKNOWN_TYPE, f"no verifier for {anchor.kind.name}")
    return verifier(anchor, proven)

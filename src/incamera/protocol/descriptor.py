# SPDX-License-Identifier: Apache-2.0
"""Which ledger is this, and by which key does it speak (spec/ledger.md, section 2)?

A ledger is named by the hash of its descriptor, so a link or a publish entry that
carries 32 bytes fixes the checkpoint key, the witnesses and the periods.
"""

from enum import IntEnum
from hashlib import sha256
from typing import Final

from incamera.errors import Code, PeerError
from incamera.protocol import labels
from incamera.protocol.encoding import MAX_ENTRY, Value, encode, parse
from incamera.protocol.ids import LedgerId, VerifyKey
from incamera.protocol.schema import (
    BOOL,
    ArrayOf,
    As,
    Enumerated,
    ListOf,
    MapOf,
    Simple,
    key,
    octets,
    record,
    text,
    uint,
)
from incamera.protocol.signing import verify_key

MAX_WITNESSES: Final = 16
MAX_ANCHOR_TARGETS: Final = 8
MAX_NAME: Final = 128
MAX_EXTENSIONS: Final = 16
DEFAULT_PERIOD_S: Final = 5
"""A signed checkpoint at least this often; three missed ones make a ledger stale."""
DEFAULT_DRIFT_S: Final = 10
STALE_PERIODS: Final = 3
UNREACHABLE_PERIODS: Final = 12


class LedgerKind(IntEnum):
    """Who orders the entries: the only engine of rules 1 is the embedded one."""

    EMBEDDED = 1


@record
class EmbeddedGenesis:
    """The checkpoint key of an embedded ledger."""

    kind: int = key(0, uint(1, 1))
    checkpoint_key: VerifyKey = key(1, As(octets(32), verify_key))


@record
class Witness:
    """A key that cosigns checkpoints: C2SP signature type and public key."""

    name: str = key(0, text(MAX_NAME))
    algorithm: int = key(1, uint(6, 4))
    public: bytes = key(2, octets(32, 1312))


@record
class Parameters:
    """How often a checkpoint is signed and how far clocks may differ."""

    period_s: int = key(1, uint(minimum=1))
    drift_s: int = key(2, uint())
    checked: bool = key(3, BOOL)
    trusting_s: int | None = key(4, uint(), default=None)


@record
class Descriptor:
    """All that a client must know to check a ledger."""

    kind: LedgerKind = key(1, Enumerated(LedgerKind))
    genesis: EmbeddedGenesis = key(2, ArrayOf(EmbeddedGenesis))
    witnesses: tuple[Witness, ...] = key(
        3,
        ListOf(ArrayOf(Witness), MAX_WITNESSES),
    )
    threshold: int = key(4, uint(MAX_WITNESSES))
    parameters: Parameters = key(5, MapOf(Parameters))


def embedded_descriptor(
    checkpoint_key: VerifyKey, *, period_s: int = DEFAULT_PERIOD_S
) -> Descriptor:
    """Return the descriptor of an embedded ledger without witnesses."""
    return Descriptor(
        kind=LedgerKind.EMBEDDED,
        genesis=EmbeddedGenesis(kind=1, checkpoint_key=checkpoint_key),
        witnesses=(),
        threshold=0,
        parameters=Parameters(period_s=period_s, drift_s=DEFAULT_DRIFT_S, checked=True),
    )


def encode_descriptor(descriptor: Descriptor) -> bytes:
    """Return the descriptor's bytes."""
    return encode(_CODEC.encode(descriptor))


def parse_descriptor(data: bytes) -> Descriptor:
    """Parse a descriptor; raises PeerError as every parser."""
    return _CODEC.decode(parse(data, MAX_ENTRY))


def ledger_id_of(descriptor: bytes) -> LedgerId:
    """Return the ledger id of a descriptor's bytes."""
    return LedgerId(sha256(labels.LEDGER + descriptor).digest())


_CODEC: Final = MapOf(Descriptor)

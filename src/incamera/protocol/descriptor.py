# SPDX-License-Identifier: Apache-2.0
"""Which ledger is this, and by which key does it speak (spec/ledger.md, section 2)?

A ledger is named by the hash of its descriptor, so a link or a publish entry that
carries 32 bytes fixes the checkpoint key, the witnesses and the periods.
"""

from dataclasses import dataclass
from enum import IntEnum
from hashlib import sha256
from typing import Final

from incamera.errors import Code, PeerError
from incamera.protocol import labels
from incamera.protocol.encoding import Value, encode, parse
from incamera.protocol.ids import LedgerId, VerifyKey
from incamera.protocol.schema import (
    BOOL,
    ArrayOf,
    As,
    Codec,
    Enumerated,
    ListOf,
    MapOf,
    T,
    key,
    octets,
    record,
    refuse,
    text,
    uint,
)
from incamera.protocol.signing import verify_key

MAX_DESCRIPTOR: Final = 24_576
"""Bytes of a descriptor: 16 witnesses with ML-DSA keys take 23 kB."""
MAX_WITNESSES: Final = 16
MAX_NAME: Final = 128
DEFAULT_PERIOD_S: Final = 5
"""A signed checkpoint at least this often; three missed ones make a ledger stale."""
DEFAULT_DRIFT_S: Final = 10
STALE_PERIODS: Final = 3
UNREACHABLE_PERIODS: Final = 12


class LedgerKind(IntEnum):
    """Who orders the entries: the only engine of rules 1 is the embedded one."""

    EMBEDDED = 1


class WitnessKind(IntEnum):
    """C2SP signature types of cosignatures; ML-DSA is ML-DSA-44."""

    ED25519 = 4
    ML_DSA = 6


@dataclass(frozen=True, slots=True)
class Numbered(Codec[T]):
    """An array whose first item is a fixed number that tells its form."""

    number: int
    inner: Codec[T]

    def encode(self, value: T, /) -> Value:
        """Return the items of `inner` behind the number."""
        items = self.inner.encode(value)
        assert isinstance(items, list), "only arrays are numbered"
        return [self.number, *items]

    def decode(self, value: Value, /) -> T:
        """Return the value; PeerError(UNKNOWN_TYPE) behind another number."""
        if type(value) is not list or not value or type(value[0]) is not int:
            raise refuse("not a numbered array")
        if value[0] != self.number:
            raise PeerError(Code.UNKNOWN_TYPE, f"unknown form {value[0]}")
        return self.inner.decode(value[1:])


@record
class EmbeddedGenesis:
    """The checkpoint key of an embedded ledger: `[1, key]`."""

    checkpoint_key: VerifyKey = key(0, As(octets(32), verify_key))


@record
class Witness:
    """A key that cosigns checkpoints, by name."""

    name: str = key(0, text(MAX_NAME))
    kind: WitnessKind = key(1, Enumerated(WitnessKind))
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
    genesis: EmbeddedGenesis = key(2, Numbered(1, ArrayOf(EmbeddedGenesis)))
    witnesses: tuple[Witness, ...] = key(
        3,
        ListOf(ArrayOf(Witness), MAX_WITNESSES),
    )
    threshold: int = key(4, uint(MAX_WITNESSES))
    parameters: Parameters = key(5, MapOf(Parameters))


DESCRIPTOR: Final = MapOf(Descriptor)


def embedded_descriptor(
    checkpoint_key: VerifyKey, *, period_s: int = DEFAULT_PERIOD_S
) -> Descriptor:
    """Return the descriptor of an embedded ledger without witnesses."""
    return Descriptor(
        kind=LedgerKind.EMBEDDED,
        genesis=EmbeddedGenesis(checkpoint_key=checkpoint_key),
        witnesses=(),
        threshold=0,
        parameters=Parameters(period_s=period_s, drift_s=DEFAULT_DRIFT_S, checked=True),
    )


def encode_descriptor(descriptor: Descriptor) -> bytes:
    """Return the descriptor's bytes."""
    return encode(DESCRIPTOR.encode(descriptor))


def parse_descriptor(data: bytes) -> Descriptor:
    """Parse a descriptor; raises PeerError as every parser."""
    descriptor = DESCRIPTOR.decode(parse(data, MAX_DESCRIPTOR))
    if descriptor.threshold > len(descriptor.witnesses):
        raise refuse("threshold above the number of witnesses")
    return descriptor


def ledger_id_of(descriptor: bytes) -> LedgerId:
    """Return the ledger id of a descriptor's bytes."""
    return LedgerId(sha256(labels.LEDGER + descriptor).digest())

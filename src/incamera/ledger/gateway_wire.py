# SPDX-License-Identifier: Apache-2.0
"""What does a gateway answer, in bytes (spec/ledger.md, section 9)?

Everything here is what the gateway *says*; nothing is believed before it is proven.
"""

from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from typing import Final, Protocol

from incamera.errors import Code, IncameraError, LedgerError, PeerError
from incamera.ledger.base import MAX_READ
from incamera.protocol.attestation import ATTESTATION, Attestation
from incamera.protocol.encoding import MAX_ENTRY, Value, parse
from incamera.protocol.log import HASH_BYTES, MAX_PATH
from incamera.protocol.proof import (
    MAX_PROOF,
    RECEIPT,
    RECORD,
    Proof,
    Receipt,
    Record,
    parse_proof,
)
from incamera.protocol.schema import ListOf, MapOf, key, octets, record, text, uint

MAX_ANSWER: Final = MAX_READ * (MAX_ENTRY + 32) + MAX_PROOF + 64
"""Bytes of the largest answer: a full page of records and a proof."""
_GATEWAYS_OWN: Final = frozenset(
    {
        Code.PRUNED,
        Code.QUEUE_FULL,
        Code.QUOTA,
        Code.ROLLED_BACK,
        Code.STORAGE,
        Code.UNREACHABLE,
    }
)
"""Codes that speak of the gateway; all others speak of what we sent."""


class Transport(Protocol):
    """A connection to one gateway; authenticity of its TLS key is its business.

    All methods raise LedgerError(UNREACHABLE, TLS_PIN), and what `parse_refusal` gives
    for an answer that is not a success.
    """

    async def get(self, path: str) -> bytes:
        """Return the body of the answer to a GET."""

    async def post(self, path: str, body: bytes) -> bytes:
        """Return the body of the answer to a POST."""

    def watch(self, path: str) -> AsyncIterator[bytes]:
        """Yield a WebSocket's binary messages until it closes."""


@dataclass(frozen=True, slots=True)
class Said:
    """Records that a gateway gave, from number `first` on, and a proof."""

    first: int
    records: Sequence[Record]
    proof: Proof


@record
class Refusal:
    """Why the gateway did not do it."""

    code: str = key(1, text(32, 1))
    message: str = key(2, text(1024))


_REFUSAL: Final = MapOf(Refusal)
_RECORDS: Final = ListOf(RECORD, MAX_READ)
_PATH: Final = ListOf(octets(HASH_BYTES), MAX_PATH)
_NUMBER: Final = uint()
_PROOF: Final = octets(1, MAX_PROOF)


def parse_refusal(body: bytes) -> IncameraError:
    """Return the error that a gateway's refusal stands for."""
    try:
        said = _REFUSAL.decode(parse(body))
        code = Code(said.code)
    except (PeerError, ValueError):
        return LedgerError(Code.UNREACHABLE, "the gateway failed")
    kind = LedgerError if code in _GATEWAYS_OWN else PeerError
    return kind(code, said.message)


def parse_appended(body: bytes) -> tuple[Receipt, Proof]:
    """Parse the answer to an append; PeerError as every parser."""
    match _items(body, 2):
        case [receipt, proof]:
            return RECEIPT.decode(receipt), parse_proof(_PROOF.decode(proof))
    raise PeerError(Code.SCHEMA, "not a receipt and a proof")


def parse_records(body: bytes) -> Sequence[Record]:
    """Parse a page of records; PeerError as every parser."""
    return _RECORDS.decode(parse(body, MAX_ANSWER))


def parse_path(body: bytes) -> Sequence[bytes]:
    """Parse a consistency proof; PeerError as every parser."""
    return _PATH.decode(parse(body))


def parse_attestation(body: bytes) -> Attestation:
    """Parse a checkpoint with its leaf; PeerError as every parser."""
    return ATTESTATION.decode(parse(body, MAX_PROOF))


def parse_watched(frame: bytes) -> Said:
    """Parse one message of a watch; PeerError as every parser."""
    match _items(frame, 3):
        case [first, records, proof]:
            return Said(
                _NUMBER.decode(first),
                _RECORDS.decode(records),
                parse_proof(_PROOF.decode(proof)),
            )
    raise PeerError(Code.SCHEMA, "not records and a proof")


def _items(data: bytes, count: int) -> list[Value]:
    value = parse(data, MAX_ANSWER)
    if not isinstance(value, list) or len(value) != count:
        raise PeerError(Code.SCHEMA, f"not {count} items")
    return value

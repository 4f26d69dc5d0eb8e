# SPDX-License-Identifier: Apache-2.0
"""The signed envelope of entries, messages and statements (spec/encoding.md, 6).

COSE_Sign1 in shape (RFC 9052): `18([protected, {}, payload, signature])`, where
protected and payload are byte strings that hold canonical CBOR maps.  The signature
covers the Sig_structure, whose external_aad is the label of the class.
"""

from dataclasses import dataclass
from hashlib import sha256
from typing import Final

from incamera.errors import Code, PeerError
from incamera.protocol.encoding import MAX_ENTRY, Value, encode, parse
from incamera.protocol.ids import VerifyKey
from incamera.protocol.ports import Signer
from incamera.protocol.signing import SIGNATURE_BYTES, verify_signature

_TAG_18: Final = 0xD2
COSIGNS_KEY: Final = 22
"""Payload key of the list of counter-signatures, in every body that has one."""


@dataclass(frozen=True, slots=True)
class Signed:
    """An envelope in parts: encoded header, encoded payload, 64-byte signature."""

    protected: bytes
    payload: bytes
    signature: bytes

    def encode(self) -> bytes:
        """Return the envelope's bytes."""
        items: Value = [self.protected, {}, self.payload, self.signature]
        return bytes([_TAG_18]) + encode(items)

    def sig_structure(self, label: bytes) -> bytes:
        """Return the bytes that the signature covers (RFC 9052, section 4.4)."""
        return encode(["Signature1", self.protected, label, self.payload])

    def identify(self, label: bytes) -> bytes:
        """Return SHA-256 of the Sig_structure: the id, which no signature can fork."""
        return sha256(self.sig_structure(label)).digest()

    def verify(self, key: VerifyKey, label: bytes) -> None:
        """Raise PeerError(BAD_SIGNATURE) unless `key` signed this under `label`."""
        verify_signature(key, self.signature, self.sig_structure(label))


def parse_signed(data: bytes, limit: int = MAX_ENTRY) -> Signed:
    """Parse an envelope; raises PeerError TOO_LARGE, NOT_CANONICAL or SCHEMA.

    Header and payload are returned as the bytes that were signed; whoever reads them
    parses those very bytes.
    """
    if len(data) > limit:
        raise PeerError(Code.TOO_LARGE, f"{len(data)} bytes where {limit} are allowed")
    if data[:1] != bytes([_TAG_18]):
        raise PeerError(Code.SCHEMA, "not a signed envelope")
    match parse(data[1:], limit):
        case [
            bytes() as protected,
            dict() as unprotected,
            bytes() as payload,
            bytes() as sig,
        ] if not unprotected and len(sig) == SIGNATURE_BYTES:
            return Signed(protected, payload, sig)
    raise PeerError(Code.SCHEMA, "not a signed envelope")


def sign(signer: Signer, label: bytes, *, header: Value, payload: Value) -> Signed:
    """Return the envelope of `header` and `payload`, signed under `label`."""
    unsigned = Signed(encode(header), encode(payload), b"")
    signature = signer.sign(unsigned.sig_structure(label))
    return Signed(unsigned.protected, unsigned.payload, signature)


def countersign_structure(
    protected: bytes, payload: Value, *, label: bytes, role: bytes
) -> bytes:
    """Return what a counter-signature covers: header, class, role, payload without 22.

    The header is inside, else a counter-signature could serve another entry with the
    same payload.
    """
    if not isinstance(payload, dict):
        raise PeerError(Code.SCHEMA, "payload is not a map")
    rest = {number: item for number, item in payload.items() if number != COSIGNS_KEY}
    return encode(["CounterSignature", protected, label, role, encode(rest)])

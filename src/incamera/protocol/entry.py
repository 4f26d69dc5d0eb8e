# SPDX-License-Identifier: Apache-2.0
"""How an entry is parsed, signed and named (spec/encoding.md, section 8).

An entry is a signed envelope whose header binds author, type, place and the author's
order.  `parse_entry` checks form alone; who may say it when, `topic.apply` decides.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from enum import IntEnum
from typing import Final

from incamera.errors import Code, PeerError
from incamera.protocol import labels
from incamera.protocol.bodies import (
    Body,
    Dismiss,
    Epoch,
    Leave,
    PolicyChange,
    Publish,
    Request,
    UserRoot,
)
from incamera.protocol.encoding import MAX_ENTRY, Value, encode, parse
from incamera.protocol.envelope import (
    Signed,
    countersign_structure,
    parse_signed,
    sign,
)
from incamera.protocol.fields import ENTRY_ID, ID32, KID, Cosign, CosignRole
from incamera.protocol.ids import EntryId, Kid, VerifyKey
from incamera.protocol.ports import Signer
from incamera.protocol.schema import Codec, MapOf, Nullable, key, record, uint
from incamera.protocol.signing import kid_of, verify_signature

MAX_EPOCH: Final = 15_872
"""Bytes of one epoch entry, so that it fits into an exhibit (M-MTG-3)."""


class EntryType(IntEnum):
    """Header label 16.  The other types of the CDDL belong to later rules."""

    USER_ROOT = 1
    PUBLISH = 32
    REQUEST = 33
    EPOCH = 34
    LEAVE = 35
    POLICY = 36
    DISMISS = 42


class _TypeCodec(Codec[EntryType]):
    """An entry type of these rules; any other number is UNKNOWN_TYPE."""

    def encode(self, value: EntryType, /) -> Value:
        return int(value)

    def decode(self, value: Value, /) -> EntryType:
        number = uint().decode(value)
        try:
            return EntryType(number)
        except ValueError:
            raise PeerError(Code.UNKNOWN_TYPE, f"entry type {number}") from None


@record
class EntryHeader:
    """The protected header: who says what kind of thing where, in which order."""

    author: Kid = key(4, KID)
    type: EntryType = key(16, _TypeCodec())
    place: bytes = key(70, ID32)
    """Ledger id in a topic's first entry, else the subject id (meeting or user id)."""
    seq: int = key(71, uint())
    """Number in the author's line (user topic: in the topic)."""
    prev: EntryId | None = key(72, Nullable(ENTRY_ID))
    """Previous valid entry of the same line; None at 0."""


@dataclass(frozen=True, slots=True)
class Entry:
    """A parsed entry; its signature is *not* yet verified."""

    signed: Signed
    header: EntryHeader
    body: Body
    id: EntryId
    """SHA-256 of the Sig_structure."""
    data: bytes
    """The exact bytes."""
    payload: Value = field(repr=False, compare=False)
    """The parsed payload, for counter-signatures."""

    def verify(self, author: VerifyKey) -> None:
        """Raise PeerError BAD_SIGNATURE unless `author` signed this entry."""
        self.signed.verify(author, labels.ENTRY)

    def verify_cosign(self, cosign: Cosign, signer: VerifyKey) -> None:
        """Raise PeerError BAD_COSIGNATURE unless `signer` signed in that role."""
        missing = f"no {cosign.role.name.lower()} signature"
        if cosign.kid != kid_of(signer):
            raise PeerError(Code.BAD_COSIGNATURE, missing)
        message = _cosigned(self.signed.protected, self.payload, cosign.role)
        try:
            verify_signature(signer, cosign.signature, message)
        except PeerError as error:
            raise PeerError(Code.BAD_COSIGNATURE, missing) from error


_HEADER: Final = MapOf(EntryHeader)
_TYPES: Final[dict[type, EntryType]] = {
    UserRoot: EntryType.USER_ROOT,
    Publish: EntryType.PUBLISH,
    Request: EntryType.REQUEST,
    Epoch: EntryType.EPOCH,
    Leave: EntryType.LEAVE,
    PolicyChange: EntryType.POLICY,
    Dismiss: EntryType.DISMISS,
}
_BODIES: Final[dict[EntryType, Codec[Body]]] = {
    number: MapOf(kind) for kind, number in _TYPES.items()
}
_ROLES: Final = {
    CosignRole.SECOND_DEVICE: labels.COSIGN_SECOND_DEVICE,
    CosignRole.NEW_DEVICE: labels.COSIGN_NEW_DEVICE,
    CosignRole.NEW_KEY: labels.COSIGN_NEW_KEY,
    CosignRole.POLICY: labels.COSIGN_POLICY,
    CosignRole.RECOVERY: labels.COSIGN_RECOVERY,
    CosignRole.GATE: labels.COSIGN_GATE,
    CosignRole.IDP: labels.COSIGN_IDP,
}


def parse_entry(data: bytes) -> Entry:
    """Parse an entry, checking form only.

    Raises PeerError: TOO_LARGE, NOT_CANONICAL, SCHEMA, UNKNOWN_TYPE,
    UNKNOWN_EXTENSION or BAD_KEY.
    """
    signed = parse_signed(data, MAX_ENTRY)
    header = _HEADER.decode(parse(signed.protected))
    if header.type is EntryType.EPOCH and len(data) > MAX_EPOCH:
        raise PeerError(Code.TOO_LARGE, f"an epoch of {len(data)} bytes")
    payload = parse(signed.payload)
    return Entry(
        signed,
        header,
        _BODIES[header.type].decode(payload),
        EntryId(signed.identify(labels.ENTRY)),
        data,
        payload,
    )


def sign_entry(
    signer: Signer,
    body: Body,
    *,
    place: bytes,
    seq: int,
    prev: EntryId | None,
    cosigners: Sequence[tuple[CosignRole, Signer]] = (),
) -> Entry:
    """Return the entry that `signer` makes of `body`; its type follows from the body.

    `cosigners` sign first, in that order.  `seq` and `prev` come from the state
    (`next_header`).  Raises PeerError as `parse_entry` for a body out of bounds.
    """
    number = _TYPES[type(body)]
    header = EntryHeader(
        author=kid_of(signer.public), type=number, place=place, seq=seq, prev=prev
    )
    protected, payload = _HEADER.encode(header), _BODIES[number].encode(body)
    if cosigners and isinstance(body, UserRoot | Request):
        header_bytes = encode(protected)
        cosigns = tuple(
            Cosign(
                role=role,
                kid=kid_of(by.public),
                signature=by.sign(_cosigned(header_bytes, payload, role)),
            )
            for role, by in cosigners
        )
        payload = _BODIES[number].encode(replace(body, cosigns=cosigns))
    signed = sign(signer, labels.ENTRY, header=protected, payload=payload)
    return parse_entry(signed.encode())


def sign_request(
    signer: Signer,
    gate: Signer | None,
    body: Request,
    *,
    place: bytes,
    seq: int,
    prev: EntryId | None,
) -> Entry:
    """Return a signed request; `gate` is None for a former member that returns."""
    cosigners = [] if gate is None else [(CosignRole.GATE, gate)]
    return sign_entry(
        signer, body, place=place, seq=seq, prev=prev, cosigners=cosigners
    )


def _cosigned(protected: bytes, payload: Value, role: CosignRole) -> bytes:
    return countersign_structure(
        protected, payload, label=labels.ENTRY, role=_ROLES[role]
    )

# SPDX-License-Identifier: Apache-2.0
"""What a device says about the key it meets under (spec/identity.md, section 3).

A statement is signed by the device's long-lived key: this meeting key, these KEM keys
and this tag are mine, for this meeting, and my user's topic stood at this head.  An
opening is the statement with all that a verifier needs to check it.
"""

from dataclasses import dataclass
from enum import IntEnum
from typing import Final

from incamera.errors import Code, PeerError
from incamera.protocol import labels
from incamera.protocol.descriptor import MAX_DESCRIPTOR
from incamera.protocol.encoding import MAX_ENTRY, MAX_MESSAGE, encode, parse
from incamera.protocol.envelope import Signed, parse_signed, sign
from incamera.protocol.ids import (
    DeviceId,
    Head,
    Kid,
    LedgerId,
    TopicId,
    UserId,
    UserTag,
    VerifyKey,
)
from incamera.protocol.message_bodies import ID, KEM_KEY, MAX_OPENING
from incamera.protocol.ports import Signer
from incamera.protocol.proof import MAX_PROOF
from incamera.protocol.schema import (
    ArrayOf,
    As,
    Enumerated,
    ListOf,
    MapOf,
    key,
    octets,
    record,
    text,
    uint,
)
from incamera.protocol.signing import kid_of, verify_key

STATEMENT_TYPE: Final = 60
MIN_STATEMENT: Final = 100
"""Bytes: longer than a commitment, so the two cannot be taken for each other."""
MAX_STATEMENT: Final = 1024
MAX_RECORDS: Final = 64
"""Entries of a user's topic inside an opening; a longer one is read from a mirror."""
MAX_INFO: Final = 1280
"""Bytes of encoded user information: a name, a note and their CBOR heads."""
MAX_TEXT: Final = 1024
"""Bytes of the meeting's info."""


class Purpose(IntEnum):
    """What a statement is for."""

    PUBLISH = 1
    JOIN = 2


@record
class UserHead:
    """Where a user's topic stands."""

    ledger: LedgerId = key(0, As(octets(32), LedgerId))
    topic: TopicId = key(1, As(octets(32), TopicId))
    head: Head = key(2, As(octets(32), Head))
    count: int = key(3, uint())


@record
class Statement:
    """`subject` is publish's nonce, or the id of the meeting to join."""

    purpose: Purpose = key(1, Enumerated(Purpose))
    subject: bytes = key(2, ID)
    mvk: VerifyKey = key(3, As(octets(32), verify_key))
    kem_hash: bytes = key(4, ID)
    user_id: UserId = key(5, As(octets(32), UserId))
    device_id: DeviceId = key(6, As(octets(16), DeviceId))
    tag: UserTag = key(7, As(octets(16), UserTag))
    head: UserHead = key(8, ArrayOf(UserHead))


@record
class _StatementHeader:
    signer: Kid = key(4, As(octets(16), Kid))
    type: int = key(16, uint(STATEMENT_TYPE, STATEMENT_TYPE))


_STATEMENT: Final = MapOf(Statement)
_HEADER: Final = MapOf(_StatementHeader)


@dataclass(frozen=True, slots=True)
class SignedStatement:
    """A statement and its envelope; the signature holds only after `verify`."""

    signed: Signed
    signer: Kid
    body: Statement

    def verify(self, device: VerifyKey) -> Statement:
        """Return the statement if `device` signed it; PeerError(BAD_STATEMENT)."""
        if self.signer != kid_of(device):
            raise PeerError(Code.BAD_STATEMENT, "statement names another device key")
        try:
            self.signed.verify(device, labels.STATEMENT)
        except PeerError:
            message = "statement's signature does not verify"
            raise PeerError(Code.BAD_STATEMENT, message) from None
        return self.body


def sign_statement(signer: Signer, statement: Statement) -> bytes:
    """Return the statement's bytes, signed by the device's long-lived key."""
    header = _StatementHeader(signer=kid_of(signer.public), type=STATEMENT_TYPE)
    return sign(
        signer,
        labels.STATEMENT,
        header=_HEADER.encode(header),
        payload=_STATEMENT.encode(statement),
    ).encode()


def parse_statement(data: bytes) -> SignedStatement:
    """Parse a statement; raises PeerError TOO_LARGE, NOT_CANONICAL, SCHEMA, BAD_KEY."""
    signed = parse_signed(data, MAX_STATEMENT)
    header = _HEADER.decode(parse(signed.protected))
    return SignedStatement(
        signed, header.signer, _STATEMENT.decode(parse(signed.payload))
    )


@record
class OrderedEntry:
    """An entry and the ledger time at which it was ordered."""

    time_ms: int = key(0, uint())
    entry: bytes = key(1, octets(1, MAX_ENTRY))


@record
class TopicProof:
    """A user's topic: its ledger's descriptor, its entries, the proof of its head."""

    descriptor: bytes = key(1, octets(1, MAX_DESCRIPTOR))
    records: tuple[OrderedEntry, ...] = key(
        2, ListOf(ArrayOf(OrderedEntry), MAX_RECORDS)
    )
    proof: bytes = key(3, octets(1, MAX_PROOF))


@record
class InfoOpening:
    """What opens a commitment to user information: r and the information."""

    nonce: bytes = key(0, ID)
    info: bytes = key(1, octets(0, MAX_INFO))


@record
class IdentityOpening:
    """A statement, what opens its commitment, and the proof of the user's topic."""

    statement: bytes = key(1, octets(MIN_STATEMENT, MAX_STATEMENT))
    nonce: bytes = key(2, ID)
    topic: TopicProof = key(3, MapOf(TopicProof))
    info: InfoOpening | None = key(4, ArrayOf(InfoOpening), default=None)


@record
class JoinSecret:
    """What a joiner seals to the leader: its opening and its two KEM keys."""

    opening: IdentityOpening = key(1, MapOf(IdentityOpening))
    current: bytes = key(2, KEM_KEY)
    spare: bytes = key(3, KEM_KEY)


@record
class MeetingInfo:
    """What opens a commitment to the meeting's info: r and the text."""

    nonce: bytes = key(0, ID)
    text: str = key(1, text(MAX_TEXT))


@record
class GateContent:
    """What the leader leaves for link holders: opening, meeting's info, KEM keys.

    Publish has only the hash of the keys; a joiner seals its request to `current`.
    """

    opening: bytes = key(1, octets(1, MAX_OPENING))
    info: MeetingInfo | None = key(2, ArrayOf(MeetingInfo), default=None)
    current: bytes = key(3, KEM_KEY)
    spare: bytes = key(4, KEM_KEY)


_OPENING: Final = MapOf(IdentityOpening)
_JOIN_SECRET: Final = MapOf(JoinSecret)
_GATE_CONTENT: Final = MapOf(GateContent)


def encode_opening(opening: IdentityOpening) -> bytes:
    """Return an opening's bytes."""
    return encode(_OPENING.encode(opening))


def parse_opening(data: bytes) -> IdentityOpening:
    """Parse an opening; raises PeerError TOO_LARGE, NOT_CANONICAL or SCHEMA."""
    return _OPENING.decode(parse(data, MAX_OPENING))


def encode_join_secret(secret: JoinSecret) -> bytes:
    """Return the content of a request box."""
    return encode(_JOIN_SECRET.encode(secret))


def parse_join_secret(data: bytes) -> JoinSecret:
    """Parse the content of a request box; raises as `parse_opening`, and BAD_KEY."""
    return _JOIN_SECRET.decode(parse(data, MAX_MESSAGE))


def encode_gate_content(content: GateContent) -> bytes:
    """Return the content of a gate box."""
    return encode(_GATE_CONTENT.encode(content))


def parse_gate_content(data: bytes) -> GateContent:
    """Parse the content of a gate box; raises as `parse_opening`."""
    return _GATE_CONTENT.decode(parse(data, MAX_MESSAGE))

# SPDX-License-Identifier: Apache-2.0
"""Which codecs the fields of entries share (spec/incamera.cddl, sections 0 to 4)."""

from collections.abc import Mapping
from enum import IntEnum
from typing import Final, TypeAlias

from incamera.errors import Code, PeerError
from incamera.protocol.encoding import Value
from incamera.protocol.ids import (
    DeviceId,
    EntryId,
    Kid,
    LedgerId,
    UserTag,
    VerifyKey,
)
from incamera.protocol.schema import (
    ArrayOf,
    As,
    Codec,
    Enumerated,
    ListOf,
    MapOf,
    Simple,
    key,
    octets,
    record,
    refuse,
    text,
    uint,
)
from incamera.protocol.signing import verify_key

MAX_EXTENSIONS: Final = 16
"""Extensions of one entry."""
MAX_COSIGNS: Final = 4
"""Counter-signatures of one entry."""
MAX_GATEWAYS: Final = 8
"""Gateways of one meeting or user."""
MAX_LEDGERS: Final = 4
"""Fallback ledgers of one meeting."""
MAX_NAME: Final = 128
"""Bytes of a name."""
MAX_TEXT: Final = 1024
"""Bytes of a free text."""
MAX_HOST: Final = 255
"""Bytes of a gateway's `host:port`."""
MAX_STATEMENT: Final = 1024
"""Bytes of an identity statement in clear: about 380 are used."""
COMMITMENT_BYTES: Final = 32
"""A commitment is HMAC-SHA-256; a clear text or statement never has a tag's form."""

ID32: Final = octets(32)
ENTRY_ID: Final[Codec[EntryId]] = As(ID32, EntryId)
LEDGER_ID: Final[Codec[LedgerId]] = As(ID32, LedgerId)
VERIFY_KEY: Final[Codec[VerifyKey]] = As(ID32, verify_key)
KID: Final[Codec[Kid]] = As(octets(16), Kid)
TAG: Final[Codec[UserTag]] = As(octets(16), UserTag)
DEVICE_ID: Final[Codec[DeviceId]] = As(octets(16), DeviceId)
TIME: Final = uint()


class CosignRole(IntEnum):
    """In which role somebody signs an entry beside its author."""

    SECOND_DEVICE = 1
    NEW_DEVICE = 2
    NEW_KEY = 3
    POLICY = 4
    RECOVERY = 5
    GATE = 6
    IDP = 7


@record
class Cosign:
    """One counter-signature: who signs in which role."""

    role: CosignRole = key(0, Enumerated(CosignRole))
    kid: Kid = key(1, KID)
    signature: bytes = key(2, octets(64))


COSIGNS: Final = ListOf(ArrayOf(Cosign), MAX_COSIGNS, 1)


@record
class Gateway:
    """Where a ledger or relay is reached."""

    host: str = key(1, text(MAX_HOST, 1))
    """`host:port` of an https address."""
    pin: bytes | None = key(2, ID32, default=None)
    """SHA-256 of the TLS key (SPKI) where the certificate is self-signed."""


GATEWAYS: Final = ListOf(MapOf(Gateway), MAX_GATEWAYS)
FALLBACKS: Final = ListOf(LEDGER_ID, MAX_LEDGERS)

Extensions: TypeAlias = Mapping[int, Value]


def _extensions(value: Value) -> dict[int, Value]:
    if type(value) is not dict or len(value) > MAX_EXTENSIONS:
        raise refuse(f"not a map of at most {MAX_EXTENSIONS} extensions")
    for number in value:
        if number % 2:  # rules version 1 knows none
            raise PeerError(Code.UNKNOWN_EXTENSION, f"extension {number} is critical")
    return value


EXTENSIONS: Final[Codec[Extensions]] = Simple(_extensions)
"""Odd ids are critical: refused when unknown.  Even ones are kept as they are."""


def _commitment_or_text(value: Value) -> bytes | str:
    plain = text(MAX_TEXT) if isinstance(value, str) else ID32
    return plain.decode(value)


INFO: Final[Codec[bytes | str]] = Simple(_commitment_or_text)
"""A commitment (bytes) or a text in clear."""


def _commitment_or_name(value: Value) -> bytes | str:
    plain = text(MAX_NAME) if isinstance(value, str) else ID32
    return plain.decode(value)


NAME: Final[Codec[bytes | str]] = Simple(_commitment_or_name)
"""A commitment (bytes) or a name in clear."""
IDENTITY: Final = octets(COMMITMENT_BYTES, MAX_STATEMENT)
"""32 bytes: a commitment.  More: the signed statement itself, for members to judge."""


def is_clear_identity(identity: bytes) -> bool:
    """Return whether an identity field carries the statement, not a commitment."""
    return len(identity) != COMMITMENT_BYTES

# SPDX-License-Identifier: Apache-2.0
"""Who else says who a user is (spec/identity.md, section 7)?

A contact, a domain, a login service or an organisation may vouch for a user.  Each
kind has one verifier, which may look outside; so claims are for people's eyes, and no
rule of a topic ever reads one.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import IntEnum
from typing import Final, Protocol, TypeAlias

from incamera.errors import Code, PeerError
from incamera.protocol.ids import UserId
from incamera.protocol.schema import ArrayOf, Enumerated, key, octets, record, uint

MAX_CLAIM_PROOF: Final = 8192
"""Bytes of what shows a claim."""


class ClaimKind(IntEnum):
    """Who vouches; a closed set, and the numbers are those of the wire form."""

    CONTACT = 1
    DNS = 2
    OIDC = 3
    ORGANISATION = 4


@record
class PersonClaim:
    """One claim about a user, as it says itself valid until `until_ms`."""

    kind: ClaimKind = key(0, Enumerated(ClaimKind))
    proof: bytes = key(1, octets(0, MAX_CLAIM_PROOF))
    until_ms: int = key(2, uint())


PERSON_CLAIM: Final = ArrayOf(PersonClaim)


@dataclass(frozen=True, slots=True)
class Vouched:
    """What a verified claim says: who this is, by whose word, and until when (ms)."""

    who: str
    by: str
    until_ms: int


class ClaimVerifier(Protocol):
    """Checks the claims of one kind; none is part of this version."""

    def __call__(self, claim: PersonClaim, user: UserId, /) -> Vouched:
        """Return what the claim says of `user`, or raise PeerError."""


Verifiers: TypeAlias = Mapping[ClaimKind, ClaimVerifier]


def verify_claim(
    claim: PersonClaim, user: UserId, *, now_ms: int, verifiers: Verifiers
) -> Vouched:
    """Return what `claim` says of `user` now, for as long as both sides say it holds.

    Raises PeerError: UNKNOWN_TYPE for a kind that nobody here can check,
    STALE_IDENTITY once it is over, and what its verifier raises.
    """
    verifier = verifiers.get(claim.kind)
    if verifier is None:
        raise PeerError(Code.UNKNOWN_TYPE, f"no verifier for {claim.kind.name}")
    found = verifier(claim, user)
    until_ms = min(found.until_ms, claim.until_ms)
    if now_ms >= until_ms:
        raise PeerError(Code.STALE_IDENTITY, "the claim is over")
    return Vouched(found.who, found.by, until_ms)

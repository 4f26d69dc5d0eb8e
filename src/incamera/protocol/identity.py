# SPDX-License-Identifier: Apache-2.0
"""Who is behind a meeting key, as far as a proof tells (spec/identity.md, section 6).

Every member runs this for every member.  The answer rests on the user's topic on its
home ledger: the device that signed the statement is active there, at a head proven no
more than ten minutes before the entry that we check was ordered.
"""

from dataclasses import dataclass
from typing import Final

from incamera.protocol.ids import DeviceId, LedgerId, UserId, UserTag, VerifyKey
from incamera.protocol.proof import Strength
from incamera.protocol.statement import IdentityOpening, Purpose, UserHead

MAX_AGE_MS: Final = 600_000
"""A head proven longer ago may hide a revocation (10 minutes)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Expected:
    """What publish or request says, which the statement must repeat.

    `subject` is publish's nonce or the meeting id; `identity` is the entry's own field:
    32 bytes of commitment, or a statement in clear.
    """

    purpose: Purpose
    subject: bytes
    mvk: VerifyKey
    kem_hash: bytes
    tag: UserTag
    identity: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class Identified:
    """A proven identity; `info` is the name that the user claims, None if withheld."""

    user_id: UserId
    device_id: DeviceId
    tag: UserTag
    info: str | None
    ledger_id: LedgerId
    strength: Strength
    proven_ms: int
    head: UserHead


def verify_identity(
    opening: IdentityOpening,
    *,
    expected: Expected,
    ordered_ms: int,
    minimum: Strength = Strength.SELF,
) -> Identified:
    """Return who is behind an entry that was ordered at `ordered_ms`.

    Raises PeerError: BAD_OPENING (commitment), BAD_STATEMENT (signature, or it says
    something else than the entry), UNREGISTERED, DEVICE_NOT_ACTIVE, STALE_IDENTITY,
    BAD_PROOF, WEAK_LEDGER, and what parsing raises.
    """
    raise NotImplementedError

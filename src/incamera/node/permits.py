# SPDX-License-Identifier: Apache-2.0
"""Who may open a topic on a gateway (spec/relay.md, section 6)?

Its owners, those whom an owner invited, and strangers under a quota.  An owner's or a
guest's key signs the id of the topic's first entry; that key is known to this gateway
only and appears nowhere on the ledger.
"""

import base64
import binascii
from collections.abc import Collection
from typing import Final

from incamera.errors import Code, PeerError
from incamera.protocol import labels
from incamera.protocol.encoding import encode, parse
from incamera.protocol.ids import EntryId, LedgerId, VerifyKey
from incamera.protocol.ports import Signer
from incamera.protocol.schedule import u64
from incamera.protocol.schema import As, MapOf, key, octets, record, uint
from incamera.protocol.signing import verify_key, verify_signature

HEADER: Final = "incamera-permit"
"""HTTP header of an append that opens a topic: base64url of the permit."""
MAX_PERMIT: Final = 512
"""Bytes of a permit with its invitation: 230, with room for later fields."""
_KEY: Final = As(octets(32), verify_key)
_SIGNATURE: Final = octets(64)


@record
class Invitation:
    """An owner lets `holder` open topics until a time (ms since 1970)."""

    owner: VerifyKey = key(1, _KEY)
    holder: VerifyKey = key(2, _KEY)
    until_ms: int = key(3, uint())
    signature: bytes = key(4, _SIGNATURE)


@record
class Permit:
    """`author` opens the topic whose first entry it signed the id of."""

    author: VerifyKey = key(1, _KEY)
    signature: bytes = key(2, _SIGNATURE)
    invitation: Invitation | None = key(3, MapOf(Invitation), default=None)


_PERMIT: Final = MapOf(Permit)


def invite(
    owner: Signer, holder: VerifyKey, *, ledger_id: LedgerId, until_ms: int
) -> Invitation:
    """Return an owner's invitation of `holder`."""
    return Invitation(
        owner=owner.public,
        holder=holder,
        until_ms=until_ms,
        signature=owner.sign(_invited(holder, ledger_id, until_ms)),
    )


def permit(
    author: Signer,
    entry: EntryId,
    *,
    ledger_id: LedgerId,
    invitation: Invitation | None = None,
) -> str:
    """Return the header's value for opening the topic that begins with `entry`."""
    signature = author.sign(labels.PERMIT + ledger_id + entry)
    value = Permit(author=author.public, signature=signature, invitation=invitation)
    return base64.urlsafe_b64encode(encode(_PERMIT.encode(value))).decode("ascii")


def verify_permit(
    header: str,
    entry: EntryId,
    *,
    ledger_id: LedgerId,
    owners: Collection[VerifyKey],
    now_ms: int,
) -> None:
    """Raise PeerError unless the header permits this entry; NOT_ALLOWED and others."""
    try:
        data = base64.b64decode(header, altchars=b"-_", validate=True)
    except (binascii.Error, ValueError):
        raise PeerError(Code.SCHEMA, "permit is not base64url") from None
    value = _PERMIT.decode(parse(data, MAX_PERMIT))
    verify_signature(value.author, value.signature, labels.PERMIT + ledger_id + entry)
    if value.author in owners:
        return
    guest = value.invitation
    if guest is None or guest.owner not in owners or guest.holder != value.author:
        raise PeerError(Code.NOT_ALLOWED, "neither owner nor invited")
    if guest.until_ms <= now_ms:
        raise PeerError(Code.NOT_ALLOWED, "invitation is over")
    signed = _invited(guest.holder, ledger_id, guest.until_ms)
    verify_signature(guest.owner, guest.signature, signed)


def _invited(holder: VerifyKey, ledger_id: LedgerId, until_ms: int) -> bytes:
    return labels.INVITATION + ledger_id + holder + u64(until_ms)

# SPDX-License-Identifier: Apache-2.0
"""How a user begins: one device and a root entry (spec/identity.md, section 2).

Equations (1) to (4) of the paper: the device makes its key pair, and the entry that it
signs maps user to device to key, with the user's info in clear or as an HMAC.
"""

from dataclasses import dataclass

from incamera.protocol.bodies import (
    ClearInfo,
    Device,
    DeviceKind,
    UserPolicy,
    UserRoot,
)
from incamera.protocol.context import RULES
from incamera.protocol.encoding import MAX_ENTRY, encode, parse
from incamera.protocol.entry import Entry, sign_entry
from incamera.protocol.fields import Gateway
from incamera.protocol.ids import LedgerId, UserId
from incamera.protocol.schedule import info_commitment, user_secret_commitment
from incamera.protocol.schema import MapOf
from incamera.protocol.seat import Tools
from incamera.protocol.secret import Secret
from incamera.protocol.signer import Ed25519Signer
from incamera.protocol.signing import device_id_of
from incamera.protocol.statement import InfoOpening

RECOVERY_WAIT_MS = 72 * 3_600_000
"""Three days in which a device may veto a recovery by the backup key."""
_CLEAR_INFO = MapOf(ClearInfo)


@dataclass(frozen=True, slots=True)
class NewUser:
    """A user whose root entry is signed and not yet on its ledger."""

    seed: Secret
    user_secret: Secret
    info: InfoOpening | None
    entry: Entry

    @property
    def user_id(self) -> UserId:
        """The id of the root entry."""
        return UserId(self.entry.id)


@dataclass(frozen=True, slots=True, kw_only=True)
class UserPlan:
    """What a user decides: its name, and whether it stands on the ledger in clear."""

    name: str
    clear: bool
    device_name: str
    kind: DeviceKind = DeviceKind.COMPUTER
    gateways: tuple[Gateway, ...] = ()


def new_user(tools: Tools, plan: UserPlan, *, ledger_id: LedgerId) -> NewUser:
    """Return a new user with its first device; PeerError(SCHEMA) for a long name.

    Unless `plan.clear`, neither the user's nor the device's name is on the ledger: only
    HMACs of them are, and who destroys their keys erases them.
    """
    seed, user_secret = tools.secret(), tools.secret()
    signer = Ed25519Signer(seed)
    info = ClearInfo(name=plan.name)
    opening = None
    if not plan.clear:
        encoded = encode(_CLEAR_INFO.encode(info))
        opening = InfoOpening(nonce=tools.nonce(), info=encoded)
    device_name: bytes | str = plan.device_name
    if not plan.clear:
        device_name = info_commitment(tools.nonce(), plan.device_name.encode())
    body = UserRoot(
        rules=RULES,
        nonce=tools.nonce(),
        device=Device(
            ivk=signer.public,
            id=device_id_of(signer.public),
            kind=plan.kind,
            name=device_name,
        ),
        info=info if opening is None else info_commitment(opening.nonce, opening.info),
        policy=UserPolicy(lockdown=False, recovery_wait_ms=RECOVERY_WAIT_MS),
        gateways=plan.gateways,
        user_secret=user_secret_commitment(user_secret),
    )
    entry = sign_entry(signer, body, place=ledger_id, seq=0, prev=None)
    return NewUser(seed, user_secret, opening, entry)


def name_of(opening: InfoOpening) -> str:
    """Return the user's name in its own opening."""
    return _CLEAR_INFO.decode(parse(opening.info, MAX_ENTRY)).name

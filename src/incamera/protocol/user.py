# SPDX-License-Identifier: Apache-2.0
"""What a user's topic has come to, and what may follow (spec/identity.md, section 3).

Rules version 1 knows the root alone; whatever follows a root is refused.
"""

from dataclasses import dataclass
from enum import IntEnum

from incamera.errors import Code, PeerError
from incamera.protocol.bodies import (
    Device,
    DeviceKind,
    UserInfo,
    UserPolicy,
    UserRoot,
)
from incamera.protocol.context import Context
from incamera.protocol.entry import Entry
from incamera.protocol.fields import CosignRole, Gateway
from incamera.protocol.ids import DeviceId, EntryId, UserId
from incamera.protocol.signing import device_id_of, kid_of


class UserStatus(IntEnum):
    """Where a user's topic stands; the numbers are those of its encoding."""

    OPEN = 1
    MOVED = 2


@dataclass(frozen=True, slots=True)
class DeviceRecord:
    """A device that was ever added."""

    device: Device
    added: int
    """Number of the entry that added it."""
    revoked: int | None = None
    """Number of the entry that revoked it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class UserState:
    """The state after the newest valid entry."""

    rules: int
    user_id: UserId
    status: UserStatus
    count: int
    """Valid entries."""
    last: EntryId
    devices: tuple[DeviceRecord, ...]
    """In order of addition; the backup device is among them."""
    info: UserInfo
    policy: UserPolicy
    gateways: tuple[Gateway, ...]
    user_secret: bytes | None
    """Newest commitment to the user secret."""
    time_ms: int
    """Ledger time of the newest valid entry."""


def open_user(entry: Entry, body: UserRoot, context: Context) -> UserState:
    """Return the state after a root, a user topic's first entry.

    Raises PeerError: WRONG_AUTHOR, NOT_LEGAL, BAD_COSIGNATURE, BAD_SIGNATURE.
    """
    if entry.header.author != kid_of(body.device.ivk):
        raise PeerError(Code.WRONG_AUTHOR, "not by the device it names")
    _check_devices(body)
    _check_backup_signature(entry, body)
    entry.verify(body.device.ivk)
    devices = (body.device, *([body.backup] if body.backup else []))
    return UserState(
        rules=body.rules,
        user_id=UserId(entry.id),
        status=UserStatus.OPEN,
        count=1,
        last=entry.id,
        devices=tuple(DeviceRecord(device, added=0) for device in devices),
        info=body.info,
        policy=body.policy,
        gateways=body.gateways,
        user_secret=body.user_secret,
        time_ms=context.time_ms,
    )


def active_device(state: UserState, device_id: DeviceId) -> Device | None:
    """Return the device of that id, unless it was revoked or is the backup."""
    for record in state.devices:
        device = record.device
        if device.id == device_id and device.kind is not DeviceKind.BACKUP:
            return device if record.revoked is None else None
    return None


def apply_user(state: UserState, entry: Entry) -> UserState:
    """Refuse: rules version 1 has no entry that follows a root.

    Raises PeerError: DUPLICATE for the root itself, else NOT_LEGAL.
    """
    if entry.id == EntryId(state.user_id):
        raise PeerError(Code.DUPLICATE, "registered already")
    raise PeerError(Code.NOT_LEGAL, "nothing may follow a root yet")


def _check_devices(body: UserRoot) -> None:
    if body.device.kind is DeviceKind.BACKUP:
        raise PeerError(Code.NOT_LEGAL, "a backup cannot be the first device")
    _check_device_id(body.device)
    if body.backup is None:
        if body.policy.lockdown:
            raise PeerError(Code.NOT_LEGAL, "lockdown needs a backup device")
        return
    _check_device_id(body.backup)
    if body.backup.kind is not DeviceKind.BACKUP or body.backup.id == body.device.id:
        raise PeerError(Code.NOT_LEGAL, "not a backup device")


def _check_device_id(device: Device) -> None:
    if device.id != device_id_of(device.ivk):
        raise PeerError(Code.NOT_LEGAL, "device id does not follow from its key")


def _check_backup_signature(entry: Entry, body: UserRoot) -> None:
    roles = [cosign.role for cosign in body.cosigns or ()]
    if roles != ([CosignRole.RECOVERY] if body.backup else []):
        raise PeerError(Code.BAD_COSIGNATURE, "not exactly the backup's signature")
    if body.backup is not None and body.cosigns is not None:
        entry.verify_cosign(body.cosigns[0], body.backup.ivk)

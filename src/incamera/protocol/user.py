# SPDX-License-Identifier: Apache-2.0
"""What a user's topic has come to, and what may follow (spec/identity.md, section 3).

Rules version 1 knows the root alone; whatever follows a root is refused.
"""

from dataclasses import dataclass
from enum import IntEnum

from incamera.protocol.bodies import Device, UserInfo, UserPolicy
from incamera.protocol.fields import Gateway
from incamera.protocol.ids import EntryId, UserId


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

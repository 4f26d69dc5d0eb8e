# SPDX-License-Identifier: Apache-2.0
"""What each entry of rules version 1 says (spec/incamera.cddl, sections 3 and 4)."""

from enum import IntEnum
from typing import Final, TypeAlias

from incamera.protocol.fields import (
    COSIGNS,
    DEVICE_ID,
    ENTRY_ID,
    EXTENSIONS,
    FALLBACKS,
    GATEWAYS,
    ID32,
    IDENTITY,
    INFO,
    LEDGER_ID,
    MAX_NAME,
    MAX_TEXT,
    NAME,
    TAG,
    TIME,
    VERIFY_KEY,
    Cosign,
    Extensions,
    Gateway,
)
from incamera.protocol.ids import (
    DeviceId,
    EntryId,
    LedgerId,
    MeetingId,
    UserTag,
    VerifyKey,
)
from incamera.protocol.index_set import IndexSet, IndexSetCodec
from incamera.protocol.policy import MAX_SLOTS, POLICY, Policy
from incamera.protocol.schema import (
    BOOL,
    As,
    Codec,
    Either,
    Enumerated,
    ListOf,
    MapOf,
    key,
    octets,
    record,
    text,
    uint,
)

MAX_REQUESTS: Final = 65_536
"""Valid requests of one meeting."""
MAX_REFRESHES: Final = 64
"""Refreshes between two epoch entries."""
MAX_SUPERSEDES: Final = 8
"""Own earlier epochs that one epoch replaces by name."""
ORDINALS: Final = IndexSetCodec(MAX_REQUESTS, MAX_SLOTS)
SLOTS: Final = IndexSetCodec(MAX_SLOTS, MAX_SLOTS)
RULES: Final = uint()


class DeviceKind(IntEnum):
    """What a device is."""

    COMPUTER = 1
    PHONE = 2
    ROOM = 3
    BOT = 4
    BACKUP = 5
    """Keys on paper: may recover the user, nothing else."""


class MemberKind(IntEnum):
    """As what somebody takes part."""

    PERSON = 1
    GUEST = 2
    BOT = 3
    RECORDER = 4
    ROOM = 5


class ParentKind(IntEnum):
    """Why a meeting names another one."""

    BREAKOUT = 1
    CONTINUATION = 2
    SERIES = 3


class EpochKind(IntEnum):
    """Where an epoch's key comes from."""

    RATCHET = 1
    """Stepped from the last one by everybody: joins only."""
    FRESH = 2
    """Drawn anew: whoever was dropped does not get it."""


@record
class Device:
    """One device of a user."""

    ivk: VerifyKey = key(1, VERIFY_KEY)
    """The device's long-lived signing key."""
    id: DeviceId = key(2, DEVICE_ID)
    kind: DeviceKind = key(3, Enumerated(DeviceKind))
    name: bytes | str = key(4, NAME)
    secret_key_hash: bytes | None = key(5, ID32, default=None)
    """SHA-256 of an X-Wing key of the device, for the user secret."""
    ml_dsa: bytes | None = key(6, octets(1952), default=None)
    """ML-DSA-65 public key, reserved."""


@record
class ClearInfo:
    """What a user says about itself, in clear."""

    name: str = key(1, text(MAX_NAME))
    note: str | None = key(2, text(MAX_TEXT), default=None)


UserInfo: TypeAlias = bytes | ClearInfo
USER_INFO: Final[Codec[UserInfo]] = Either((ID32, MapOf(ClearInfo)))  # type: ignore[arg-type]  # Codec is invariant
"""A commitment (bytes) or the info in clear."""


@record
class UserPolicy:
    """How a user's topic may be extended."""

    lockdown: bool = key(1, BOOL)
    policy_key: VerifyKey | None = key(2, VERIFY_KEY, default=None)
    attester_key: VerifyKey | None = key(3, VERIFY_KEY, default=None)
    recovery_wait_ms: int = key(4, TIME)


@record
class UserRoot:
    """A user's first entry, by its first device."""

    rules: int = key(1, RULES)
    nonce: bytes = key(2, ID32)
    device: Device = key(3, MapOf(Device))
    info: UserInfo = key(4, USER_INFO)
    policy: UserPolicy = key(5, MapOf(UserPolicy))
    gateways: tuple[Gateway, ...] = key(6, GATEWAYS)
    backup: Device | None = key(7, MapOf(Device), default=None)
    user_secret: bytes | None = key(8, ID32, default=None)
    """Commitment to the user secret of generation 0."""
    cosigns: tuple[Cosign, ...] | None = key(22, COSIGNS, default=None)
    extensions: Extensions | None = key(23, EXTENSIONS, default=None)


@record
class Parent:
    """The meeting that this one belongs to."""

    kind: ParentKind = key(1, Enumerated(ParentKind))
    meeting: MeetingId = key(2, As(ID32, MeetingId))
    ledger: LedgerId = key(3, LEDGER_ID)
    head: bytes = key(4, ID32)
    count: int = key(5, uint())


@record
class Publish:
    """A meeting's first entry, by its first leader."""

    rules: int = key(1, RULES)
    nonce: bytes = key(2, ID32)
    mvk: VerifyKey = key(3, VERIFY_KEY)
    kem_hash: bytes = key(4, ID32)
    tag: UserTag = key(5, TAG)
    kind: MemberKind = key(6, Enumerated(MemberKind))
    code: bytes = key(7, ID32)
    """End of the leader's code chain, x_0."""
    identity: bytes = key(8, IDENTITY)
    info: bytes | str = key(9, INFO)
    policy: Policy = key(10, POLICY)
    gate: VerifyKey = key(11, VERIFY_KEY)
    gateways: tuple[Gateway, ...] = key(12, GATEWAYS)
    fallbacks: tuple[LedgerId, ...] = key(13, FALLBACKS)
    parent: Parent | None = key(14, MapOf(Parent), default=None)
    opens_ms: int = key(15, TIME)
    ends_ms: int = key(16, TIME)
    extensions: Extensions | None = key(23, EXTENSIONS, default=None)


@record
class Request:
    """Somebody asks to come in."""

    mvk: VerifyKey = key(1, VERIFY_KEY)
    tag: UserTag = key(2, TAG)
    kem_hash: bytes = key(3, ID32)
    nonce: bytes = key(4, ID32)
    kind: MemberKind = key(5, Enumerated(MemberKind))
    code: bytes = key(6, ID32)
    """End of the requester's code chain, x_0."""
    identity: bytes = key(7, IDENTITY)
    cosigns: tuple[Cosign, ...] | None = key(22, COSIGNS, default=None)
    """The gate's signature; a returner has none."""
    extensions: Extensions | None = key(23, EXTENSIONS, default=None)


@record
class Epoch:
    """The leader changes who is inside and the key, in one entry."""

    term: int = key(1, uint())
    number: int = key(2, uint())
    prev_epoch: EntryId = key(3, ENTRY_ID)
    kind: EpochKind = key(4, Enumerated(EpochKind))
    admitted: IndexSet = key(5, ORDINALS)
    left: IndexSet = key(6, SLOTS)
    lost: IndexSet = key(7, SLOTS)
    removed: IndexSet = key(8, SLOTS)
    roster_root: bytes = key(9, ID32)
    commitment: bytes = key(10, ID32)
    refreshes: tuple[bytes, ...] = key(11, ListOf(ID32, MAX_REFRESHES))
    """Ids of the refresh messages since the last entry."""
    supersedes: tuple[EntryId, ...] | None = key(
        12, ListOf(ENTRY_ID, MAX_SUPERSEDES, 1), default=None
    )
    """Own earlier epochs on this `prev_epoch` that no epoch named yet."""
    cause: int | None = key(13, uint(8, 1), default=None)
    """Shown to people; no rule reads it."""
    extensions: Extensions | None = key(23, EXTENSIONS, default=None)


@record
class Leave:
    """A member leaves, or a requester withdraws."""

    reason: int = key(1, uint(3))
    extensions: Extensions | None = key(23, EXTENSIONS, default=None)


@record
class PolicyChange:
    """The leader or a host sets a new policy."""

    term: int = key(1, uint())
    version: int = key(2, uint())
    policy: Policy = key(3, POLICY)
    gate: VerifyKey | None = key(4, VERIFY_KEY, default=None)
    gateways: tuple[Gateway, ...] | None = key(5, GATEWAYS, default=None)
    fallbacks: tuple[LedgerId, ...] | None = key(6, FALLBACKS, default=None)
    extensions: Extensions | None = key(23, EXTENSIONS, default=None)


@record
class Dismiss:
    """The leader ends the meeting for everybody."""

    term: int = key(1, uint())
    reason: int = key(2, uint(3))
    extensions: Extensions | None = key(23, EXTENSIONS, default=None)


UserBody: TypeAlias = UserRoot
MeetingBody: TypeAlias = Publish | Request | Epoch | Leave | PolicyChange | Dismiss
Body: TypeAlias = UserBody | MeetingBody

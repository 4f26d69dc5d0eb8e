# SPDX-License-Identifier: Apache-2.0
"""What a meeting's policy says (spec/meeting.md, section 3)."""

from enum import IntEnum
from typing import Final

from incamera.protocol.fields import ENTRY_ID
from incamera.protocol.ids import EntryId
from incamera.protocol.schema import (
    BOOL,
    ArrayOf,
    Enumerated,
    ListOf,
    MapOf,
    key,
    record,
    uint,
)

MAX_SLOTS: Final = 4096
"""Roster slots: a sender index below 4096 keeps an SFrame key id within 2 bytes."""
MAX_GRANTS: Final = 64
"""Grants of one policy."""


class Doors(IntEnum):
    """Who may ask to come in."""

    OPEN = 0
    CLOSED = 1
    """Only those who were inside, and left or were lost."""
    KNOWN_DOMAIN = 2
    """Everybody may ask; the leader declines foreign domains (member rule)."""


class Identities(IntEnum):
    """Who learns a member's identity."""

    EVERYONE = 1
    LEADER = 2
    MUTUAL = 3


class Succession(IntEnum):
    """Who may claim to lead when the leader is gone."""

    TIME_ORDER = 1
    APPOINTED = 2
    VOTE = 3


class Role(IntEnum):
    """What a grant allows."""

    HOST = 1
    CO_HOST = 2
    MODERATOR = 3
    RECORDER = 4
    BOT = 5


class Follow(IntEnum):
    """From which confirmation a claim to leadership is followed."""

    ORDERED = 1
    FINAL = 2


@record
class Grant:
    """One person's role."""

    who: EntryId = key(0, ENTRY_ID)
    """Publish or request id of a member."""
    role: Role = key(1, Enumerated(Role))


@record
class Limits:
    """A meeting's numbers; times in seconds."""

    members: int = key(1, uint(MAX_SLOTS, 1))
    unreachable_s: int = key(2, uint())
    identity_stale_s: int = key(3, uint())
    leaderless_s: int = key(4, uint())
    before_host_s: int = key(5, uint())


@record
class Policy:
    """The rules that a meeting sets for itself."""

    doors: Doors = key(1, Enumerated(Doors))
    strict: bool = key(2, BOOL)
    """Use an epoch that admits from *ordered* instead of *signed*."""
    verify_first: bool = key(3, BOOL)
    """Withhold media until the receiver's identity is checked."""
    identities: Identities = key(4, Enumerated(Identities))
    succession: Succession = key(5, Enumerated(Succession))
    appointed: EntryId | None = key(6, ENTRY_ID, default=None)
    grants: tuple[Grant, ...] = key(7, ListOf(ArrayOf(Grant), MAX_GRANTS))
    limits: Limits = key(8, MapOf(Limits))
    minimum_strength: int = key(9, uint(4))
    """Order of `Strength`: 0 self, 1 host, 2 witnessed, 3 consensus, 4 anchored."""
    before_host: bool = key(10, BOOL)
    follow: Follow = key(11, Enumerated(Follow))


POLICY: Final = MapOf(Policy)


def hosts(policy: Policy) -> frozenset[EntryId]:
    """Return who has the host grant by name; nobody: the publisher has it."""
    return frozenset(grant.who for grant in policy.grants if grant.role is Role.HOST)


DEFAULT_POLICY: Final = Policy(
    doors=Doors.OPEN,
    strict=False,
    verify_first=False,
    identities=Identities.EVERYONE,
    succession=Succession.TIME_ORDER,
    grants=(),
    limits=Limits(
        members=1000,
        unreachable_s=600,
        identity_stale_s=600,
        leaderless_s=600,
        before_host_s=0,
    ),
    minimum_strength=0,
    before_host=False,
    follow=Follow.FINAL,
)
"""What a meeting among friends starts with; ten minutes wherever a limit is time."""

# SPDX-License-Identifier: Apache-2.0
"""What a meeting's topic has come to (spec/meeting.md, section 4).

States are frozen and share what did not change; nothing inside is ever mutated.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum, IntEnum

from incamera.protocol.bodies import MemberKind
from incamera.protocol.entry import EntryType
from incamera.protocol.fields import Gateway
from incamera.protocol.growing_map import GrowingMap
from incamera.protocol.ids import (
    EntryId,
    Kid,
    LedgerId,
    MeetingId,
    UserTag,
    VerifyKey,
)
from incamera.protocol.policy import Policy, hosts
from incamera.protocol.roster import StateMember
from incamera.protocol.signing import kid_of


class Status(IntEnum):
    """Where a meeting stands; the numbers are those of its encoding."""

    OPEN = 2
    LEADERLESS = 3
    ENDED = 4


class Standing(IntEnum):
    """Where the holder of one key stands in a meeting."""

    STRANGER = 0
    """Has not spoken; in no state."""
    ASKING = 1
    WITHDRAWN = 2
    SEATED = 3
    LEFT = 4
    LOST = 5
    REMOVED = 6


class Line(Enum):
    """Each author has two lines of entries, each with its own `seq` and `prev`.

    An epoch already binds its place by `prev_epoch`.  Counted together, a policy that
    loses to a host's would take a pending removal with it.
    """

    LEAD = "lead"
    """publish and epoch (later: claim)."""
    ACT = "act"
    """Everything else."""


@dataclass(frozen=True, slots=True)
class Position:
    """Where an author stands in one line: the header of its next entry."""

    seq: int = 0
    prev: EntryId | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Author:
    """One key that has spoken in the meeting."""

    mvk: VerifyKey
    standing: Standing
    index: int
    """Slot while seated; else the ordinal of the request, or `order` of the former."""
    act: Position = Position()
    lead: Position = Position()


@dataclass(frozen=True, slots=True, kw_only=True)
class OpenRequest:
    """A request that can be admitted."""

    ordinal: int
    id: EntryId
    mvk: VerifyKey
    tag: UserTag
    kem_hash: bytes
    kind: MemberKind
    code: bytes
    withdrawn: bool = False
    """An epoch signed before the withdrawal may still admit it, as leaving."""


@dataclass(frozen=True, slots=True)
class Former:
    """Somebody who was in the roster."""

    member: StateMember
    dropped: int
    """Number of the epoch that dropped it."""
    how: Standing
    """LEFT, LOST or REMOVED."""


@dataclass(frozen=True, slots=True, kw_only=True)
class MeetingState:
    """The state after the newest valid entry."""

    rules: int
    meeting_id: MeetingId
    status: Status
    term: int
    leader: EntryId
    """Publish or request id of the leader of this term."""
    last: EntryId
    """Newest valid publish or epoch: the next epoch's `prev_epoch`."""
    epoch: int
    fresh_needed: bool
    must_drop: frozenset[int]
    """Slots that the next fresh epoch must drop, through all claims."""
    roster: Mapping[int, StateMember]
    leaving: frozenset[int]
    """Slots that left and still hold the key."""
    former: GrowingMap[int, Former]
    """By `order` of the member."""
    requests: GrowingMap[int, OpenRequest]
    """By ordinal: open and withdrawn, until admitted."""
    next_ordinal: int
    authors: GrowingMap[Kid, Author]
    policy: Policy
    policy_version: int
    members_limit: int
    """Largest limit in force since `last`: a policy must not void an epoch."""
    gate: VerifyKey
    lineage: tuple[tuple[EntryId, int], ...]
    """Publish and epochs of this term with their numbers."""
    opens_ms: int
    ends_ms: int
    time_ms: int
    """Ledger time of the newest valid entry."""
    gateways: tuple[Gateway, ...]
    fallbacks: tuple[LedgerId, ...]


def leader_member(state: MeetingState) -> StateMember | None:
    """Return the leader's seat; None if it leads from outside the roster."""
    return member_by_id(state, state.leader)


def member_by_id(state: MeetingState, member: EntryId) -> StateMember | None:
    """Return who was admitted by that publish or request and is in the roster."""
    return next((m for m in state.roster.values() if m.id == member), None)


def member_by_mvk(state: MeetingState, mvk: VerifyKey) -> StateMember | None:
    """Return the roster member that holds `mvk`."""
    author = state.authors.get(kid_of(mvk))
    if author is None or author.mvk != mvk or author.standing is not Standing.SEATED:
        return None
    return state.roster[author.index]


def request_by_mvk(state: MeetingState, mvk: VerifyKey) -> OpenRequest | None:
    """Return the open, not withdrawn, request of `mvk`."""
    author = state.authors.get(kid_of(mvk))
    if author is None or author.mvk != mvk or author.standing is not Standing.ASKING:
        return None
    return state.requests[author.index]


def host_ids(state: MeetingState) -> frozenset[EntryId]:
    """Return who holds the host grant: those named, else the publisher."""
    return hosts(state.policy) or frozenset({EntryId(state.meeting_id)})


def is_over(state: MeetingState, time_ms: int) -> bool:
    """Return whether the meeting was ended, or its last hour has struck."""
    return state.status is Status.ENDED or time_ms >= state.ends_ms


def line_of(kind: EntryType) -> Line:
    """Return the line in which entries of this type are counted."""
    leading = kind in (EntryType.PUBLISH, EntryType.EPOCH)
    return Line.LEAD if leading else Line.ACT


def next_header(
    state: MeetingState, mvk: VerifyKey, kind: EntryType
) -> tuple[int, EntryId | None]:
    """Return (seq, prev) for the next entry of that type by `mvk`."""
    author = state.authors.get(kid_of(mvk))
    if author is None:
        return 0, None
    position = author.lead if line_of(kind) is Line.LEAD else author.act
    return position.seq, position.prev

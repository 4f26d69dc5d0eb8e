# SPDX-License-Identifier: Apache-2.0
"""Who sits in which slot, and which root binds them (spec/meeting.md, section 5).

A roster follows from the one before it and an epoch's lists alone: dropped slots are
freed, then each admitted request takes the lowest free slot, in order of ordinals.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from hashlib import sha256
from typing import TYPE_CHECKING, Final

from incamera.errors import Code, PeerError
from incamera.protocol.bodies import MemberKind
from incamera.protocol.encoding import Value, encode
from incamera.protocol.ids import EntryId, UserTag, VerifyKey
from incamera.protocol.log import EMPTY_ROOT, leaf_hash
from incamera.protocol.policy import MAX_SLOTS

if TYPE_CHECKING:  # the state holds rosters
    from incamera.protocol.meeting_state import MeetingState


@dataclass(frozen=True, slots=True, kw_only=True)
class Member:
    """One slot of a roster, as its leaf binds it."""

    slot: int
    id: EntryId
    """Publish or request id."""
    mvk: VerifyKey
    tag: UserTag
    kind: MemberKind
    leaf: bytes = field(init=False, repr=False, compare=False)
    """Hash of the leaf: a roster of 1000 is hashed on every epoch."""

    def __post_init__(self) -> None:
        object.__setattr__(self, "leaf", leaf_hash(encode(roster_leaf(self))))


@dataclass(frozen=True, slots=True, kw_only=True)
class StateMember(Member):
    """A member, with what the state knows beyond the roster leaf."""

    kem_hash: bytes
    code: bytes
    """End of its code chain, x_0."""
    admitted: int
    """Number of the epoch that admitted it; 0 for the publisher."""
    order: int
    """Place in time order: admissions before it in this meeting."""


def roster_leaf(member: Member) -> Value:
    """Return the leaf that stands for a member (spec/incamera.cddl, roster-leaf)."""
    return [member.slot, member.id, member.mvk, member.tag, int(member.kind)]


_EMPTY_LEAF: Final = leaf_hash(b"")


def roster_root(members: Mapping[int, Member]) -> bytes:
    """Return the RFC 6962 root over slots 0 to the highest taken one.

    An empty slot is the empty leaf, no member at all the empty tree.
    """
    if not members:
        return EMPTY_ROOT
    level = [_EMPTY_LEAF] * (max(members) + 1)
    for slot, member in members.items():
        level[slot] = member.leaf
    # Pairing neighbours and passing an odd last node up is RFC 6962's tree.
    while len(level) > 1:
        odd = [level[-1]] if len(level) % 2 else []
        level = [*map(_node, level[::2], level[1::2]), *odd]
    return level[0]


# Two rosters of the largest meeting: from one epoch to the next few nodes change.
@lru_cache(maxsize=2 * MAX_SLOTS)
def _node(left: bytes, right: bytes) -> bytes:
    return sha256(b"\1" + left + right).digest()


def next_roster(
    state: "MeetingState",
    *,
    admitted: Collection[int],
    dropped: Collection[int],
    epoch: int | None = None,
) -> dict[int, StateMember]:
    """Return the roster after an epoch (default number: the state's next).

    Raises PeerError: NOT_LEGAL for an ordinal without a pending request or an empty
    slot, FULL when no slot is free.
    """
    roster = {
        slot: member for slot, member in state.roster.items() if slot not in dropped
    }
    if len(roster) + len(dropped) != len(state.roster):
        raise PeerError(Code.NOT_LEGAL, "an empty slot is dropped")
    if len(roster) + len(admitted) > MAX_SLOTS:
        raise PeerError(Code.FULL, f"more than {MAX_SLOTS} members")
    number = state.epoch + 1 if epoch is None else epoch
    order, slot = len(state.roster) + len(state.former), 0
    for ordinal in sorted(admitted):
        request = state.requests.get(ordinal)
        if request is None:
            raise PeerError(Code.NOT_LEGAL, f"no pending request {ordinal}")
        while slot in roster:
            slot += 1
        roster[slot] = StateMember(
            slot=slot,
            id=request.id,
            mvk=request.mvk,
            tag=request.tag,
            kind=request.kind,
            kem_hash=request.kem_hash,
            code=request.code,
            admitted=number,
            order=order,
        )
        order += 1
    return roster

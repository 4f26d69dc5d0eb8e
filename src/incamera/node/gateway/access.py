# SPDX-License-Identifier: Apache-2.0
"""Who may be at a meeting's relay, and post to whom (spec/relay.md, section 2)?

    member      to any member or to all others; the leader to requesters too
    requester   to the leader only
    anyone else (dropped, stranger, after the end) nothing

Members and requesters follow from the topic's state alone; who holds the gate's
signature may be here before its request is ordered.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import IntEnum

from incamera.errors import Code, PeerError
from incamera.protocol.ids import Kid, VerifyKey
from incamera.protocol.meeting_state import (
    MeetingState,
    Standing,
    Status,
    leader_member,
)
from incamera.protocol.signing import kid_of


class Role(IntEnum):
    """What a connection may do; the value is on the wire."""

    MEMBER = 1
    REQUESTER = 2


@dataclass(frozen=True, slots=True)
class Change:
    """Roles have changed; `dropped` were members and are no more."""

    dropped: frozenset[VerifyKey] = frozenset()


class Access:
    """The rules above for one meeting, kept up with its state.

    A landed request changes no index: ten thousand of them cost members nothing.
    """

    def __init__(self, state: MeetingState) -> None:
        self.state = state
        self.members: Mapping[Kid, VerifyKey] = {}
        """The keys of the roster."""
        self.leader: VerifyKey | None = None
        """The leader's key, None while nobody in the roster leads."""
        self._gated: dict[Kid, VerifyKey] = {}
        self._index()

    @property
    def is_over(self) -> bool:
        """True once the meeting has ended."""
        return self.state.status is Status.ENDED

    def follow(self, state: MeetingState) -> Change | None:
        """Take over the next state; None if nobody's role can have changed."""
        before, self.state = self.state, state
        gate, status = state.gate != before.gate, state.status is not before.status
        if gate:
            self._gated.clear()
        if state.roster is before.roster and state.leader == before.leader:
            return Change() if gate or status else None
        known = set(self.members.values())
        self._index()
        return Change(dropped=frozenset(known.difference(self.members.values())))

    def vouch(self, mvk: VerifyKey) -> None:
        """Remember that the gate in force signed for `mvk`.

        Raises PeerError(NOT_ALLOWED) for a key that was in the roster and is no more:
        it comes back by a request of its own or not at all.
        """
        if kid_of(mvk) in self.state.authors:
            raise PeerError(Code.NOT_ALLOWED, "this key is no longer in the meeting")
        self._gated[kid_of(mvk)] = mvk

    def forget(self, mvk: VerifyKey) -> None:
        """Forget a key that only the gate vouched for; it has gone."""
        self._gated.pop(kid_of(mvk), None)

    def role(self, mvk: VerifyKey) -> Role | None:
        """Return what `mvk` may do here, None for nothing."""
        kid = kid_of(mvk)
        if self.is_over:
            return None
        if self.members.get(kid) == mvk:
            return Role.MEMBER
        return Role.REQUESTER if self._requester(kid) == mvk else None

    def in_slot(self, slot: int) -> VerifyKey | None:
        """Return the key of the member in a slot."""
        member = self.state.roster.get(slot)
        return None if member is None else member.mvk

    def receivers(self, sender: VerifyKey, to: Kid | None) -> list[VerifyKey]:
        """Return whom a post of `sender` goes to; PeerError(NOT_ALLOWED)."""
        found: VerifyKey | None = None
        match self.role(sender):
            case Role.MEMBER if to is None:
                return [mvk for mvk in self.members.values() if mvk != sender]
            case Role.MEMBER if to is not None:
                found = self.members.get(to)
                if found is None and sender == self.leader:
                    found = self._requester(to)
            case Role.REQUESTER if self.leader and to == kid_of(self.leader):
                found = self.leader
        if found is None:
            raise PeerError(Code.NOT_ALLOWED, "not to this receiver")
        return [found]

    def _index(self) -> None:
        keys = [member.mvk for member in self.state.roster.values()]
        self.members = {kid_of(mvk): mvk for mvk in keys}
        leader = leader_member(self.state)
        self.leader = None if leader is None else leader.mvk

    def _requester(self, kid: Kid) -> VerifyKey | None:
        author = self.state.authors.get(kid)
        if author is None:
            return self._gated.get(kid)
        return author.mvk if author.standing is Standing.ASKING else None

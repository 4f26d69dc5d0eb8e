# SPDX-License-Identifier: Apache-2.0
"""Who may do what in a meeting (spec/meeting.md, section 6)?

One table from (action, policy) to capacities.  Whoever leads acts in a capacity like
everybody else: no rule compares an author with the leader itself.
"""

from collections.abc import Callable, Mapping
from enum import Enum, auto
from typing import Final, TypeAlias

from incamera.protocol.meeting_state import MeetingState, host_ids
from incamera.protocol.policy import Policy, Role
from incamera.protocol.roster import StateMember


class Action(Enum):
    """What only some may do."""

    CHANGE_MEMBERS = auto()
    """Admit, drop and change the key: an epoch."""
    CHANGE_POLICY = auto()
    CHANGE_HOSTS = auto()
    END_MEETING = auto()
    HAND_OUT_KEYS = auto()
    """Seal pairwise keys and tell when to switch."""
    DECLINE = auto()
    GIVE_GATE = auto()
    GIVE_PROOF_KEYS = auto()
    """Those of other members."""


class Capacity(Enum):
    """As what somebody acts: leading, or by a grant of the policy."""

    LEADER = "leader"
    HOST = "host"
    CO_HOST = "co-host"
    MODERATOR = "moderator"
    RECORDER = "recorder"


Capacities: TypeAlias = frozenset[Capacity]
Authority: TypeAlias = Mapping[Action, Callable[[Policy], Capacities]]

_GRANTED: Final = {
    Capacity.CO_HOST: Role.CO_HOST,
    Capacity.MODERATOR: Role.MODERATOR,
    Capacity.RECORDER: Role.RECORDER,
}


def always(*capacities: Capacity) -> Callable[[Policy], Capacities]:
    """Return a cell of the table that does not depend on the policy."""
    allowed = frozenset(capacities)
    return lambda _: allowed


_LEADER: Final = always(Capacity.LEADER)
AUTHORITY: Final[Authority] = {
    Action.CHANGE_MEMBERS: _LEADER,
    Action.CHANGE_POLICY: always(Capacity.LEADER, Capacity.HOST),
    Action.CHANGE_HOSTS: always(Capacity.HOST),
    Action.END_MEETING: _LEADER,
    Action.HAND_OUT_KEYS: _LEADER,
    Action.DECLINE: _LEADER,
    Action.GIVE_GATE: _LEADER,
    Action.GIVE_PROOF_KEYS: _LEADER,
}
"""The table of rules version 1; co-hosts, moderators and recorders may nothing yet."""


def may(
    state: MeetingState,
    member: StateMember | None,
    action: Action,
    *,
    authority: Authority = AUTHORITY,
) -> bool:
    """Return whether `member` (None: somebody outside) may do this now."""
    if member is None:
        return False
    return any(_acts_as(state, member, c) for c in authority[action](state.policy))


def _acts_as(state: MeetingState, member: StateMember, capacity: Capacity) -> bool:
    if capacity is Capacity.LEADER:
        return member.id == state.leader
    if member.slot in state.leaving:
        return False
    if capacity is Capacity.HOST:
        return member.id in host_ids(state)
    role = _GRANTED[capacity]
    return any((g.who, g.role) == (member.id, role) for g in state.policy.grants)

# SPDX-License-Identifier: Apache-2.0
"""What an entry must fulfil in the state it meets (spec/meeting.md, section 6).

Each `check_*` reads and raises; none changes anything.  Status, author, order and term
are columns of the table in `meeting`, and stand there alone.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, assert_never

from incamera.errors import Code, PeerError
from incamera.protocol.authority import Action, may
from incamera.protocol.bodies import (
    MAX_REQUESTS,
    Dismiss,
    Epoch,
    EpochKind,
    Leave,
    PolicyChange,
    Publish,
    Request,
)
from incamera.protocol.entry import Entry
from incamera.protocol.fields import CosignRole
from incamera.protocol.ids import EntryId
from incamera.protocol.meeting_state import (
    Author,
    MeetingState,
    Standing,
    member_by_mvk,
)
from incamera.protocol.policy import Doors, hosts

MAX_NUMBER_STEP: Final = 2**32
"""Epoch numbers one epoch may skip: enough for every refresh and retraction, too few
to burn the numbers up."""


@dataclass(frozen=True, slots=True)
class Situation:
    """An entry, who wrote it, and what it meets."""

    state: MeetingState
    entry: Entry
    author: Author
    """As it stood before this entry."""
    time_ms: int


def illegal(why: str) -> PeerError:
    """Return the error for an entry that this state does not allow."""
    return PeerError(Code.NOT_LEGAL, why)


def check_publish(body: Publish) -> None:
    """A meeting opens before it ends, and nobody has an id to be granted anything."""
    if body.opens_ms >= body.ends_ms:
        raise illegal("ends before it opens")
    if body.policy.grants or body.policy.appointed is not None:
        raise illegal("grants in a publish")


def check_request(at: Situation, body: Request) -> None:
    """Newcomers need open doors and the gate; who left or was lost needs neither."""
    match at.author.standing:
        case Standing.ASKING | Standing.SEATED:
            raise PeerError(Code.DUPLICATE, "already asking or inside")
        case Standing.WITHDRAWN | Standing.REMOVED:
            raise illegal("this key asks no more")
        case Standing.LEFT | Standing.LOST:
            returns = True
        case Standing.STRANGER:
            returns = False
        case _:
            assert_never(at.author.standing)
    if at.state.next_ordinal >= MAX_REQUESTS:
        raise PeerError(Code.FULL, f"more than {MAX_REQUESTS} requests")
    if at.state.policy.doors is Doors.CLOSED and not returns:
        raise PeerError(Code.DOORS_CLOSED, "the doors are closed")
    _check_gate(at, body, returns=returns)


def _check_gate(at: Situation, body: Request, *, returns: bool) -> None:
    if body.cosigns is None:
        if not returns:
            raise PeerError(Code.NO_GATE, "no signature of the gate")
        return
    if [cosign.role for cosign in body.cosigns] != [CosignRole.GATE]:
        raise PeerError(Code.BAD_COSIGNATURE, "a request has the gate's signature only")
    at.entry.verify_cosign(body.cosigns[0], at.state.gate)


def check_epoch(at: Situation, body: Epoch) -> None:
    """One change of members and key on top of the last; its roster is checked later."""
    state = at.state
    if body.prev_epoch != state.last:
        raise PeerError(Code.WRONG_PREV_EPOCH, "not on the last epoch")
    if not state.epoch < body.number <= state.epoch + MAX_NUMBER_STEP:
        raise PeerError(Code.WRONG_EPOCH, "number does not follow the last one")
    dropped = _check_drops(state, body)
    must_be_fresh = state.fresh_needed or dropped or body.supersedes
    if body.kind is EpochKind.RATCHET and must_be_fresh:
        raise PeerError(Code.NOT_FRESH, "only joins may ratchet")
    if state.last in (body.supersedes or ()):
        raise illegal("supersedes an epoch that landed")
    members = len(state.roster) - len(dropped) + len(body.admitted)
    if body.admitted and members > state.members_limit:
        raise PeerError(Code.FULL, f"more than {state.members_limit} members")


def _check_drops(state: MeetingState, body: Epoch) -> frozenset[int]:
    dropped = frozenset(body.left).union(body.lost, body.removed)
    if len(dropped) != len(body.left) + len(body.lost) + len(body.removed):
        raise illegal("a slot is dropped twice")
    if not dropped <= state.roster.keys():
        raise illegal("an empty slot is dropped")
    if not state.leaving.issuperset(body.left):
        raise illegal("dropped as left, but not leaving")
    if any(state.roster[slot].id == state.leader for slot in dropped):
        raise illegal("the leader drops itself")
    if not state.must_drop <= dropped:
        raise illegal("somebody must be dropped and is not")
    return dropped


def check_leave(at: Situation, _body: Leave) -> None:
    """Once, and only by somebody who is inside or asks."""
    match at.author.standing:
        case Standing.SEATED if at.author.index not in at.state.leaving:
            return
        case Standing.ASKING:
            return
    raise illegal("neither inside nor asking")


def check_policy(at: Situation, body: PolicyChange) -> None:
    """The next version; only a host may change who is host."""
    state = at.state
    if body.version != state.policy_version + 1:
        raise PeerError(Code.OUT_OF_SEQUENCE, "not the next policy version")
    changes_hosts = hosts(body.policy) != hosts(state.policy)
    member = member_by_mvk(state, at.author.mvk)
    if changes_hosts and not may(state, member, Action.CHANGE_HOSTS):
        raise illegal("only a host changes the hosts")


def check_dismiss(_at: Situation, _body: Dismiss) -> None:
    """Nothing beyond the table's columns."""


def is_superseded(
    older: EntryId, newer: EntryId, known: Mapping[EntryId, Epoch]
) -> bool:
    """Return whether `newer` replaces `older`, itself or through epochs that it names.

    Each epoch names only those not yet named, at most 8; `known` holds the epochs that
    the caller has seen.  Neither superseding the other is evidence against the leader.
    """
    seen: set[EntryId] = set()
    rest = [newer]
    while rest:
        epoch = known.get(rest.pop())
        named = set(epoch.supersedes or ()) if epoch else set()
        rest += named - seen
        seen |= named
    return older in seen

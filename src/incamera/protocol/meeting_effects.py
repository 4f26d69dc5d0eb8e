# SPDX-License-Identifier: Apache-2.0
"""What becomes of a meeting when a legal entry lands (spec/meeting.md, section 6)."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Final

from incamera.errors import Code, PeerError
from incamera.protocol.bodies import (
    Dismiss,
    Epoch,
    Leave,
    PolicyChange,
    Publish,
    Request,
)
from incamera.protocol.entry import Entry
from incamera.protocol.growing_map import GrowingMap
from incamera.protocol.ids import Kid, MeetingId
from incamera.protocol.meeting_rules import Situation
from incamera.protocol.meeting_state import (
    Author,
    Former,
    Line,
    MeetingState,
    OpenRequest,
    Position,
    Standing,
    Status,
    line_of,
)
from incamera.protocol.roster import StateMember, next_roster, roster_root
from incamera.protocol.signing import kid_of

PUBLISHER_SLOT: Final = 0


def land_publish(entry: Entry, body: Publish, time_ms: int) -> MeetingState:
    """Return the first state: the publisher alone, in term 0 and epoch 0."""
    leader = StateMember(
        slot=PUBLISHER_SLOT,
        id=entry.id,
        mvk=body.mvk,
        tag=body.tag,
        kind=body.kind,
        kem_hash=body.kem_hash,
        code=body.code,
        admitted=0,
        order=0,
    )
    author = Author(mvk=body.mvk, standing=Standing.SEATED, index=PUBLISHER_SLOT)
    return MeetingState(
        rules=body.rules,
        meeting_id=MeetingId(entry.id),
        status=Status.OPEN,
        term=0,
        leader=entry.id,
        last=entry.id,
        epoch=0,
        fresh_needed=True,
        must_drop=frozenset(),
        roster={PUBLISHER_SLOT: leader},
        leaving=frozenset(),
        former=GrowingMap(),
        requests=GrowingMap(),
        next_ordinal=0,
        authors=GrowingMap({entry.header.author: advanced(author, entry)}),
        policy=body.policy,
        policy_version=0,
        members_limit=body.policy.limits.members,
        gate=body.gate,
        lineage=((entry.id, 0),),
        opens_ms=body.opens_ms,
        ends_ms=body.ends_ms,
        time_ms=time_ms,
        gateways=body.gateways,
        fallbacks=body.fallbacks,
    )


def advanced(author: Author, entry: Entry) -> Author:
    """Return the author with the entry counted in its line."""
    after = Position(entry.header.seq + 1, entry.id)
    if line_of(entry.header.type) is Line.LEAD:
        return replace(author, lead=after)
    return replace(author, act=after)


def land_request(at: Situation, body: Request) -> MeetingState:
    """A new ordinal, open."""
    ordinal = at.state.next_ordinal
    request = OpenRequest(
        ordinal=ordinal,
        id=at.entry.id,
        mvk=body.mvk,
        tag=body.tag,
        kem_hash=body.kem_hash,
        kind=body.kind,
        code=body.code,
    )
    author = replace(at.author, standing=Standing.ASKING, index=ordinal)
    return replace(
        at.state,
        requests=at.state.requests.changed({ordinal: request}),
        next_ordinal=ordinal + 1,
        authors=_said(at, author),
        time_ms=at.time_ms,
    )


def land_leave(at: Situation, _body: Leave) -> MeetingState:
    """A member is leaving until the next fresh epoch; a requester has withdrawn."""
    state, index = at.state, at.author.index
    if at.author.standing is Standing.ASKING:
        request = replace(state.requests[index], withdrawn=True)
        author = replace(at.author, standing=Standing.WITHDRAWN)
        return replace(
            state,
            requests=state.requests.changed({index: request}),
            authors=_said(at, author),
            time_ms=at.time_ms,
        )
    leaving = state.leaving | {index}
    return replace(
        state,
        leaving=leaving,
        status=_status_after_leave(state, index, leaving),
        authors=_said(at, at.author),
        time_ms=at.time_ms,
    )


def _status_after_leave(
    state: MeetingState, slot: int, leaving: frozenset[int]
) -> Status:
    if len(leaving) == len(state.roster):
        return Status.ENDED
    if state.roster[slot].id == state.leader:
        return Status.LEADERLESS
    return state.status


def land_policy(at: Situation, body: PolicyChange) -> MeetingState:
    """The new policy; what it does not name stays."""
    state = at.state
    return replace(
        state,
        policy=body.policy,
        policy_version=body.version,
        members_limit=max(state.members_limit, body.policy.limits.members),
        gate=state.gate if body.gate is None else body.gate,
        gateways=state.gateways if body.gateways is None else body.gateways,
        fallbacks=state.fallbacks if body.fallbacks is None else body.fallbacks,
        authors=_said(at, at.author),
        time_ms=at.time_ms,
    )


def land_dismiss(at: Situation, _body: Dismiss) -> MeetingState:
    """Over, for everybody."""
    return replace(
        at.state,
        status=Status.ENDED,
        authors=_said(at, at.author),
        time_ms=at.time_ms,
    )


def land_epoch(at: Situation, body: Epoch) -> MeetingState:
    """The roster, the key's epoch and everybody's standing change together.

    Raises PeerError: NOT_LEGAL or FULL from the roster, WRONG_ROSTER when the entry's
    root is not the one that follows.
    """
    state, dropped = at.state, _dropped(body)
    roster = next_roster(
        state, admitted=body.admitted, dropped=dropped, epoch=body.number
    )
    if roster_root(roster) != body.roster_root:
        raise PeerError(Code.WRONG_ROSTER, "roster root does not follow")
    # Epoch numbers rise, so this one's tells the new members.
    joined = [member for member in roster.values() if member.admitted == body.number]
    return replace(
        state,
        last=at.entry.id,
        epoch=body.number,
        fresh_needed=False,  # a ratchet while it was needed has been refused
        must_drop=state.must_drop - dropped.keys(),
        roster=roster,
        leaving=(state.leaving - dropped.keys()) | _withdrew(state, joined),
        former=state.former.changed(_former_after(state, body.number, dropped)),
        requests=state.requests.changed(dict.fromkeys(body.admitted)),
        authors=state.authors.changed(_authors_after(at, joined, dropped)),
        members_limit=state.policy.limits.members,
        lineage=(*state.lineage, (at.entry.id, body.number)),
        time_ms=at.time_ms,
    )


def _dropped(body: Epoch) -> dict[int, Standing]:
    return {
        **dict.fromkeys(body.left, Standing.LEFT),
        **dict.fromkeys(body.lost, Standing.LOST),
        **dict.fromkeys(body.removed, Standing.REMOVED),
    }


def _former_after(
    state: MeetingState, number: int, dropped: Mapping[int, Standing]
) -> dict[int, Former | None]:
    gone = ((state.roster[slot], how) for slot, how in dropped.items())
    return {member.order: Former(member, number, how) for member, how in gone}


def _withdrew(state: MeetingState, joined: Sequence[StateMember]) -> frozenset[int]:
    # Who withdrew after the epoch was signed is inside, and on the way out.
    authors = ((member.slot, state.authors[kid_of(member.mvk)]) for member in joined)
    return frozenset(
        slot for slot, author in authors if author.standing is Standing.WITHDRAWN
    )


def _authors_after(
    at: Situation, joined: Sequence[StateMember], dropped: Mapping[int, Standing]
) -> dict[Kid, Author | None]:
    state = at.state
    changes: dict[Kid, Author | None] = {}
    for slot, how in dropped.items():
        member = state.roster[slot]
        kid = kid_of(member.mvk)
        changes[kid] = replace(state.authors[kid], standing=how, index=member.order)
    for member in joined:
        kid = kid_of(member.mvk)
        changes[kid] = replace(
            state.authors[kid], standing=Standing.SEATED, index=member.slot
        )
    changes[at.entry.header.author] = advanced(at.author, at.entry)
    return changes


def _said(at: Situation, author: Author) -> GrowingMap[Kid, Author]:
    return at.state.authors.changed(
        {at.entry.header.author: advanced(author, at.entry)}
    )

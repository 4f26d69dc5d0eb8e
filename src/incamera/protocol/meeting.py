# SPDX-License-Identifier: Apache-2.0
"""Which entry is legal in which state of a meeting (spec/meeting.md, section 6).

One table: a row per entry type says in which status it may land, who may write it,
what else must hold, and what it does.  Everything about legality is found from here.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final, Generic, Protocol, TypeVar

from incamera.errors import Code, PeerError
from incamera.protocol import meeting_rules as rules
from incamera.protocol.authority import Action, may
from incamera.protocol.bodies import (
    Body,
    Dismiss,
    Epoch,
    Leave,
    PolicyChange,
    Publish,
    Request,
)
from incamera.protocol.context import Context
from incamera.protocol.entry import Entry
from incamera.protocol.ids import EntryId
from incamera.protocol.meeting_effects import (
    land_dismiss,
    land_epoch,
    land_leave,
    land_policy,
    land_publish,
    land_request,
)
from incamera.protocol.meeting_rules import Situation, illegal
from incamera.protocol.meeting_state import (
    Author,
    Line,
    MeetingState,
    Standing,
    Status,
    is_over,
    line_of,
    member_by_mvk,
)
from incamera.protocol.signing import kid_of

B = TypeVar("B", bound=Request | Epoch | Leave | PolicyChange | Dismiss)


@dataclass(frozen=True, slots=True)
class Row(Generic[B]):
    """The rule for one type of entry."""

    body: type[B]
    statuses: frozenset[Status]
    action: Action | None
    """What its author must be allowed to do; None: whoever holds the key may."""
    check: Callable[[Situation, B], None]
    land: Callable[[Situation, B], MeetingState]

    def judge(self, at: Situation) -> MeetingState:
        """Return the state after the entry; status, author and order hold already."""
        body = at.entry.body
        assert isinstance(body, self.body)  # the row was found by the body's type
        self.check(at, body)
        at.entry.verify(at.author.mvk)
        return self.land(at, body)


class AnyRow(Protocol):
    """A row whose body's type does not matter."""

    @property
    def statuses(self) -> frozenset[Status]:
        """In which status the entry may land."""

    @property
    def action(self) -> Action | None:
        """What its author must be allowed to do."""

    def judge(self, at: Situation) -> MeetingState:
        """Return the state after the entry, or raise PeerError."""


_LED: Final = frozenset({Status.OPEN})
_RUNNING: Final = frozenset({Status.OPEN, Status.LEADERLESS})

_REQUEST: Final = Row(
    Request, _RUNNING, None, check=rules.check_request, land=land_request
)
_EPOCH: Final = Row(
    Epoch, _LED, Action.CHANGE_MEMBERS, check=rules.check_epoch, land=land_epoch
)
_LEAVE: Final = Row(Leave, _RUNNING, None, check=rules.check_leave, land=land_leave)
_POLICY: Final = Row(
    PolicyChange,
    _LED,
    Action.CHANGE_POLICY,
    check=rules.check_policy,
    land=land_policy,
)
_DISMISS: Final = Row(
    Dismiss, _LED, Action.END_MEETING, check=rules.check_dismiss, land=land_dismiss
)
TABLE: Final[Mapping[type, AnyRow]] = {
    row.body: row for row in (_REQUEST, _EPOCH, _LEAVE, _POLICY, _DISMISS)
}
"""Every row. A publish is legal only where there is no state yet."""


def open_meeting(entry: Entry, body: Publish, context: Context) -> MeetingState:
    """Return the state after a publish, a topic's first entry.

    Raises PeerError: WRONG_AUTHOR, NOT_LEGAL, ENDED, BAD_SIGNATURE.
    """
    if entry.header.author != kid_of(body.mvk):
        raise PeerError(Code.WRONG_AUTHOR, "not by the key it names")
    rules.check_publish(body)
    if context.time_ms >= body.ends_ms:
        raise PeerError(Code.ENDED, "over before it was published")
    entry.verify(body.mvk)
    return land_publish(entry, body, context.time_ms)


def apply_meeting(state: MeetingState, entry: Entry, context: Context) -> MeetingState:
    """Return the state after any later entry; raises PeerError, see `topic.apply`."""
    if entry.id == EntryId(state.meeting_id):
        raise PeerError(Code.DUPLICATE, "published already")
    if entry.header.place != state.meeting_id:
        raise PeerError(Code.WRONG_PLACE, "for another meeting")
    row = TABLE.get(type(entry.body))
    if row is None:
        raise illegal("not an entry inside a meeting")
    _check_time(state, context.time_ms)
    if state.status not in row.statuses:
        raise illegal(f"while {state.status.name.lower()}")
    author = _author(state, entry)
    _check_allowed(state, author, row.action)
    _check_order(author, entry)
    _check_term(state, entry.body)
    return row.judge(Situation(state, entry, author, context.time_ms))


def _check_time(state: MeetingState, time_ms: int) -> None:
    if is_over(state, time_ms):
        raise PeerError(Code.ENDED, "the meeting is over")
    if time_ms < state.time_ms:
        raise illegal("ledger time runs backwards")


def _author(state: MeetingState, entry: Entry) -> Author:
    # A known key id brings its own key: another key with that id cannot sign for it.
    known, body = state.authors.get(entry.header.author), entry.body
    if isinstance(body, Request):
        if kid_of(body.mvk) != entry.header.author:
            raise PeerError(Code.WRONG_AUTHOR, "not by the key it names")
        return known or Author(mvk=body.mvk, standing=Standing.STRANGER, index=0)
    if known is None:
        raise PeerError(Code.WRONG_AUTHOR, "not a key of this meeting")
    return known


def _check_allowed(state: MeetingState, author: Author, action: Action | None) -> None:
    if action is None:
        return
    if not may(state, member_by_mvk(state, author.mvk), action):
        raise PeerError(Code.WRONG_AUTHOR, f"may not {action.name.lower()}")


def _check_order(author: Author, entry: Entry) -> None:
    leads = line_of(entry.header.type) is Line.LEAD
    position = author.lead if leads else author.act
    if (entry.header.seq, entry.header.prev) != (position.seq, position.prev):
        raise PeerError(Code.OUT_OF_SEQUENCE, "not the author's next entry")


def _check_term(state: MeetingState, body: Body) -> None:
    if isinstance(body, Epoch | PolicyChange | Dismiss) and body.term != state.term:
        raise PeerError(Code.WRONG_TERM, "of another term")

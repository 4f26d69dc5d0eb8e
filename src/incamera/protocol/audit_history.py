# SPDX-License-Identifier: Apache-2.0
"""What happened in a meeting, by entry and by person (spec/audit.md, section 4).

The chronicle is told each legal entry with the states before and after it.  It judges
nothing: what it notes has been accepted by the rules.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import TypeAlias, assert_never

from incamera.errors import Code
from incamera.protocol.bodies import (
    Dismiss,
    Epoch,
    EpochKind,
    Leave,
    MeetingBody,
    MemberKind,
    PolicyChange,
    Publish,
    Request,
    UserRoot,
)
from incamera.protocol.entry import Entry
from incamera.protocol.identity import Identified
from incamera.protocol.ids import EntryId, UserId, UserTag
from incamera.protocol.index_set import IndexSet
from incamera.protocol.meeting_state import MeetingState, Standing, host_ids
from incamera.protocol.policy import Doors
from incamera.protocol.signing import kid_of


@dataclass(frozen=True, slots=True)
class Published:
    """The meeting began; its author leads it, from slot 0."""

    doors: Doors


@dataclass(frozen=True, slots=True)
class Asked:
    """Somebody asked to come in."""

    ordinal: int
    was: EntryId | None
    """Its earlier publish or request, where this key was inside before."""


@dataclass(frozen=True, slots=True)
class Withdrew:
    """Somebody who had asked asks no more."""


@dataclass(frozen=True, slots=True)
class Left:
    """A member said that it leaves; it holds the key until a fresh epoch."""

    slot: int


@dataclass(frozen=True, slots=True)
class Seat:
    """Who came into a slot, or went out of it."""

    slot: int
    entry: EntryId


@dataclass(frozen=True, slots=True, kw_only=True)
class EpochBegan:
    """A new key, and who has it from now on or no more."""

    number: int
    kind: EpochKind
    let_in: tuple[Seat, ...]
    left: tuple[Seat, ...]
    lost: tuple[Seat, ...]
    removed: tuple[Seat, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class PolicyChanged:
    """The meeting's rules for itself; None and False: as they were."""

    version: int
    doors: Doors | None
    gate: bool
    """Links given out before let nobody in any more."""
    hosts: tuple[EntryId, ...] | None


@dataclass(frozen=True, slots=True)
class Dismissed:
    """The meeting ended for everybody."""

    reason: int


@dataclass(frozen=True, slots=True)
class Refused:
    """An entry that the rules refuse, on a ledger that does not check; no effect."""

    code: Code


Happening: TypeAlias = (
    Published
    | Asked
    | Withdrew
    | Left
    | EpochBegan
    | PolicyChanged
    | Dismissed
    | Refused
)


@dataclass(frozen=True, slots=True)
class Step:
    """What one entry did, at its ledger time."""

    index: int
    time_ms: int
    by: EntryId | None
    """Publish or request id of who did it; None where the rules refused it."""
    what: Happening


@dataclass(frozen=True, slots=True)
class Moment:
    """The epoch with which something took effect, and its ledger time."""

    epoch: int
    time_ms: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Person:
    """Somebody behind one meeting key."""

    entry: EntryId
    """Id of its publish or request."""
    ordinal: int | None
    """Number of the request; None for the publisher."""
    kind: MemberKind
    tag: UserTag
    asked_ms: int
    slot: int | None = None
    """Its seat; None: never let in."""
    entered: Moment | None = None
    left_ms: int | None = None
    """When it said that it leaves, or withdrew."""
    gone: Moment | None = None
    """From when on it had no key."""
    how: Standing | None = None
    """LEFT, LOST or REMOVED, once gone."""
    identified: Identified | None = None
    """Proven where the file opens its identity; the name inside is its own claim."""
    own_name: str | None = None
    """What the exporter calls this user; proven by nothing."""


class Chronicle:
    """Collects the history while the record is replayed."""

    def __init__(self) -> None:
        self.steps: list[Step] = []
        self.title: str | None = None
        self._people: dict[EntryId, Person] = {}

    def refused(self, index: int, time_ms: int, code: Code) -> None:
        """Note an entry without effect."""
        self.steps.append(Step(index, time_ms, None, Refused(code)))

    def note(
        self,
        entry: Entry,
        *,
        index: int,
        before: MeetingState | None,
        after: MeetingState,
    ) -> None:
        """Note a legal entry, by the states around it."""
        body, by = entry.body, _speaker(entry, before)
        assert not isinstance(body, UserRoot)  # no entry of a meeting
        what = self._happened(body, by, before=before or after, after=after)
        self.steps.append(Step(index, after.time_ms, by, what))

    def people(
        self, identities: Mapping[EntryId, Identified], names: Mapping[UserId, str]
    ) -> tuple[Person, ...]:
        """Return everybody, with the identities proven and the names given."""
        return tuple(
            _named(person, identities.get(person.entry), names)
            for person in self._people.values()
        )

    def _happened(
        self,
        body: MeetingBody,
        by: EntryId,
        *,
        before: MeetingState,
        after: MeetingState,
    ) -> Happening:
        match body:
            case Publish():
                return self._published(body, by, after)
            case Request():
                return self._asked(body, by, before=before, after=after)
            case Leave():
                return self._left(by, after)
            case Epoch():
                return self._began(body, before, after)
            case PolicyChange():
                return _policy_changed(body, before, after)
            case Dismiss():
                return Dismissed(body.reason)
        assert_never(body)

    def _published(self, body: Publish, by: EntryId, after: MeetingState) -> Published:
        self.title = body.info if isinstance(body.info, str) else None
        leader = _person(body, by, None, asked_ms=after.time_ms)
        start = Moment(after.epoch, after.time_ms)
        self._people[by] = replace(leader, slot=after.roster[0].slot, entered=start)
        return Published(body.policy.doors)

    def _asked(
        self, body: Request, by: EntryId, *, before: MeetingState, after: MeetingState
    ) -> Asked:
        ordinal = before.next_ordinal
        self._people[by] = _person(body, by, ordinal, asked_ms=after.time_ms)
        author = before.authors.get(kid_of(body.mvk))
        # Of the keys that have spoken, only one that was inside may ask again.
        was = None if author is None else before.former[author.index].member.id
        return Asked(ordinal, was)

    def _left(self, by: EntryId, after: MeetingState) -> Withdrew | Left:
        person = replace(self._people[by], left_ms=after.time_ms)
        self._people[by] = person
        return Withdrew() if person.slot is None else Left(person.slot)

    def _began(
        self, body: Epoch, before: MeetingState, after: MeetingState
    ) -> EpochBegan:
        now = Moment(body.number, after.time_ms)
        let_in = [m for m in after.roster.values() if m.admitted == body.number]
        for member in let_in:
            known = self._people[member.id]
            self._people[member.id] = replace(known, slot=member.slot, entered=now)
        return EpochBegan(
            number=body.number,
            kind=body.kind,
            let_in=tuple(Seat(m.slot, m.id) for m in let_in),
            left=self._dropped(body.left, Standing.LEFT, before, now=now),
            lost=self._dropped(body.lost, Standing.LOST, before, now=now),
            removed=self._dropped(body.removed, Standing.REMOVED, before, now=now),
        )

    def _dropped(
        self, slots: IndexSet, how: Standing, before: MeetingState, *, now: Moment
    ) -> tuple[Seat, ...]:
        seats = tuple(Seat(slot, before.roster[slot].id) for slot in slots)
        for seat in seats:
            known = self._people[seat.entry]
            self._people[seat.entry] = replace(known, gone=now, how=how)
        return seats


def _speaker(entry: Entry, before: MeetingState | None) -> EntryId:
    """Return the publish or request under which the author is known."""
    if before is None or isinstance(entry.body, Request):
        return entry.id
    author = before.authors[entry.header.author]
    if author.standing is Standing.SEATED:
        return before.roster[author.index].id
    return before.requests[author.index].id


def _person(
    body: Publish | Request, by: EntryId, ordinal: int | None, *, asked_ms: int
) -> Person:
    return Person(
        entry=by, ordinal=ordinal, kind=body.kind, tag=body.tag, asked_ms=asked_ms
    )


def _named(
    person: Person, identified: Identified | None, names: Mapping[UserId, str]
) -> Person:
    if identified is None:
        return person
    own = names.get(identified.user_id)
    return replace(person, identified=identified, own_name=own)


def _policy_changed(
    body: PolicyChange, before: MeetingState, after: MeetingState
) -> PolicyChanged:
    doors, hosts = after.policy.doors, host_ids(after)
    return PolicyChanged(
        version=body.version,
        doors=None if doors is before.policy.doors else doors,
        gate=after.gate != before.gate,
        hosts=None if hosts == host_ids(before) else tuple(sorted(hosts)),
    )

# SPDX-License-Identifier: Apache-2.0
"""What does an audit file prove about a meeting (spec/audit.md, section 3)?

Everything is checked from the file alone: the record is the one whose head the ledger
signed, each entry is judged by the rules at its own time, and each opened identity is
held against the entry that it belongs to.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import Enum

from incamera.errors import Code, LedgerError, PeerError
from incamera.protocol.audit_file import AuditFile, Opened, parse_audit
from incamera.protocol.audit_history import (
    Chronicle,
    Person,
    Refused,
    Step,
)
from incamera.protocol.bodies import Publish, Request
from incamera.protocol.context import RULES, Context
from incamera.protocol.descriptor import ledger_id_of, parse_descriptor
from incamera.protocol.entry import Entry, parse_entry
from incamera.protocol.identity import Expected, Identified, verify_identity
from incamera.protocol.ids import EntryId, LedgerId, MeetingId, UserId
from incamera.protocol.meeting_state import MeetingState, is_over
from incamera.protocol.proof import (
    EMPTY_HEAD,
    ProvenHead,
    Record,
    Strength,
    fold_head,
    parse_proof,
    verify_proof,
)
from incamera.protocol.statement import Purpose
from incamera.protocol.topic import TopicState, apply


class Gap(Enum):
    """What the proofs leave open."""

    ONE_HOST = "one-host"
    """Whoever holds the ledger's key could have shown others another record."""
    PRESENCE = "presence"
    """Being let in is shown; having watched, listened or spoken is not."""
    NOT_OVER = "not-over"
    """The meeting went on, or may have, after the time of the proof."""
    UNOPENED = "unopened"
    """People whose identity the file does not open."""
    CLAIMED_NAMES = "claimed-names"
    """Names that their owners claim."""
    OWN_NAMES = "own-names"
    """Names that the exporter gave."""
    KEPT_KEY = "kept-key"
    """Members that left, and no fresh key followed in the record."""
    TAG_CONFLICT = "tag-conflict"
    """One user under two tags, or two users under one."""
    REFUSED = "refused"
    """Entries without effect, on a ledger that does not check."""


@dataclass(frozen=True, slots=True)
class Missing:
    """A gap, and how many people or entries it is about (1 where it is about all)."""

    gap: Gap
    count: int = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class History:
    """A meeting's verified record, up to `proven_ms`."""

    meeting: MeetingId
    ledger: LedgerId
    strength: Strength
    """Who must be honest for the record to be the only one."""
    proven_ms: int
    """Ledger time of the checkpoint: later entries are not in the file."""
    made_ms: int
    """When the exporter says that it wrote the file; not proven."""
    count: int
    title: str | None
    """The meeting's info where it stands in clear."""
    leader: EntryId
    over: bool
    """Dismissed, left by all, or past its last hour at `proven_ms`."""
    steps: tuple[Step, ...]
    """One per entry, in the ledger's order."""
    people: tuple[Person, ...]
    """Everybody who published or asked, in that order."""
    missing: tuple[Missing, ...]
    """What the proofs do not show."""


def verify_audit(data: bytes) -> History:
    """Return the history that an audit file proves.

    Raises PeerError: as `parse_audit`; UNKNOWN_RULES, WRONG_LEDGER, WRONG_PLACE (not
    the meeting's record), OMITTED or BAD_PROOF (not the records of the proven head),
    BAD_CHECKPOINT, what `verify_identity` raises, and UNREGISTERED for an opening of
    nobody.  Raises LedgerError(NOT_LEGAL) when a ledger that checks its entries has
    proven one that the rules refuse.
    """
    file = parse_audit(data)
    if file.rules != RULES:
        raise PeerError(Code.UNKNOWN_RULES, f"rules version {file.rules}")
    descriptor = parse_descriptor(file.descriptor)
    if ledger_id_of(file.descriptor) != file.ledger:
        raise PeerError(Code.WRONG_LEDGER, "descriptor of another ledger")
    proven = verify_proof(parse_proof(file.proof), descriptor)
    _check_records(file, proven)
    replay = _Replay(file, checked=descriptor.parameters.checked)
    identities = _identities(file, replay)
    names = {own.user: own.name for own in file.names}
    return _history(file, proven, replay, identities=identities, names=names)


def _history(
    file: AuditFile,
    proven: ProvenHead,
    replay: "_Replay",
    *,
    identities: Mapping[EntryId, Identified],
    names: Mapping[UserId, str],
) -> History:
    chronicle = replay.chronicle
    people = chronicle.people(identities, names)
    over = is_over(replay.state, proven.time_ms)
    return History(
        meeting=file.meeting,
        ledger=file.ledger,
        strength=proven.strength,
        proven_ms=proven.time_ms,
        made_ms=file.made_ms,
        count=proven.count,
        title=chronicle.title,
        leader=replay.state.leader,
        over=over,
        steps=tuple(chronicle.steps),
        people=people,
        missing=_missing(chronicle.steps, people, strength=proven.strength, over=over),
    )


def _missing(
    steps: Sequence[Step],
    people: Sequence[Person],
    *,
    strength: Strength,
    over: bool,
) -> tuple[Missing, ...]:
    """Return what these proofs leave open, the gravest first."""
    known = [person.identified for person in people if person.identified]
    pairs = {(each.user_id, each.tag) for each in known}
    users, tags = len({user for user, _ in pairs}), len({tag for _, tag in pairs})
    kept = [p for p in people if p.entered and p.left_ms is not None and not p.gone]
    counts = {
        Gap.REFUSED: sum(isinstance(step.what, Refused) for step in steps),
        Gap.TAG_CONFLICT: 2 * len(pairs) - users - tags,
        Gap.ONE_HOST: int(strength <= Strength.HOST),
        Gap.NOT_OVER: int(not over),
        Gap.KEPT_KEY: len(kept),
        Gap.UNOPENED: len(people) - len(known),
        Gap.CLAIMED_NAMES: sum(each.info is not None for each in known),
        Gap.OWN_NAMES: sum(person.own_name is not None for person in people),
        Gap.PRESENCE: 1,
    }
    return tuple(Missing(gap, count) for gap, count in counts.items() if count)


def _check_records(file: AuditFile, proven: ProvenHead) -> None:
    """The file's records are all those behind the proven head, in their order."""
    if MeetingId(file.topic) != file.meeting:
        raise PeerError(Code.WRONG_PLACE, "record of another meeting")
    if proven.topic != file.topic:
        raise PeerError(Code.BAD_PROOF, "proof of another topic")
    if len(file.records) < proven.count:
        raise PeerError(Code.OMITTED, "fewer entries than were proven")
    head = EMPTY_HEAD
    for record in file.records:
        head = fold_head(head, record.entry, record.time_ms)
    if (head, len(file.records)) != (proven.head, proven.count):
        raise PeerError(Code.BAD_PROOF, "entries do not lead to the proven head")


class _Replay:
    """Judges each record at its own time, and notes what it did."""

    def __init__(self, file: AuditFile, *, checked: bool) -> None:
        self.chronicle = Chronicle()
        self.came: dict[EntryId, _Arrival] = {}
        self._file, self._checked = file, checked
        self.state = self._run()

    def _run(self) -> MeetingState:
        state: TopicState | None = None
        for index, record in enumerate(self._file.records):
            try:
                entry, after = self._judge(state, index, record)
            except PeerError as error:
                self._refused(index, record, error)
            else:
                self._note(entry, index, state, after=after)
                state = after
        if not isinstance(state, MeetingState):
            raise PeerError(Code.UNKNOWN_TOPIC, "nothing was published")
        return state

    def _judge(
        self, state: TopicState | None, index: int, record: Record
    ) -> tuple[Entry, TopicState]:
        entry = parse_entry(record.entry)
        context = Context(self._file.ledger, RULES, index, record.time_ms)
        return entry, apply(state, entry, context)

    def _note(
        self, entry: Entry, index: int, before: TopicState | None, *, after: TopicState
    ) -> None:
        if not isinstance(after, MeetingState):
            raise PeerError(Code.WRONG_PLACE, "not the record of a meeting")
        if after.meeting_id != self._file.meeting:
            raise PeerError(Code.WRONG_PLACE, "record of another meeting")
        assert before is None or isinstance(before, MeetingState)
        self.chronicle.note(entry, index=index, before=before, after=after)
        if isinstance(entry.body, Publish | Request):
            self.came[entry.id] = _arrival(entry.body, after)

    def _refused(self, index: int, record: Record, error: PeerError) -> None:
        if self._checked:
            message = f"the ledger proved entry {index}, which the rules refuse"
            raise LedgerError(Code.NOT_LEGAL, message) from error
        self.chronicle.refused(index, record.time_ms, error.code)


@dataclass(frozen=True, slots=True)
class _Arrival:
    """What somebody's identity is checked against."""

    expected: Expected
    ordered_ms: int
    minimum: Strength
    """What the policy demanded of home ledgers at that time."""


def _arrival(body: Publish | Request, after: MeetingState) -> _Arrival:
    publishes = isinstance(body, Publish)
    expected = Expected(
        purpose=Purpose.PUBLISH if publishes else Purpose.JOIN,
        subject=body.nonce if publishes else after.meeting_id,
        mvk=body.mvk,
        kem_hash=body.kem_hash,
        tag=body.tag,
        identity=body.identity,
    )
    minimum = Strength(after.policy.minimum_strength)
    return _Arrival(expected, after.time_ms, minimum)


def _identities(file: AuditFile, replay: _Replay) -> dict[EntryId, Identified]:
    """Return who is proven to be behind each entry that the file opens."""
    return {
        opened.entry: _identify(opened, replay.came.get(opened.entry))
        for opened in file.openings
    }


def _identify(opened: Opened, came: _Arrival | None) -> Identified:
    if came is None:
        raise PeerError(Code.UNREGISTERED, "opening of nobody in this record")
    return verify_identity(
        opened.opening,
        expected=came.expected,
        ordered_ms=came.ordered_ms,
        minimum=came.minimum,
    )

# SPDX-License-Identifier: Apache-2.0
"""How a meeting's record is exported, read again and told (spec/audit.md, section 4).

The core says what a file proves; the sentences for people are made here.
"""

import asyncio
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Final, assert_never

from incamera.errors import Code, PeerError, UsageError
from incamera.node import files
from incamera.node.service import Audit, AuditLine
from incamera.protocol.audit import Gap, History, Missing, verify_audit
from incamera.protocol.audit_file import (
    MAX_AUDIT,
    AuditFile,
    Opened,
    OwnName,
    encode_audit,
)
from incamera.protocol.audit_history import (
    Asked,
    Dismissed,
    EpochBegan,
    Happening,
    Left,
    Person,
    PolicyChanged,
    Published,
    Refused,
    Seat,
    Step,
    Withdrew,
)
from incamera.protocol.bodies import EpochKind, MemberKind
from incamera.protocol.context import RULES
from incamera.protocol.descriptor import ledger_id_of
from incamera.protocol.entry import parse_entry
from incamera.protocol.ids import EntryId, MeetingId, TopicId, UserId
from incamera.protocol.policy import Doors
from incamera.protocol.proof import Proof, Record, encode_proof
from incamera.protocol.statement import IdentityOpening

_SHORT: Final = 12
"""Hex digits of a user id in a sentence."""
_LAST_MS: Final = 253_402_300_799_999
"""The end of the year 9999."""


def make_audit_file(
    *,
    descriptor: bytes,
    topic: TopicId,
    records: Sequence[Record],
    proof: Proof,
    openings: Mapping[EntryId, IdentityOpening],
    made_ms: int,
    names: Mapping[UserId, str] | None = None,
) -> bytes:
    """Return the audit file of a meeting's record, as far as `proof` proves it.

    Records beyond the proof are left out, with their openings.  `openings` tell the
    reader who somebody is: leave out what it is not to know.  Verifies nothing
    (`read_audit` does); raises UsageError: TOO_LARGE, or SCHEMA for names and openings
    out of bounds.
    """
    proven = tuple(records[: proof.count])
    try:
        file = AuditFile(
            meeting=MeetingId(topic),
            rules=RULES,
            made_ms=made_ms,
            descriptor=descriptor,
            ledger=ledger_id_of(descriptor),
            topic=topic,
            records=proven,
            proof=encode_proof(proof),
            openings=tuple(_in_order(proven, openings)),
            names=tuple(OwnName(user=u, name=n) for u, n in (names or {}).items()),
        )
        return encode_audit(file)
    except PeerError as error:
        raise UsageError(error.code, f"cannot export: {error.args[0]}") from error


def _in_order(
    records: Iterable[Record], openings: Mapping[EntryId, IdentityOpening]
) -> list[Opened]:
    # A ledger that does not check may hold one entry twice, or none at all.
    known = dict.fromkeys(filter(None, map(_entry_id, records)))
    return [
        Opened(opening=openings[entry], entry=entry)
        for entry in known
        if entry in openings
    ]


def _entry_id(record: Record) -> EntryId | None:
    try:
        return parse_entry(record.entry).id
    except PeerError:
        return None


def write_audit_file(path: Path, data: bytes) -> None:
    """Make `data` the content of `path`, for its owner only; UsageError(STORAGE)."""
    files.replace(path, data)


async def audit_file(path: Path) -> Audit:
    """Verify an exported record; raises UsageError(STORAGE) and as `read_audit`."""
    return await asyncio.to_thread(_read_file, path)


def _read_file(path: Path) -> Audit:
    try:
        # A pipe or device could keep us waiting for ever.
        if not path.is_file():
            raise UsageError(Code.STORAGE, f"{path} is no file")
        with path.open("rb") as stream:
            data = stream.read(MAX_AUDIT + 1)
    except OSError as error:
        message = f"cannot read {path}: {error.strerror}"
        raise UsageError(Code.STORAGE, message) from error
    return read_audit(data)


def read_audit(data: bytes) -> Audit:
    """Verify an audit file and tell it in words; raises as `verify_audit`."""
    return describe_history(verify_audit(data))


def describe_history(history: History) -> Audit:
    """Return a verified history in words."""
    words = _Words(history.people)
    return Audit(
        meeting=history.meeting.hex(),
        title=_plain(history.title or ""),
        ledger=history.ledger.hex(),
        strength=history.strength.name.lower(),
        entries=[words.line(step) for step in history.steps],
        warnings=[_warning(missing, history) for missing in history.missing],
    )


_KINDS: Final = {
    MemberKind.GUEST: "guest",
    MemberKind.BOT: "bot",
    MemberKind.RECORDER: "recorder",
    MemberKind.ROOM: "room",
}
_TYPES: Final[Mapping[type, str]] = {
    Published: "publish",
    Asked: "request",
    Withdrew: "leave",
    Left: "leave",
    EpochBegan: "epoch",
    PolicyChanged: "policy",
    Dismissed: "dismiss",
    Refused: "refused",
}
_DID: Final[Mapping[type, str]] = {
    Withdrew: "asks no more",
    Left: "left",
    Dismissed: "ended the meeting for everybody",
}
_DOORS: Final = {
    Doors.OPEN: "open",
    Doors.CLOSED: "closed",
    Doors.KNOWN_DOMAIN: "open to known domains",
}
_KEYS: Final = {
    EpochKind.FRESH: "a fresh key",
    EpochKind.RATCHET: "a key that follows from the last one",
}


class _Words:
    """Words steps, with everybody named as far as the file allows."""

    def __init__(self, people: Iterable[Person]) -> None:
        self._names = {person.entry: _name(person) for person in people}

    def line(self, step: Step) -> AuditLine:
        """Return one entry in words."""
        who = "" if step.by is None else self._names[step.by]
        return AuditLine(
            index=step.index,
            time_ms=step.time_ms,
            type=_TYPES[type(step.what)],
            text=self._sentence(who, step.what),
        )

    def _sentence(self, who: str, what: Happening) -> str:
        match what:
            case Published(doors):
                return f"{who} published and leads it; the doors are {_DOORS[doors]}"
            case Asked(was=was):
                back = "in" if was is None else f"back, as {self._names[was]} before"
                return f"{who} asked to come {back}"
            case Withdrew() | Left() | Dismissed():
                return f"{who} {_DID[type(what)]}"
            case EpochBegan():
                return self._epoch(who, what)
            case PolicyChanged():
                return self._policy(who, what)
            case Refused(code):
                return f"an entry against the rules, without effect: {code.value}"
        assert_never(what)

    def _epoch(self, who: str, what: EpochBegan) -> str:
        changes = {
            "let in": what.let_in,
            "locked out after leaving": what.left,
            "locked out as lost": what.lost,
            "removed": what.removed,
        }
        parts = [f"{how} {self._all(seats)}" for how, seats in changes.items() if seats]
        began = f"{who} began epoch {what.number} with {_KEYS[what.kind]}"
        return "; ".join([began, *parts])

    def _policy(self, who: str, what: PolicyChanged) -> str:
        parts = [f"{who} changed the meeting's rules (version {what.version})"]
        if what.doors is not None:
            parts.append(f"the doors are {_DOORS[what.doors]}")
        if what.gate:
            parts.append("older links let nobody in")
        if what.hosts is not None:
            named = (self._names.get(host, "somebody unknown") for host in what.hosts)
            parts.append(f"host is {', '.join(named)}")
        return "; ".join(parts)

    def _all(self, seats: Iterable[Seat]) -> str:
        return ", ".join(self._names[seat.entry] for seat in seats)


def _name(person: Person) -> str:
    """Return `"Alice" (user 1abd36807b94, slot 2)`, or somebody by slot."""
    known, details = person.identified, []
    if person.own_name is not None:
        details.append(f'exporter\'s name "{_plain(person.own_name)}"')
    if known is not None:
        details.append(f"user {known.user_id.hex()[:_SHORT]}")
    if person.slot is not None:
        details.append(f"slot {person.slot}")
    if person.ordinal is not None:
        details.append(f"request {person.ordinal}")
    if person.kind in _KINDS:
        details.append(_KINDS[person.kind])
    claimed = None if known is None else known.info
    name = "somebody" if claimed is None else f'"{_plain(claimed)}"'
    return f"{name} ({', '.join(details)})"


def _plain(text: str) -> str:
    """Return a text that forges neither lines nor the end of its quotation."""
    shown = (c if c.isprintable() else "\N{REPLACEMENT CHARACTER}" for c in text)
    return "".join(shown).replace('"', "'")


def _warning(missing: Missing, history: History) -> str:
    """Return in words what the proofs leave open."""
    template, until = _WARNINGS[missing.gap], _moment(history.proven_ms)
    return template.format(count=missing.count, until=until)


def _moment(time_ms: int) -> str:
    # A ledger may claim any time, also one that no calendar reaches.
    if time_ms > _LAST_MS:
        return f"{time_ms} ms"
    return f"{datetime.fromtimestamp(time_ms // 1000, UTC):%Y-%m-%d %H:%M:%S}Z"


_WARNINGS: Final[Mapping[Gap, str]] = {
    Gap.REFUSED: "entries against the rules on this ledger, without effect: {count}",
    Gap.TAG_CONFLICT: (
        "one user under two tags or two under one, which honest leaders do not admit:"
        " {count}"
    ),
    Gap.ONE_HOST: (
        "one key alone signs this ledger: its holder could have set other times, and"
        " shown others another record"
    ),
    Gap.NOT_OVER: "the record is proven until {until}; the meeting was not over then",
    Gap.KEPT_KEY: (
        "members that left and that no fresh key locked out in this record: {count}"
    ),
    Gap.UNOPENED: (
        "people whose identity this file does not open, told by slot or request:"
        " {count}"
    ),
    Gap.CLAIMED_NAMES: (
        "names that their owners claim, where only the user id is proven: {count}"
    ),
    Gap.OWN_NAMES: "names given by the exporter, which nothing proves: {count}",
    Gap.PRESENCE: (
        "shown is who was let in and had keys, not who watched, listened or spoke"
    ),
}

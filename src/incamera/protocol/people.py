# SPDX-License-Identifier: Apache-2.0
"""Who the others are, as far as this member has checked (spec/meeting.md, section 5).

Every member checks every member.  What publish and request say about somebody is
noted as the record is read; the proof comes from the gateway, sealed under a key that
its owner gives to the group.  Nothing here changes the meeting's state: whoever does
not check out stays marked.
"""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import assert_never

from incamera.errors import Code, PeerError
from incamera.protocol.box import PROOF_BOX, open_proof
from incamera.protocol.effects import Checked, CheckFailed, Event, FetchBlob
from incamera.protocol.encoding import MAX_MESSAGE, Value, parse
from incamera.protocol.identity import Expected, Identified, verify_identity
from incamera.protocol.ids import EntryId, Kid, MeetingId
from incamera.protocol.message import parse_sealed_message
from incamera.protocol.message_bodies import IdentityMessage
from incamera.protocol.secret import Secret
from incamera.protocol.signing import kid_of
from incamera.protocol.snapshot import SnapshotReader, SnapshotWriter
from incamera.protocol.statement import IdentityOpening, parse_opening

BLOB_RETRY_MS = 2_000
"""Pause before a missing proof is fetched again: its owner may still be storing it."""


@dataclass(frozen=True, slots=True)
class Person:
    """What publish or request said, and what came of checking it."""

    entry: EntryId
    expected: Expected
    ordered_ms: int
    proof_key: Secret | None = None
    result: Identified | Code | None = None

    @property
    def kid(self) -> Kid:
        """The key id of the person's meeting key."""
        return kid_of(self.expected.mvk)


class People:
    """Everybody whose publish or request this member has read."""

    def __init__(self, meeting: MeetingId) -> None:
        self._meeting = meeting
        self._known: dict[EntryId, Person] = {}
        self.openings: dict[EntryId, IdentityOpening] = {}
        """Of those who checked out: what an exported record can prove them by."""

    def __contains__(self, entry: EntryId) -> bool:
        return entry in self._known

    def find(self, entry: EntryId) -> Person:
        """Return a person by the id of their publish or request."""
        if entry not in self._known:
            raise PeerError(Code.UNREGISTERED, "nobody of that id")
        return self._known[entry]

    def met(self, entry: EntryId, *, expected: Expected, ordered_ms: int) -> None:
        """Note what somebody's publish or request says."""
        if entry not in self._known:
            self._known[entry] = Person(entry, expected, ordered_ms)

    def learn_key(self, entry: EntryId, key: Secret) -> list[FetchBlob]:
        """Take the key of somebody's stored proof; ask for the proof once."""
        person = self.find(entry)
        if person.proof_key is not None:
            key.wipe()
            return []
        self._known[entry] = replace(person, proof_key=key)
        return [] if isinstance(person.result, Identified) else [self.fetch(person)]

    def fetch(self, person: Person) -> FetchBlob:
        """Return the request for a person's stored proof."""
        return FetchBlob(person.kid.hex())

    def lacking_keys(self, entries: Iterable[EntryId]) -> list[EntryId]:
        """Return those whose proof key has not come."""
        return [e for e in entries if self.find(e).proof_key is None]

    def unchecked(self, entries: Iterable[EntryId]) -> list[Person]:
        """Return those with a key and no verdict: their proof has to be fetched."""
        people = (self.find(entry) for entry in entries)
        return [p for p in people if p.result is None and p.proof_key is not None]

    def check(
        self, entry: EntryId, opening: IdentityOpening, among: Iterable[EntryId]
    ) -> Identified:
        """Verify an opening against what its owner's entry says, and note the verdict.

        `among` are the members beside whom this person stands: one user has one tag
        and one tag one user.  Raises PeerError as `verify_identity`, or TAG_CONFLICT;
        the verdict is noted in both cases.
        """
        person = self.find(entry)
        try:
            identified = verify_identity(
                opening, expected=person.expected, ordered_ms=person.ordered_ms
            )
            self._refuse_conflict(identified, entry, among)
        except PeerError as error:
            self._known[entry] = replace(person, result=error.code)
            raise
        self._known[entry] = replace(person, result=identified)
        self.openings[entry] = opening
        return identified

    def got_blob(
        self, name: str, data: bytes, among: Iterable[EntryId]
    ) -> Event | None:
        """Check a stored proof that was fetched; None if nobody waits for it."""
        person = next((p for p in self._known.values() if p.kid.hex() == name), None)
        if person is None or person.proof_key is None:
            return None
        try:
            opening = self._open(person, data)
            return Checked(person.entry, self.check(person.entry, opening, among))
        except PeerError as error:
            self._known[person.entry] = replace(person, result=error.code)
            return CheckFailed(person.entry, error.code)

    def _open(self, person: Person, data: bytes) -> IdentityOpening:
        assert person.proof_key is not None
        box = PROOF_BOX.decode(parse(data, MAX_MESSAGE))
        if box.meeting != self._meeting or box.owner != person.expected.mvk:
            raise PeerError(Code.BAD_BOX, "proof box of another member or meeting")
        message = parse_sealed_message(open_proof(person.proof_key, box))
        message.verify(person.expected.mvk, self._meeting)
        if not isinstance(message.body, IdentityMessage):
            raise PeerError(Code.BAD_BOX, "proof box holds no identity")
        return parse_opening(message.body.opening)

    def _refuse_conflict(
        self, identified: Identified, entry: EntryId, among: Iterable[EntryId]
    ) -> None:
        for other in among:
            known = self.find(other).result
            if other == entry or not isinstance(known, Identified):
                continue
            same_user = known.user_id == identified.user_id
            if same_user != (known.tag == identified.tag):
                raise PeerError(Code.TAG_CONFLICT, "one user, one tag")

    def forget(self, entry: EntryId) -> None:
        """Erase the proof key of somebody who is gone."""
        person = self._known.get(entry)
        if person is not None and person.proof_key is not None:
            person.proof_key.wipe()
            self._known[entry] = replace(person, proof_key=None)

    def wipe(self) -> None:
        """Erase every proof key."""
        for entry in self._known:
            self.forget(entry)

    def save(self, writer: SnapshotWriter) -> Value:
        """Return the proof keys; all else is read and checked anew after a restart."""
        return [
            [person.entry, writer.put(person.proof_key)]
            for person in self._known.values()
            if person.proof_key is not None
        ]

    @staticmethod
    def load(value: Value, reader: SnapshotReader) -> dict[EntryId, Secret]:
        """Return the saved proof keys, to be learnt once their owners are met."""
        assert isinstance(value, list)
        keys = {}
        for item in value:
            match item:
                case [bytes() as entry, index]:
                    keys[EntryId(entry)] = reader.take(index)
        return keys


def verdict_of(person: Person) -> str:
    """Return a word for lists: "checked", "unchecked" or the code of the failure."""
    match person.result:
        case None:
            return "unchecked"
        case Code() as code:
            return code.value
        case Identified():
            return "checked"
    assert_never(person.result)

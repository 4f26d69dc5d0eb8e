# SPDX-License-Identifier: Apache-2.0
"""Who the others are, as far as one member has checked."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from tests.sim.node import Node
from tests.sim.people import TOOLS
from tests.sim.world import World

from incamera.errors import Code
from incamera.protocol import effects as fx
from incamera.protocol.box import PROOF_BOX, seal_proof
from incamera.protocol.encoding import encode
from incamera.protocol.identity import Identified
from incamera.protocol.ids import EntryId, VerifyKey
from incamera.protocol.message import sign_message
from incamera.protocol.message_bodies import Body, Chat, IdentityMessage
from incamera.protocol.people import People, Person, verdict_of
from incamera.protocol.snapshot import SnapshotReader, SnapshotWriter
from incamera.protocol.statement import encode_opening

Refused = Callable[[Code], Any]


def proof(
    node: Node, body: Body | None = None, owner: VerifyKey | None = None
) -> bytes:
    """A member's stored proof, or another thing in its place."""
    seat = node.seat
    body = body or IdentityMessage(opening=encode_opening(seat.opening))
    message = sign_message(seat.signer, body, meeting=seat.meeting, counter=0, term=0)
    box = seal_proof(
        seat.proof_key,
        message.data,
        meeting=seat.meeting,
        owner=owner or seat.signer.public,
        salt=bytes(16),
    )
    return encode(PROOF_BOX.encode(box))


def strange(meeting: World, name: str = "bob") -> tuple[People, Person]:
    """People to whom somebody is known by the ledger alone."""
    known = meeting.nodes["leader"].room.people.find(meeting.nodes[name].id)
    people = People(meeting.nodes[name].seat.meeting)
    people.met(known.entry, expected=known.expected, ordered_ms=known.ordered_ms)
    return people, people.find(known.entry)


def with_key(meeting: World) -> tuple[People, Person]:
    people, person = strange(meeting)
    fetch = people.learn_key(person.entry, meeting.nodes["bob"].seat.proof_key.copy())
    assert fetch == [fx.FetchBlob(person.kid.hex())]
    return people, person


def test_nobody_is_known_before_they_are_met(refused: Refused) -> None:
    people = People(EntryId(bytes(32)))  # type: ignore[arg-type]  # any 32 bytes
    assert EntryId(bytes(32)) not in people
    with refused(Code.UNREGISTERED):
        people.find(EntryId(bytes(32)))


def test_who_is_met_twice_stays_as_known(meeting: World) -> None:
    people, person = with_key(meeting)
    people.met(person.entry, expected=person.expected, ordered_ms=0)
    assert person.entry in people
    assert people.find(person.entry).ordered_ms == person.ordered_ms
    assert people.lacking_keys([person.entry]) == []


def test_a_stored_proof_is_opened_and_checked(meeting: World) -> None:
    people, person = with_key(meeting)
    assert [p.entry for p in people.unchecked([person.entry])] == [person.entry]
    told = people.got_blob(person.kid.hex(), proof(meeting.nodes["bob"]), [])
    assert isinstance(told, fx.Checked)
    assert told.identified.info == "bob"
    assert people.unchecked([person.entry]) == []


@pytest.mark.parametrize("known", [True, False])
def test_a_proof_that_nobody_waits_for_is_dropped(meeting: World, known: bool) -> None:
    people, person = strange(meeting)
    name = person.kid.hex() if known else "00"
    assert people.got_blob(name, proof(meeting.nodes["bob"]), []) is None
    assert people.lacking_keys([person.entry]) == [person.entry]


@pytest.mark.parametrize("what", ["nonsense", "owner", "chat", "other"])
def test_a_false_proof_marks_its_owner(meeting: World, what: str) -> None:
    people, person = with_key(meeting)
    bob, carol = meeting.nodes["bob"], meeting.nodes["carol"]
    data = {
        "nonsense": b"nonsense",
        "owner": proof(bob, owner=carol.seat.signer.public),
        "chat": proof(bob, Chat(id=bytes(32), text="me")),
        "other": proof(
            bob, IdentityMessage(opening=encode_opening(carol.seat.opening))
        ),
    }[what]
    told = people.got_blob(person.kid.hex(), data, [])
    assert isinstance(told, fx.CheckFailed)
    assert people.find(person.entry).result is told.code


def test_a_second_key_is_not_taken_and_erased(meeting: World) -> None:
    people, person = with_key(meeting)
    second = TOOLS.secret()
    assert people.learn_key(person.entry, second) == []
    assert not any(second.buffer)


def test_who_is_checked_already_needs_no_proof(meeting: World) -> None:
    people, person = strange(meeting)
    people.check(person.entry, meeting.nodes["bob"].seat.opening, [person.entry])
    assert people.learn_key(person.entry, TOOLS.secret()) == []


def test_one_user_has_one_tag(meeting: World, refused: Refused) -> None:
    people, bob = strange(meeting)
    carol = meeting.nodes["leader"].room.people.find(meeting.nodes["carol"].id)
    people.met(carol.entry, expected=carol.expected, ordered_ms=carol.ordered_ms)
    opening = meeting.nodes["bob"].seat.opening
    seen = people.check(bob.entry, opening, [carol.entry])
    people._known[carol.entry] = replace(
        carol, result=replace(seen, tag=carol.expected.tag)
    )
    with refused(Code.TAG_CONFLICT):
        people.check(bob.entry, opening, [bob.entry, carol.entry])
    assert people.find(bob.entry).result is Code.TAG_CONFLICT


def test_a_forgotten_key_is_zero(meeting: World) -> None:
    people, person = with_key(meeting)
    key = people.find(person.entry).proof_key
    assert key is not None
    people.forget(EntryId(bytes(32)))
    people.wipe()
    people.forget(person.entry)
    assert not any(key.buffer)
    assert people.find(person.entry).proof_key is None


def test_proof_keys_are_saved_and_found_again(meeting: World) -> None:
    people, person = with_key(meeting)
    carol = meeting.nodes["leader"].room.people.find(meeting.nodes["carol"].id)
    people.met(carol.entry, expected=carol.expected, ordered_ms=0)
    writer = SnapshotWriter()
    reader = SnapshotReader(writer.finish(people.save(writer)))
    assert People.load(reader.value, reader) == {
        person.entry: meeting.nodes["bob"].seat.proof_key
    }
    assert People.load([None], reader) == {}


def test_a_verdict_has_a_word(meeting: World) -> None:
    _, person = strange(meeting)
    known = meeting.nodes["leader"].room.people.find(person.entry)
    assert isinstance(known.result, Identified)
    assert verdict_of(person) == "unchecked"
    assert verdict_of(known) == "checked"
    assert verdict_of(replace(person, result=Code.BAD_BOX)) == Code.BAD_BOX.value

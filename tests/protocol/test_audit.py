# SPDX-License-Identifier: Apache-2.0
"""What an audit file proves, and that one fault in it proves nothing."""

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from incamera.errors import Code, LedgerError, PeerError
from incamera.protocol.audit import Gap, verify_audit
from incamera.protocol.audit_file import AuditFile, Opened, encode_audit
from incamera.protocol.audit_history import EpochBegan, Refused
from incamera.protocol.identity import MAX_AGE_MS
from incamera.protocol.ids import MeetingId, TopicId
from incamera.protocol.proof import Record, Strength, encode_proof

VECTORS = json.loads(
    (Path(__file__).parents[2] / "spec/vectors/audit.json").read_text()
)["cases"]


@pytest.fixture(scope="session")
def teas(generators: Callable[[str], Any]) -> Any:
    """Meetings to export: `Tea`, `small`, `whole`, `loose`, `prove`..."""
    return generators("audit")


def gaps(file: AuditFile) -> dict[Gap, int]:
    return {m.gap: m.count for m in verify_audit(encode_audit(file)).missing}


@pytest.mark.parametrize("case", VECTORS, ids=lambda case: case["name"])
def test_vectors(case: dict[str, Any], teas: Any) -> None:
    data = bytes.fromhex(case["data"])
    if "expect" in case:
        told = teas.told(verify_audit(data))
        assert json.loads(json.dumps(told)) == case["expect"]
    else:
        with pytest.raises((PeerError, LedgerError)) as caught:
            verify_audit(data)
        assert caught.value.code.value == case["error"]


def test_a_record_that_ledger_and_rules_accept_holds(teas: Any) -> None:
    tea = teas.small()
    history = verify_audit(encode_audit(tea.file()))
    assert history.meeting == tea.now.meeting_id
    assert [step.index for step in history.steps] == [0, 1, 2, 3]
    assert history.strength is Strength.HOST
    assert history.over
    assert [p.identified.info for p in history.people if p.identified] == [
        "Alice",
        "Bob",
    ]


def test_any_changed_byte_of_any_entry_is_noticed(teas: Any) -> None:
    tea = teas.small()
    records, sound = tea.records(), tea.file(openings=())
    for number, record in enumerate(records):
        for at in range(0, len(record.entry), 97):
            entry = bytearray(record.entry)
            entry[at] ^= 1
            changed = list(records)
            changed[number] = replace(record, entry=bytes(entry))
            data = encode_audit(replace(sound, records=tuple(changed)))
            with pytest.raises(PeerError, check=lambda e: e.code is Code.BAD_PROOF):
                verify_audit(data)


def test_the_rules_are_the_verifiers_own(teas: Any) -> None:
    """A ledger that claims to check, and proves what the rules refuse, is caught."""
    tea = teas.Tea().begin()
    tea.history.append((tea.time_ms, teas.Tea().begin().publish("bob")))
    with pytest.raises(LedgerError, check=lambda e: e.code is Code.NOT_LEGAL):
        verify_audit(encode_audit(tea.file()))


def test_refused_entries_change_nothing_where_nobody_checks(teas: Any) -> None:
    history = verify_audit(encode_audit(teas.loose().file()))
    refused = [s.what.code for s in history.steps if isinstance(s.what, Refused)]
    assert refused == [Code.NOT_LEGAL, Code.DUPLICATE]
    assert not any(isinstance(step.what, EpochBegan) for step in history.steps)


def test_a_file_without_a_meeting_is_refused(
    teas: Any, refused: Callable[..., Any]
) -> None:
    tea = teas.Tea(teas.LOOSE).begin()
    sound = tea.file(openings=())
    records = (Record(time_ms=1, entry=b"nothing"),)
    proof = teas.prove(records, sound.topic, ledger=tea.ledger)
    file = replace(sound, records=records, proof=encode_proof(proof))
    with refused(Code.UNKNOWN_TOPIC):
        verify_audit(encode_audit(file))


def test_a_users_topic_is_no_meeting(teas: Any, refused: Callable[..., Any]) -> None:
    records = (Record(time_ms=1, entry=teas.ROOT.data),)
    topic = TopicId(teas.ROOT.id)
    file = teas.small().file(
        meeting=MeetingId(topic),
        topic=topic,
        records=records,
        proof=encode_proof(teas.prove(records, topic)),
        openings=(),
    )
    with refused(Code.WRONG_PLACE):
        verify_audit(encode_audit(file))


def test_a_meeting_under_anothers_name_is_refused(
    teas: Any, refused: Callable[..., Any]
) -> None:
    tea, other = teas.small(), MeetingId(bytes(32))
    proof = teas.prove(tea.records(), TopicId(other))
    file = tea.file(meeting=other, topic=TopicId(other), proof=encode_proof(proof))
    with refused(Code.WRONG_PLACE):
        verify_audit(encode_audit(file))


def test_an_absence_proves_no_records(teas: Any, refused: Callable[..., Any]) -> None:
    tea = teas.small()
    proof = replace(
        teas.prove(tea.records(), TopicId(bytes(32))),
        topic=TopicId(tea.now.meeting_id),
        head=None,
        count=0,
    )
    with refused(Code.BAD_PROOF):
        verify_audit(encode_audit(tea.file(proof=encode_proof(proof), records=())))


def test_identities_are_judged_at_their_entrys_time(
    teas: Any, refused: Callable[..., Any]
) -> None:
    tea = teas.Tea().begin()
    late = teas.Tea().begin()
    late.time_ms += MAX_AGE_MS + 1
    opening = tea.opening("bob", teas.Purpose.JOIN, tea.now.meeting_id)
    identity = teas.identity_commitment(opening.nonce, opening.statement)
    for scene in (tea, late):
        scene.land(scene.request("bob", identity=identity))
        scene.openings[scene.history[-1][1].id] = opening
    verify_audit(encode_audit(tea.file()))
    with refused(Code.STALE_IDENTITY):
        verify_audit(encode_audit(late.file()))


def test_home_ledgers_are_as_strong_as_the_policy_demands(
    teas: Any, meetings: Any, refused: Callable[..., Any]
) -> None:
    policy = replace(meetings.POLICY, minimum_strength=2)
    file = teas.Tea().begin(policy=policy).file()
    with refused(Code.WEAK_LEDGER):
        verify_audit(encode_audit(file))
    verify_audit(encode_audit(replace(file, openings=())))


def test_what_the_proofs_leave_open_is_said(teas: Any) -> None:
    tea = teas.Tea().begin().ask("bob").ask("cyd")
    tea.land(tea.epoch(admit=[0, 1]), tea.leave("bob"))
    assert gaps(tea.file()) == {
        Gap.ONE_HOST: 1,
        Gap.NOT_OVER: 1,
        Gap.KEPT_KEY: 1,
        Gap.UNOPENED: 1,
        Gap.CLAIMED_NAMES: 2,
        Gap.PRESENCE: 1,
    }
    tea.land(tea.epoch(left=[1]), tea.dismiss())
    assert gaps(tea.file(openings=())) == {
        Gap.ONE_HOST: 1,
        Gap.UNOPENED: 3,
        Gap.PRESENCE: 1,
    }


def test_a_meeting_past_its_end_is_over(teas: Any) -> None:
    tea = teas.Tea().begin()
    assert Gap.NOT_OVER in gaps(tea.file())
    _, entry = tea.history[0]
    tea.history[0] = (tea.now.ends_ms - 1, entry)
    assert Gap.NOT_OVER not in gaps(tea.file(openings=()))


def test_one_user_under_two_tags_is_told(teas: Any, monkeypatch: Any) -> None:
    monkeypatch.setitem(teas.USERS, "dan", teas.CLEAR)
    tea = teas.Tea().begin().ask("bob").ask("dan")
    assert gaps(tea.file())[Gap.TAG_CONFLICT] == 1
    (_, first, _) = tea.openings.items()
    alone = tea.file(openings=(Opened(opening=first[1], entry=first[0]),))
    assert Gap.TAG_CONFLICT not in gaps(alone)

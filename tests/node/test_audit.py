# SPDX-License-Identifier: Apache-2.0
"""How a record is exported, read from a file, and worded for people."""

import importlib
import os
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from incamera.errors import Code, IncameraError
from incamera.node.audit import (
    audit_file,
    describe_history,
    make_audit_file,
    read_audit,
    write_audit_file,
)
from incamera.protocol.audit import verify_audit
from incamera.protocol.audit_file import MAX_AUDIT, parse_audit
from incamera.protocol.bodies import MemberKind
from incamera.protocol.ids import TopicId
from incamera.protocol.policy import Grant, Role

HOME = Path(__file__).parents[2]


def code(expected: Code) -> Any:
    return pytest.raises(IncameraError, check=lambda error: error.code is expected)


@pytest.fixture(scope="session")
def teas() -> Any:
    """Meetings to export: the same that the vectors are made of."""
    if str(HOME) not in sys.path:
        sys.path.insert(0, str(HOME))
    return importlib.import_module("spec.generators.audit")


def export(teas: Any, tea: Any, **changes: Any) -> bytes:
    topic = TopicId(tea.now.meeting_id)
    given = {
        "descriptor": tea.descriptor,
        "topic": topic,
        "records": tea.records(),
        "proof": teas.prove(tea.records(), topic, ledger=tea.ledger),
        "openings": tea.openings,
        "made_ms": tea.time_ms,
        **changes,
    }
    return make_audit_file(**given)


def sentences(teas: Any, tea: Any, **changes: Any) -> list[str]:
    audit = read_audit(export(teas, tea, **changes))
    return [line["text"] for line in audit["entries"]]


def test_a_meeting_reads_as_it_went(teas: Any) -> None:
    tea = teas.whole()
    user = teas.CLEAR.id.hex()[:12]
    told = sentences(teas, tea)
    alice = f'"Alice" (user {teas.ROOT.id.hex()[:12]}, slot 0)'
    bob = f'"Bob" (user {user}, slot 1, request 0)'
    dan = "somebody (slot 3, request 2)"
    assert told[0] == f"{alice} published and leads it; the doors are open"
    assert told[1] == f"{bob} asked to come in"
    assert told[5] == "somebody (request 3) asks no more"
    assert told[6].startswith(f"{alice} began epoch 1 with a fresh key; let in {bob}, ")
    assert told[7] == f"{bob} left"
    assert told[8].endswith(f"locked out after leaving {bob}; locked out as lost {dan}")
    assert told[9].endswith("rules (version 1); the doors are closed")
    again = "somebody (slot 1, request 4)"
    assert told[10] == f"{again} asked to come back, as {dan} before"
    assert told[11].endswith(f"let in {again}; removed somebody (slot 2, request 1)")
    assert told[12] == f"{alice} ended the meeting for everybody"


def test_the_reply_has_what_the_service_promises(teas: Any) -> None:
    tea = teas.whole()
    audit = read_audit(export(teas, tea))
    assert audit["meeting"] == tea.now.meeting_id.hex()
    assert (audit["title"], audit["strength"]) == ("Tea", "host")
    assert audit["ledger"] == tea.ledger.hex()
    types = [line["type"] for line in audit["entries"]]
    assert types[:5] == ["publish", *["request"] * 4]
    assert types[5:10] == ["leave", "epoch", "leave", "epoch", "policy"]
    assert [line["index"] for line in audit["entries"]] == list(range(13))
    assert audit["entries"][3]["time_ms"] == tea.history[3][0]
    assert len(audit["warnings"]) == 4
    assert audit["warnings"][0].startswith("one key alone signs this ledger")


def test_policies_and_ratchets_are_worded(teas: Any) -> None:
    tea = teas.Tea().begin(kind=MemberKind.BOT)
    grants = (
        Grant(who=tea.now.leader, role=Role.HOST),
        Grant(who=teas.EntryId(bytes(32)), role=Role.HOST),
    )
    gate = teas.signer_of("second gate").public
    tea.land(tea.policy(policy={"grants": grants}, gate=gate))
    for make in (tea.policy, tea.epoch, tea.epoch):
        tea.land(make())
    _, first, second, _, ratchet = sentences(teas, tea, openings={})
    leader = "somebody (slot 0, bot)"
    assert first.startswith(f"{leader} changed the meeting's rules (version 1); older")
    assert f"host is somebody unknown, {leader}" in first
    assert second == f"{leader} changed the meeting's rules (version 2)"
    assert (
        ratchet == f"{leader} began epoch 2 with a key that follows from the last one"
    )


def test_entries_without_effect_are_named(teas: Any) -> None:
    tea = teas.loose()
    first, *rest = tea.records()
    garbage = replace(first, entry=b"tea", time_ms=rest[-1].time_ms)
    records = (first, *rest, garbage)
    proof = teas.prove(records, TopicId(tea.now.meeting_id), ledger=tea.ledger)
    told = sentences(teas, tea, records=records, proof=proof)
    assert told[-1].endswith("against the rules, without effect: schema")
    assert told[2] == "an entry against the rules, without effect: not-legal"


def test_the_exporters_names_are_told_as_such(teas: Any) -> None:
    names = {teas.UserId(teas.CLEAR.id): 'Bo\n"x'}
    told = sentences(teas, teas.small(), names=names)
    assert '"Bob" (exporter\'s name "Bo\N{REPLACEMENT CHARACTER}\'x", user' in told[1]


def test_a_name_or_title_forges_no_line(teas: Any) -> None:
    tea = teas.Tea().begin(info='Tea\n  99  "Ada" left\N{RIGHT-TO-LEFT OVERRIDE}')
    title = read_audit(export(teas, tea))["title"]
    assert title == "Tea\ufffd  99  'Ada' left\ufffd"


def test_a_time_beyond_every_calendar_is_told_as_it_is(teas: Any) -> None:
    history = verify_audit(export(teas, teas.Tea().begin()))
    far = describe_history(replace(history, proven_ms=2**53 - 1))
    assert any(f"until {2**53 - 1} ms" in warning for warning in far["warnings"])
    near = describe_history(replace(history, proven_ms=0))
    assert any("until 1970-01-01 00:00:00Z" in warning for warning in near["warnings"])


def test_records_beyond_the_proof_are_left_out(teas: Any) -> None:
    tea = teas.Tea().begin()
    proof = teas.prove(tea.records(), TopicId(tea.now.meeting_id))
    tea.ask("bob")
    file = parse_audit(export(teas, tea, proof=proof))
    assert (len(file.records), len(file.openings)) == (1, 1)


async def test_a_file_is_written_and_read_again(teas: Any, tmp_path: Path) -> None:
    path, data = tmp_path / "tea.audit", export(teas, teas.whole())
    write_audit_file(path, data)
    assert path.stat().st_mode & 0o777 == 0o600
    assert await audit_file(path) == read_audit(data)


async def test_a_file_that_cannot_be_read_is_refused(tmp_path: Path) -> None:
    with code(Code.STORAGE):
        await audit_file(tmp_path / "absent")
    os.mkfifo(tmp_path / "pipe")
    with code(Code.STORAGE):
        await audit_file(tmp_path / "pipe")
    with code(Code.STORAGE):
        await audit_file(tmp_path / ("x" * 300))


async def test_a_file_that_is_no_record_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "tea.audit"
    path.write_bytes(b"tea")
    with code(Code.SCHEMA):
        await audit_file(path)
    with path.open("wb") as stream:
        stream.truncate(MAX_AUDIT + 1)
    with code(Code.TOO_LARGE):
        await audit_file(path)


def test_what_does_not_fit_is_not_exported(teas: Any) -> None:
    with code(Code.SCHEMA):
        export(teas, teas.small(), names={teas.UserId(bytes(32)): "x" * 129})


def test_a_changed_file_is_not_worded_control(teas: Any) -> None:
    data = export(teas, teas.small())
    with code(Code.BAD_PROOF):
        read_audit(data[:200] + bytes([data[200] ^ 1]) + data[201:])


def test_a_thousand_members_fit(teas: Any, monkeypatch: Any) -> None:
    policy = teas.Tea().begin().now.policy
    limits = replace(policy.limits, members=1001)
    tea = teas.Tea().begin(policy=replace(policy, limits=limits))
    for number in range(1000):
        monkeypatch.setitem(teas.USERS, f"guest {number}", teas.CLEAR)
        tea.ask(f"guest {number}")
        if number % 10 == 9:
            tea.land(tea.epoch(admit=range(number - 9, number + 1)))
    data = export(teas, tea)
    assert len(data) < MAX_AUDIT // 8
    audit = read_audit(data)
    assert len(audit["entries"]) == 1 + 1000 + 100

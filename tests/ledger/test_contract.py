# SPDX-License-Identifier: Apache-2.0
"""What every engine must do; `conftest.ENGINES` lists those that do it."""

import asyncio
import itertools
from collections.abc import Callable
from typing import Any

from incamera.errors import Code
from incamera.ledger.base import Appended, Ledger
from incamera.protocol.attestation import verify_attestation
from incamera.protocol.encoding import MAX_ENTRY
from incamera.protocol.entry import EntryType
from incamera.protocol.ids import TopicId
from incamera.protocol.log import verify_consistency
from incamera.protocol.proof import Confirmation, verify_proof

Refused = Callable[[Code], Any]
MeetingOn = Callable[..., Any]
ABSENT = TopicId(b"absent" + bytes(26))


async def append_all(ledger: Ledger, entries: list[bytes]) -> list[Any]:
    return [await ledger.append(entry) for entry in entries]


async def test_appended_entries_are_read_back_and_proven(
    ledger: Ledger, meeting_on: MeetingOn, as_peer: Callable[..., Any]
) -> None:
    meeting = meeting_on(ledger.ledger_id).busy(2)
    receipts = await append_all(ledger, meeting.entries)
    records = await ledger.read(meeting.topic)
    assert [record.entry for record in records] == meeting.entries
    assert [receipt.count for receipt in receipts] == list(range(1, 7))
    assert [receipt.entry for receipt in receipts] == [e.id for _, e in meeting.history]
    proof = await ledger.prove(meeting.topic)
    assert (proof.head, proof.count) == (receipts[-1].head, 6)
    assert as_peer(records, proof, ledger.descriptor).leader == meeting.topic


async def test_absence_is_proven(ledger: Ledger) -> None:
    proven = verify_proof(await ledger.prove(ABSENT), ledger.descriptor)
    assert (proven.head, proven.count, proven.topic) == (None, 0, ABSENT)
    assert not await ledger.read(ABSENT)


async def test_reading_by_parts(ledger: Ledger, meeting_on: MeetingOn) -> None:
    meeting = meeting_on(ledger.ledger_id).busy(2)
    await append_all(ledger, meeting.entries)
    parts = [await ledger.read(meeting.topic, start=n, limit=4) for n in (0, 4, 6, 9)]
    assert [len(part) for part in parts] == [4, 2, 0, 0]
    assert [r.entry for part in parts for r in part] == meeting.entries


async def test_the_same_bytes_get_the_same_receipt(
    ledger: Ledger, meeting_on: MeetingOn, clock: Any
) -> None:
    meeting = meeting_on(ledger.ledger_id).busy(1)
    first = await append_all(ledger, meeting.entries)
    clock.ms += 10_000
    again = await append_all(ledger, meeting.entries)
    assert again == first
    assert len(await ledger.read(meeting.topic)) == len(first)


async def test_the_same_bytes_at_once_get_the_same_receipt(
    ledger: Ledger, meeting_on: MeetingOn
) -> None:
    publish = meeting_on(ledger.ledger_id).publish().data
    receipts = await asyncio.gather(*(ledger.append(publish) for _ in range(20)))
    assert len(set(receipts)) == 1
    assert receipts[0].count == 1


async def test_illegal_entries_change_nothing(
    ledger: Ledger, meeting_on: MeetingOn, refused: Refused
) -> None:
    meeting = meeting_on(ledger.ledger_id).busy(0)
    await append_all(ledger, meeting.entries)
    before = await ledger.prove(meeting.topic)
    leave = meeting.leave("bob").data
    wrong = [
        (meeting.policy(version=9).data, Code.OUT_OF_SEQUENCE),
        (meeting.dismiss("bob").data, Code.WRONG_AUTHOR),
        (meeting.request("dan", gate=None).data, Code.NO_GATE),
        (meeting.leave("bob", header={"seq": 7}).data, Code.OUT_OF_SEQUENCE),
        (leave[:-9] + bytes([leave[-9] ^ 1]) + leave[-8:], Code.BAD_SIGNATURE),
    ]
    for entry, code in wrong:
        with refused(code):
            await ledger.append(entry)
    after = await ledger.prove(meeting.topic)
    assert (after.head, after.count) == (before.head, before.count)


async def test_entries_of_no_topic_here_are_refused(
    ledger: Ledger, meeting_on: MeetingOn, refused: Refused
) -> None:
    meeting = meeting_on(ledger.ledger_id).busy(0)
    with refused(Code.UNKNOWN_TOPIC):
        await ledger.append(meeting.entries[1])
    elsewhere = meeting_on(bytes(32)).publish()
    with refused(Code.WRONG_PLACE):
        await ledger.append(elsewhere.data)
    assert verify_proof(await ledger.prove(meeting.topic), ledger.descriptor).count == 0


async def test_bytes_that_are_no_entry_are_refused(
    ledger: Ledger, meeting_on: MeetingOn, refused: Refused
) -> None:
    publish = meeting_on(ledger.ledger_id).publish().data
    with refused(Code.TOO_LARGE):
        await ledger.append(bytes(MAX_ENTRY + 1))
    with refused(Code.SCHEMA):
        await ledger.append(b"")
    with refused(Code.NOT_CANONICAL):
        await ledger.append(publish + b"\0")


async def test_requests_and_leaves_may_land_before_an_epoch(
    ledger: Ledger, meeting_on: MeetingOn
) -> None:
    meeting = meeting_on(ledger.ledger_id).busy(0)
    epoch = meeting.epoch(admit=(), left=())
    late = meeting.request("dan")
    await append_all(ledger, [*meeting.entries, late.data, epoch.data])
    assert epoch.header.type is EntryType.EPOCH
    assert len(await ledger.read(meeting.topic)) == len(meeting.entries) + 2


async def test_ledger_time_never_goes_back(
    ledger: Ledger, meeting_on: MeetingOn, clock: Any
) -> None:
    meeting = meeting_on(ledger.ledger_id).busy(3)
    for number, entry in enumerate(meeting.entries):
        clock.ms += 1000 if number % 2 else -5000
        await ledger.append(entry)
    times = [record.time_ms for record in await ledger.read(meeting.topic)]
    assert times == sorted(times)
    assert times[-1] > times[0]


async def test_checkpoints_stay_young_and_extend_each_other(
    ledger: Ledger, meeting_on: MeetingOn, clock: Any
) -> None:
    period_ms = ledger.descriptor.parameters.period_s * 1000
    seen = []
    for step in range(8):
        if step % 2:
            name = f"meeting {step}"
            await ledger.append(meeting_on(ledger.ledger_id, name).publish().data)
        clock.ms += 1000 * step
        attested = verify_attestation(await ledger.checkpoint(), ledger.descriptor)
        assert clock.ms - attested.time_ms < period_ms
        seen.append(attested)
    for old, new in itertools.pairwise(seen):
        path = await ledger.consistency(old.size, new.size)
        sizes = {"old_size": old.size, "new_size": new.size}
        verify_consistency(old.root, new.root, path, **sizes)
    assert seen[-1].topics == 4


async def test_sizes_that_never_were_are_refused(
    ledger: Ledger, refused: Refused
) -> None:
    size = verify_attestation(await ledger.checkpoint(), ledger.descriptor).size
    for old, new in ((size, size + 1), (2, 1), (-1, 1)):
        with refused(Code.ROLLED_BACK):
            await ledger.consistency(old, new)


async def test_watch_gives_what_was_and_what_comes(
    ledger: Ledger, meeting_on: MeetingOn
) -> None:
    meeting = meeting_on(ledger.ledger_id).busy(3)
    await append_all(ledger, meeting.entries[:4])
    watching = ledger.watch(meeting.topic, start=1)
    seen = [await anext(watching) for _ in range(3)]
    late = asyncio.gather(*(ledger.append(entry) for entry in meeting.entries[4:]))
    seen += [await anext(watching) for _ in range(3)]
    await late
    await watching.aclose()  # type: ignore[attr-defined]  # every engine's is a generator
    assert all(isinstance(event, Appended) for event in seen)
    assert [event.index for event in seen] == [1, 2, 3, 4, 5, 6]  # type: ignore[union-attr]  # just checked
    assert [event.record.entry for event in seen] == meeting.entries[1:]  # type: ignore[union-attr]  # just checked
    assert {event.confirmation for event in seen} == {Confirmation.FINAL}  # type: ignore[union-attr]  # just checked


async def test_watch_may_begin_before_the_topic(
    ledger: Ledger, meeting_on: MeetingOn
) -> None:
    publish = meeting_on(ledger.ledger_id).publish()
    watching = ledger.watch(TopicId(publish.id))
    first = asyncio.ensure_future(anext(watching))
    await asyncio.sleep(0)
    await ledger.append(publish.data)
    event = await first
    assert isinstance(event, Appended)
    assert (event.index, event.record.entry) == (0, publish.data)
    await watching.aclose()  # type: ignore[attr-defined]  # every engine's is a generator


async def test_many_meetings_at_once(
    ledger: Ledger, meeting_on: MeetingOn, as_peer: Callable[..., Any]
) -> None:
    meetings = [meeting_on(ledger.ledger_id, f"meeting {n}").busy(1) for n in range(25)]
    await asyncio.gather(*(append_all(ledger, m.entries) for m in meetings))
    for meeting in meetings:
        proof = await ledger.prove(meeting.topic)
        as_peer(await ledger.read(meeting.topic), proof, ledger.descriptor)
        assert proof.count == len(meeting.entries)


async def test_only_ended_topics_are_pruned_and_heads_stay(
    ledger: Ledger, meeting_on: MeetingOn, refused: Refused
) -> None:
    meeting = meeting_on(ledger.ledger_id).busy(0)
    await append_all(ledger, meeting.entries)
    with refused(Code.WRONG_STATE):
        await ledger.prune(meeting.topic)
    await ledger.append(meeting.dismiss().data)
    before = await ledger.prove(meeting.topic)
    await ledger.prune(meeting.topic)
    await ledger.prune(meeting.topic)
    with refused(Code.PRUNED):
        await ledger.read(meeting.topic)
    with refused(Code.ENDED):
        await ledger.append(meeting.leave("bob").data)
    after = verify_proof(await ledger.prove(meeting.topic), ledger.descriptor)
    assert (after.head, after.count) == (before.head, before.count)


async def test_a_meeting_past_its_end_can_be_pruned(
    ledger: Ledger, meeting_on: MeetingOn, meetings: Any, clock: Any
) -> None:
    meeting = meeting_on(ledger.ledger_id).busy(0)
    await append_all(ledger, meeting.entries)
    clock.ms += meetings.HOUR_MS
    await ledger.prune(meeting.topic)
    await ledger.prune(ABSENT)


async def test_a_closed_ledger_answers_nothing(
    ledger: Ledger, meeting_on: MeetingOn, refused: Refused
) -> None:
    publish = meeting_on(ledger.ledger_id).publish().data
    await ledger.append(publish)
    watching = ledger.watch(ABSENT)
    waiting = asyncio.ensure_future(anext(watching))
    await asyncio.sleep(0)
    await ledger.close()
    await ledger.close()
    with refused(Code.UNREACHABLE):
        await waiting
    for call in (ledger.append(publish), ledger.read(ABSENT), ledger.prove(ABSENT)):
        with refused(Code.UNREACHABLE):
            await call

# SPDX-License-Identifier: Apache-2.0
"""Limits of the embedded engine: lines, watchers, who may open a topic."""

import asyncio
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from incamera.errors import Code, LedgerError, PeerError
from incamera.ledger import engine
from incamera.ledger.book import StorageLimits
from incamera.ledger.engine import Setup
from incamera.ledger.memory import memory_ledger
from incamera.protocol.entry import Entry

Refused = Callable[[Code], Any]
MeetingOn = Callable[..., Any]


async def test_only_what_opens_a_topic_is_asked_for_admission(
    setup: Setup, meeting_on: MeetingOn, refused: Refused
) -> None:
    asked: list[Entry] = []

    def admit(entry: Entry) -> None:
        asked.append(entry)
        if len(asked) > 1:
            raise LedgerError(Code.QUOTA, "one topic each")

    ledger = memory_ledger(replace(setup, admit=admit))
    meeting = meeting_on(ledger.ledger_id).busy(1)
    for entry in [*meeting.entries, meeting.entries[0]]:
        await ledger.append(entry)
    assert [entry.id for entry in asked] == [meeting.topic]
    with refused(Code.QUOTA):
        await ledger.append(meeting_on(ledger.ledger_id, "two").publish().data)
    await ledger.close()


async def test_a_full_line_refuses(
    setup: Setup,
    meeting_on: MeetingOn,
    refused: Refused,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(engine, "MAX_WAITING", 3)
    ledger = memory_ledger(setup)
    entries = [meeting_on(ledger.ledger_id, f"{n}").publish().data for n in range(5)]
    calls = (ledger.append(entry) for entry in entries)
    results = await asyncio.gather(*calls, return_exceptions=True)
    codes = [r.code for r in results if isinstance(r, LedgerError)]
    assert codes == [Code.QUEUE_FULL] * 2
    await ledger.close()


async def test_batches_are_bounded_and_share_a_leaf(
    setup: Setup, meeting_on: MeetingOn, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(engine, "MAX_BATCH", 4)
    ledger = memory_ledger(setup)
    entries = [meeting_on(ledger.ledger_id, f"{n}").publish().data for n in range(10)]
    await asyncio.gather(*(ledger.append(entry) for entry in entries))
    assert len(ledger._sealer._log) == 3
    await ledger.close()


async def test_a_refused_batch_makes_no_leaf(
    setup: Setup, meeting_on: MeetingOn
) -> None:
    ledger = memory_ledger(setup)
    lonely = meeting_on(ledger.ledger_id).busy(0).entries[1]
    with pytest.raises(PeerError):
        await ledger.append(lonely)
    assert len(ledger._sealer._log) == 0
    await ledger.close()


async def test_a_slow_watcher_is_cut_off_and_others_are_not(
    setup: Setup,
    meeting_on: MeetingOn,
    refused: Refused,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(engine, "MAX_UNREAD", 4)
    ledger = memory_ledger(setup)
    meeting = meeting_on(ledger.ledger_id).busy(6)
    await ledger.append(meeting.entries[0])
    slow, quick = (ledger.watch(meeting.topic) for _ in range(2))
    await anext(slow)
    await anext(quick)
    for index, entry in enumerate(meeting.entries[1:], 1):
        await ledger.append(entry)
        assert (await anext(quick)).index == index  # type: ignore[union-attr]  # an Appended
    with refused(Code.QUEUE_FULL):
        for _ in meeting.entries:
            await anext(slow)
    await quick.aclose()  # type: ignore[attr-defined]  # a generator
    assert not ledger._watchers
    await ledger.close()


async def test_a_cancelled_append_disturbs_nobody(
    setup: Setup, meeting_on: MeetingOn
) -> None:
    ledger = memory_ledger(setup)
    entries = [meeting_on(ledger.ledger_id, f"{n}").publish().data for n in range(3)]
    tasks = [asyncio.create_task(ledger.append(entry)) for entry in entries]
    await asyncio.sleep(0)
    tasks[1].cancel()
    results = await asyncio.gather(*tasks, return_exceptions=True)
    assert isinstance(results[1], asyncio.CancelledError)
    assert (await ledger.append(entries[1])).count == 1
    await ledger.close()


async def test_no_room_refuses_new_topics_first(
    setup: Setup, meeting_on: MeetingOn, refused: Refused
) -> None:
    limits = StorageLimits(to_open=6000, to_follow=1000)
    ledger = memory_ledger(replace(setup, limits=limits), space=7000)
    meeting = meeting_on(ledger.ledger_id).busy(1)
    for entry in meeting.entries:
        await ledger.append(entry)
    with refused(Code.STORAGE):
        await ledger.append(meeting_on(ledger.ledger_id, "two").publish().data)
    await ledger.append(meeting.leave("bob").data)
    await ledger.close()


async def test_states_are_shown(setup: Setup, meeting_on: MeetingOn) -> None:
    ledger = memory_ledger(setup)
    meeting = meeting_on(ledger.ledger_id).busy(1)
    for entry in meeting.entries:
        await ledger.append(entry)
    state = await ledger.state(meeting.topic)
    assert state is not None
    assert state.roster == meeting.now.roster  # type: ignore[union-attr]  # a meeting's
    await ledger.close()

# SPDX-License-Identifier: Apache-2.0
"""What the durable engine promises beyond the contract."""

import shutil
import sqlite3
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from incamera.errors import Code, IncameraError, PeerError
from incamera.ledger import book
from incamera.ledger.book import StorageLimits
from incamera.ledger.engine import Engine, Setup
from incamera.ledger.sqlite import SqliteStore, connect, sqlite_ledger
from incamera.ledger.urls import open_ledger
from incamera.protocol.attestation import verify_attestation
from incamera.protocol.descriptor import embedded_descriptor
from incamera.protocol.log import verify_consistency
from incamera.protocol.secret import Secret
from incamera.protocol.signer import Ed25519Signer

Refused = Callable[[Code], Any]
MeetingOn = Callable[..., Any]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "ledger.db"


async def filled(path: Path, setup: Setup, meeting: Any) -> Engine:
    ledger = sqlite_ledger(path, setup)
    for entry in meeting.entries:
        await ledger.append(entry)
    return ledger


@pytest.fixture
def meeting(meeting_on: MeetingOn, path: Path, setup: Setup) -> Any:
    store = sqlite_ledger(path.with_suffix(".other"), setup)
    return meeting_on(store.ledger_id).busy(2)


async def test_restart_recovers_exactly(path: Path, setup: Setup, meeting: Any) -> None:
    ledger = await filled(path, setup, meeting)
    before = (await ledger.prove(meeting.topic), await ledger.state(meeting.topic))
    receipts = [await ledger.append(entry) for entry in meeting.entries]
    await ledger.close()
    again = sqlite_ledger(path, setup)
    assert (
        await again.prove(meeting.topic),
        await again.state(meeting.topic),
    ) == before
    assert [await again.append(entry) for entry in meeting.entries] == receipts
    assert (await again.append(meeting.leave("bob").data)).count == len(receipts) + 1
    await again.close()


async def test_states_are_rebuilt_when_they_were_dropped(
    path: Path, setup: Setup, meeting_on: MeetingOn, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(book, "MAX_STATES", 1)
    monkeypatch.setattr(book, "PAGE", 2)
    ledger = sqlite_ledger(path, setup)
    both = [meeting_on(ledger.ledger_id, name).busy(3) for name in ("one", "two")]
    for pair in zip(*(m.entries for m in both), strict=True):
        for entry in pair:
            await ledger.append(entry)
    assert len(ledger._book.states) == 1
    assert [(await ledger.prove(m.topic)).count for m in both] == [7, 7]
    await ledger.close()


def test_each_connection_syncs_fully(path: Path) -> None:
    for _ in range(2):
        connection = connect(path)
        assert connection.execute("PRAGMA journal_mode").fetchone() == ("wal",)
        assert connection.execute("PRAGMA synchronous").fetchone() == (2,)
        assert connection.execute("PRAGMA secure_delete").fetchone() == (1,)
        connection.close()


def test_where_wal_cannot_be_the_ledger_refuses(refused: Refused) -> None:
    """An in-memory database has no write-ahead log: the assertion must fire."""
    with refused(Code.STORAGE):
        connect(Path(":memory:"))


async def test_one_process_owns_the_file(
    path: Path, setup: Setup, refused: Refused
) -> None:
    ledger = sqlite_ledger(path, setup)
    with refused(Code.ALREADY_RUNNING):
        sqlite_ledger(path, setup)
    await ledger.close()
    await sqlite_ledger(path, setup).close()


async def test_the_file_belongs_to_one_ledger(
    path: Path, setup: Setup, refused: Refused
) -> None:
    await sqlite_ledger(path, setup).close()
    stranger = Ed25519Signer(Secret(bytearray(b"s" * 32)))
    other = Setup(stranger, setup.clock, embedded_descriptor(stranger.public))
    with refused(Code.WRONG_LEDGER):
        sqlite_ledger(path, other)
    with refused(Code.WRONG_LEDGER):
        sqlite_ledger(path, replace(setup, signer=stranger))
    with refused(Code.STORAGE):
        sqlite_ledger(path.parent, setup)
    await sqlite_ledger(path, setup).close()


async def test_a_full_file_refuses_new_topics_before_running_meetings(
    path: Path, setup: Setup, meeting_on: MeetingOn, refused: Refused
) -> None:
    limits = StorageLimits(to_open=150_000, to_follow=50_000)
    ledger = sqlite_ledger(path, replace(setup, limits=limits), max_bytes=300_000)
    running = meeting_on(ledger.ledger_id, "running").busy(0)
    for entry in running.entries:
        await ledger.append(entry)
    number = 0
    with refused(Code.STORAGE):
        while number := number + 1:
            await ledger.append(
                meeting_on(ledger.ledger_id, f"{number}").publish().data
            )
    assert number > 5
    policies = 0
    with refused(Code.STORAGE):
        while policies := policies + 1:
            await ledger.append(running.policy().data)
            running.land(running.policy())
    assert policies > 5
    before = await ledger.prove(running.topic)
    assert before.count == len(running.entries)
    assert (await ledger.append(running.entries[-1])).count == before.count
    await ledger.close()


async def test_a_disk_that_is_really_full_loses_nothing(
    path: Path, setup: Setup, meeting_on: MeetingOn, refused: Refused
) -> None:
    limits = StorageLimits(to_open=0, to_follow=0)
    ledger = sqlite_ledger(path, replace(setup, limits=limits), max_bytes=120_000)
    landed = []
    with refused(Code.STORAGE):
        for number in range(1000):
            meeting = meeting_on(ledger.ledger_id, f"{number}").open()
            await ledger.append(meeting.entries[0])
            landed.append(meeting.topic)
    size = len(ledger._book.topics)
    assert 5 < size == len(landed)
    await ledger.close()
    again = sqlite_ledger(path, setup)
    assert set(again._book.topics) == set(landed)
    await again.close()


async def test_a_restored_older_file_is_noticed(
    path: Path, setup: Setup, meeting: Any, refused: Refused
) -> None:
    """Whoever remembers a log refuses every continuation of an older copy."""
    ledger = await filled(path, setup, meeting)
    await ledger.close()
    shutil.copy(path, path.with_suffix(".backup"))
    ledger = sqlite_ledger(path, setup)
    await ledger.append(meeting.leave("bob").data)
    known = verify_attestation(await ledger.checkpoint(), setup.descriptor)
    await ledger.close()
    shutil.copy(path.with_suffix(".backup"), path)
    restored = sqlite_ledger(path, setup)
    with refused(Code.ROLLED_BACK):
        await restored.consistency(known.size, known.size)
    await restored.append(meeting.leave("cleo").data)
    now = verify_attestation(await restored.checkpoint(), setup.descriptor)
    proof = await restored.consistency(known.size, now.size)
    with refused(Code.BAD_PROOF):
        sizes = {"old_size": known.size, "new_size": now.size}
        verify_consistency(known.root, now.root, proof, **sizes)
    await restored.close()


ALTERATIONS = [
    "UPDATE entries SET entry = zeroblob(100) WHERE idx = 1",
    "UPDATE entries SET time_ms = time_ms + 1 WHERE idx = 1",
    "DELETE FROM entries WHERE idx = 2",
    "UPDATE entries SET idx = 99 - idx WHERE idx IN (1, 2)",
]


@pytest.mark.parametrize("change", ALTERATIONS)
async def test_altered_entries_are_noticed(
    path: Path, setup: Setup, meeting: Any, change: str
) -> None:
    await (await filled(path, setup, meeting)).close()
    tamper(path, change)
    ledger = sqlite_ledger(path, setup)
    for call in (ledger.append(meeting.leave("bob").data), ledger.state(meeting.topic)):
        with pytest.raises(IncameraError) as caught:
            await call
        assert caught.value.code is Code.STORAGE
    await ledger.close()


@pytest.mark.parametrize(
    "change", ["UPDATE topics SET count = 1", "UPDATE topics SET head = zeroblob(32)"]
)
async def test_altered_heads_are_noticed(
    path: Path, setup: Setup, meeting: Any, change: str
) -> None:
    await (await filled(path, setup, meeting)).close()
    tamper(path, change)
    with pytest.raises(IncameraError) as caught:
        sqlite_ledger(path, setup)
    assert caught.value.code is Code.STORAGE


def tamper(path: Path, change: str) -> None:
    connection = sqlite3.connect(path)
    connection.execute(change)
    connection.commit()
    connection.close()


async def test_pruned_bytes_are_gone_from_the_files(
    path: Path, setup: Setup, meeting: Any
) -> None:
    meeting.land(meeting.dismiss())
    ledger = await filled(path, setup, meeting)
    needle = meeting.history[1][1].signed.signature
    assert any(needle in file.read_bytes() for file in path.parent.glob("ledger.db*"))
    await ledger.prune(meeting.topic)
    assert not any(
        needle in file.read_bytes() for file in path.parent.glob("ledger.db*")
    )
    await ledger.close()
    again = sqlite_ledger(path, setup)
    assert (await again.prove(meeting.topic)).count == len(meeting.entries)
    assert await again.state(meeting.topic) is None
    await again.close()


async def test_urls_name_engines(
    path: Path, setup: Setup, refused: Refused, descriptor: Any
) -> None:
    for url in ("memory:", f"sqlite:{path}"):
        ledger = await open_ledger(url, setup)
        assert ledger.descriptor == descriptor
        await ledger.close()
    for url in ("", "sqlite:", "memory:x", "https://ledger.example"):
        with refused(Code.BAD_ARGUMENT):
            await open_ledger(url, setup)


def test_a_failed_commit_leaves_no_transaction(
    path: Path, setup: Setup, refused: Refused
) -> None:
    store = SqliteStore(path, setup.descriptor)
    with refused(Code.STORAGE), store._transaction() as writer:
        writer.execute("INSERT INTO topics VALUES (1, x'00', 1, x'00', 0)")
        writer.execute("INSERT INTO nothing VALUES (1)")
    assert not store._writer.in_transaction
    assert not store.load().topics
    with pytest.raises(PeerError), store._transaction() as writer:
        raise PeerError(Code.SCHEMA, "anything else passes through")
    store.close()


async def test_a_folder_that_vanishes_is_a_storage_error(
    tmp_path: Path, setup: Setup, meeting_on: MeetingOn, refused: Refused
) -> None:
    folder = tmp_path / "there"
    folder.mkdir()
    ledger = sqlite_ledger(folder / "ledger.db", setup)
    folder.rename(tmp_path / "gone")
    for name in ("one", "two"):
        with refused(Code.STORAGE):
            await ledger.append(meeting_on(ledger.ledger_id, name).publish().data)
    await ledger.close()

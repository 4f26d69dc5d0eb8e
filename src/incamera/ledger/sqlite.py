# SPDX-License-Identifier: Apache-2.0
"""The embedded ledger in one SQLite file (spec/ledger.md, section 8).

A commit returns only when the write-ahead log is on disk: WAL with synchronous=FULL,
asserted on each connection.  One process at a time owns the file.
"""

import asyncio
import fcntl
import os
import shutil
import sqlite3
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing, contextmanager
from importlib import resources
from pathlib import Path
from typing import Final, TypeVar

from incamera.errors import Code, LedgerError, UsageError
from incamera.ledger.book import Batch, Contents, Topic, digest_of
from incamera.ledger.engine import Engine, Setup
from incamera.protocol.attestation import LogLeaf
from incamera.protocol.descriptor import Descriptor, encode_descriptor
from incamera.protocol.ids import Head, TopicId
from incamera.protocol.proof import Record

T = TypeVar("T")
FORMAT: Final = 1
_FULL: Final = 2
_UNLIMITED: Final = 2**62
_PUT_TOPIC: Final = (
    "INSERT INTO topics VALUES (?, ?, ?, ?, 0)"
    " ON CONFLICT (number) DO UPDATE SET count = excluded.count, head = excluded.head"
)
_PUT_ENTRY: Final = (
    "INSERT INTO entries (topic, idx, time_ms, digest, head, entry)"
    " VALUES (?, ?, ?, ?, ?, ?)"
)


class SqliteStore:
    """Two connections to one file: one writes, one reads beside it."""

    def __init__(
        self, path: Path, descriptor: Descriptor, *, max_bytes: int | None = None
    ) -> None:
        """Open or make the file at `path`, at most `max_bytes` large.

        Raises UsageError(ALREADY_RUNNING) if another process has it, LedgerError:
        WRONG_LEDGER for another ledger's file, STORAGE if it cannot be used.
        """
        self._path = path
        with ExitStack() as opened, _as_storage_error():
            opened.callback(os.close, _lock(path))
            self._writer = opened.enter_context(closing(connect(path)))
            self._prepare(encode_descriptor(descriptor))
            self._reader = opened.enter_context(closing(connect(path)))
            self._page = self._number("PRAGMA page_size")
            pages = (max_bytes or _UNLIMITED) // self._page
            self._max_pages = self._number(f"PRAGMA max_page_count = {pages}")
            self._opened = opened.pop_all()

    def load(self) -> Contents:
        """Return everything but the entries."""
        with _as_storage_error():
            topics = {
                TopicId(name): Topic(number, count, Head(head), bool(pruned))
                for number, name, count, head, pruned in self._writer.execute(
                    "SELECT number, id, count, head, pruned FROM topics"
                )
            }
            leaves = [
                LogLeaf(time_ms=time_ms, map_root=root, topics=count)
                for time_ms, root, count in self._writer.execute(
                    "SELECT time_ms, map_root, topics FROM log ORDER BY place"
                )
            ]
        return Contents(topics, leaves)

    def commit(self, batch: Batch) -> None:
        """Make `batch` durable; LedgerError(STORAGE) and no trace of it otherwise."""
        topics = [(t.number, name, t.count, t.head) for name, t in batch.topics.items()]
        rows = [
            (r.number, r.index, r.record.time_ms, r.digest, r.head, r.record.entry)
            for r in batch.rows
        ]
        leaf = (batch.leaf.time_ms, batch.leaf.map_root, batch.leaf.topics)
        with self._transaction() as writer:
            writer.executemany(_PUT_TOPIC, topics)
            writer.executemany(_PUT_ENTRY, rows)
            writer.execute(
                "INSERT INTO log (time_ms, map_root, topics) VALUES (?, ?, ?)", leaf
            )

    def records(self, number: int, start: int, limit: int) -> Sequence[Record]:
        """Return records of one topic in order."""
        with _as_storage_error():
            rows = self._reader.execute(
                "SELECT time_ms, entry FROM entries"
                " WHERE topic = ? AND idx >= ? ORDER BY idx LIMIT ?",
                (number, start, limit),
            ).fetchall()
        return [Record(time_ms=time_ms, entry=entry) for time_ms, entry in rows]

    def find(self, number: int, entry: bytes) -> tuple[int, Head, int] | None:
        """Return (index, head after it, time in ms) of these very bytes, if there."""
        with _as_storage_error():
            row = self._writer.execute(
                "SELECT idx, head, time_ms FROM entries"
                " WHERE topic = ? AND digest = ? AND entry = ?",
                (number, digest_of(entry), entry),
            ).fetchone()
        return (row[0], Head(row[1]), row[2]) if row else None

    def prune(self, topic: TopicId, pruned: Topic) -> None:
        """Forget the entries of one topic, for good: also in the write-ahead log."""
        del topic
        with self._transaction() as writer:
            writer.execute("DELETE FROM entries WHERE topic = ?", (pruned.number,))
            writer.execute(
                "UPDATE topics SET pruned = 1 WHERE number = ?", (pruned.number,)
            )
        with _as_storage_error():
            self._writer.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()

    def free_bytes(self) -> int:
        """Return how much more the file could take: by its limit and by the disk."""
        with _as_storage_error():
            used = self._number("PRAGMA page_count")
            unused = self._number("PRAGMA freelist_count")
            on_disk = shutil.disk_usage(self._path.parent).free
        return min((self._max_pages - used + unused) * self._page, on_disk)

    def close(self) -> None:
        """Release the files."""
        self._opened.close()

    def _prepare(self, descriptor: bytes) -> None:
        if not self._number("SELECT count(*) FROM sqlite_schema"):
            schema = resources.files("incamera.ledger").joinpath("schema.sql")
            self._writer.executescript(f"BEGIN;\n{schema.read_text()}\nCOMMIT;")
        with self._transaction() as writer:
            writer.execute(
                "INSERT OR IGNORE INTO ledger VALUES (1, ?, ?)", (FORMAT, descriptor)
            )
        found = self._writer.execute("SELECT format, descriptor FROM ledger").fetchone()
        if found != (FORMAT, descriptor):
            raise LedgerError(Code.WRONG_LEDGER, "the file is another ledger's")

    def _number(self, query: str) -> int:
        return int(self._writer.execute(query).fetchone()[0])

    @contextmanager
    def _transaction(self) -> Iterator[sqlite3.Connection]:
        with _as_storage_error():
            self._writer.execute("BEGIN IMMEDIATE")
            try:
                yield self._writer
                self._writer.execute("COMMIT")
            except BaseException:
                # SQLite has already rolled back after some errors, not after others.
                if self._writer.in_transaction:
                    self._writer.execute("ROLLBACK")
                raise


class Threads:
    """One thread writes, one reads: SQLite's calls block."""

    def __init__(self) -> None:
        """Start no thread before the first job."""
        self._writing = ThreadPoolExecutor(1, "ledger-write")
        self._reading = ThreadPoolExecutor(1, "ledger-read")

    async def work(self, job: Callable[[], T]) -> T:
        """Run the job on the writing thread."""
        return await asyncio.get_running_loop().run_in_executor(self._writing, job)

    async def look(self, job: Callable[[], T]) -> T:
        """Run the job on the reading thread."""
        return await asyncio.get_running_loop().run_in_executor(self._reading, job)

    def stop(self) -> None:
        """End both threads."""
        self._writing.shutdown()
        self._reading.shutdown()


def sqlite_ledger(path: Path, setup: Setup, *, max_bytes: int | None = None) -> Engine:
    """Open or make the ledger in the file at `path`; blocks while it loads.

    Raises UsageError(ALREADY_RUNNING), LedgerError: WRONG_LEDGER, STORAGE.
    """
    store = SqliteStore(path, setup.descriptor, max_bytes=max_bytes)
    with ExitStack() as opened:
        opened.callback(store.close)
        engine = Engine(setup, store, Threads())
        opened.pop_all()
    return engine


def connect(path: Path) -> sqlite3.Connection:
    """Return a connection whose commits reach the disk before they return."""
    connection = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
    for pragma in ("journal_mode = WAL", "synchronous = FULL", "secure_delete = ON"):
        connection.execute(f"PRAGMA {pragma}").fetchall()
    mode = connection.execute("PRAGMA journal_mode").fetchone()[0]
    level = connection.execute("PRAGMA synchronous").fetchone()[0]
    if (mode, level) != ("wal", _FULL):
        raise LedgerError(Code.STORAGE, "this file system cannot keep a ledger")
    return connection


def _lock(path: Path) -> int:
    """Take the file for this process; the lock ends with the process."""
    lock = os.open(f"{path}.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        os.close(lock)
        raise UsageError(Code.ALREADY_RUNNING, "the ledger is in use") from error
    return lock


@contextmanager
def _as_storage_error() -> Iterator[None]:
    try:
        yield
    except (sqlite3.Error, OSError) as error:
        raise LedgerError(Code.STORAGE, f"ledger file: {error}") from error

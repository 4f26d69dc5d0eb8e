# SPDX-License-Identifier: Apache-2.0
"""A ledger that forgets everything at its end, for tests and demonstrations.

The same engine as the durable one, without files and without threads: under a
simulated clock it behaves the same in every run.
"""

from collections.abc import Callable, Sequence
from typing import TypeVar

from incamera.ledger.book import Batch, Contents, Row, Topic
from incamera.ledger.engine import Engine, Setup
from incamera.protocol.ids import Head, TopicId
from incamera.protocol.proof import Record

T = TypeVar("T")
_ROOMY = 2**40


class MemoryStore:
    """Rows in lists; `space` bytes in all."""

    def __init__(self, space: int = _ROOMY) -> None:
        """Start empty."""
        self._rows: dict[int, list[Row]] = {}
        self._left = space

    def load(self) -> Contents:
        """Return that there is nothing."""
        return Contents({}, ())

    def commit(self, batch: Batch) -> None:
        """Keep the rows."""
        for row in batch.rows:
            self._rows.setdefault(row.number, []).append(row)
            self._left -= len(row.record.entry)

    def records(self, number: int, start: int, limit: int) -> Sequence[Record]:
        """Return records of one topic in order."""
        return [row.record for row in self._rows[number][start : start + limit]]

    def find(self, number: int, entry: bytes) -> tuple[int, Head, int] | None:
        """Return (index, head after it, time in ms) of these very bytes, if there."""
        for row in self._rows[number]:
            if row.record.entry == entry:
                return row.index, row.head, row.record.time_ms
        return None

    def prune(self, topic: TopicId, pruned: Topic) -> None:
        """Forget the entries of one topic, for good."""
        del topic
        self._rows[pruned.number] = []

    def free_bytes(self) -> int:
        """Return how much more the store could take."""
        return self._left

    def close(self) -> None:
        """Forget everything."""
        self._rows.clear()


class Inline:
    """Runs every job at once, on the event loop."""

    async def work(self, job: Callable[[], T]) -> T:
        """Run the job."""
        return job()

    async def look(self, job: Callable[[], T]) -> T:
        """Run the job."""
        return job()

    def stop(self) -> None:
        """Nothing to stop."""


def memory_ledger(setup: Setup, *, space: int = _ROOMY) -> Engine:
    """Return an empty ledger that takes `space` bytes of entries."""
    return Engine(setup, MemoryStore(space), Inline())

# SPDX-License-Identifier: Apache-2.0
"""Does a signed log extend the one we knew, and is it fresh (spec/ledger.md, 9)?"""

import contextlib
from collections.abc import Awaitable, Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import TypeAlias

from incamera.errors import Code, LedgerError, PeerError
from incamera.ledger.remembered import Memory, SeenLog, SeenTopic
from incamera.protocol.attestation import ProvenCheckpoint
from incamera.protocol.descriptor import (
    STALE_PERIODS,
    UNREACHABLE_PERIODS,
    Descriptor,
)
from incamera.protocol.log import verify_consistency
from incamera.protocol.ports import Clock
from incamera.protocol.proof import ProvenHead

FetchPath: TypeAlias = Callable[[int, int], Awaitable[Sequence[bytes]]]


@dataclass(frozen=True, slots=True)
class Asked:
    """What we knew when we asked: an honest answer knows no less.

    Answers overtake each other, so what we know when one arrives may be newer.
    """

    log: SeenLog
    topic: SeenTopic | None = None


@contextlib.contextmanager
def blamed() -> Iterator[None]:
    """Turn what a parser or verifier refuses into the ledger's fault."""
    try:
        yield
    except PeerError as error:
        raise LedgerError(error.code, str(error.args[0])) from error


class LogGuard:
    """Lets only logs through that never take anything back."""

    def __init__(
        self,
        descriptor: Descriptor,
        memory: Memory,
        clock: Clock,
        *,
        fetch_path: FetchPath,
    ) -> None:
        self._descriptor = descriptor
        self._memory = memory
        self._clock = clock
        self._fetch_path = fetch_path

    async def accept(
        self, proven: ProvenHead | ProvenCheckpoint, asked: Asked | None
    ) -> None:
        """Check a verified log against the one that we know, then remember it.

        Raises LedgerError: ROLLED_BACK, FORKED, OMITTED, STALE, UNREACHABLE.
        """
        log = SeenLog(size=proven.size, root=proven.root, note=proven.note)
        if asked is not None and log.size < asked.log.size:
            notes = (asked.log.note.encode(), proven.note.encode())
            self._memory.caught(Code.ROLLED_BACK, *notes)
            raise LedgerError(Code.ROLLED_BACK, "the ledger went back")
        known = self._memory.log
        older, newer = (log, known) if log.size < known.size else (known, log)
        if older.size:
            await self._check_prefix(older, newer)
        self._check_age(proven.time_ms)
        self._memory.saw_log(log)
        if isinstance(proven, ProvenHead) and asked is not None:
            self._check_length(proven, asked)

    def _check_length(self, proven: ProvenHead, asked: Asked) -> None:
        if asked.topic is not None and proven.count < asked.topic.count:
            self._memory.caught(Code.OMITTED, proven.note.encode())
            raise LedgerError(Code.OMITTED, "the topic is shorter than it was")

    async def _check_prefix(self, older: SeenLog, newer: SeenLog) -> None:
        if older.size == newer.size and older.root == newer.root:
            return
        try:
            path = await self._fetch_path(older.size, newer.size)
            verify_consistency(
                older.root,
                newer.root,
                path,
                old_size=older.size,
                new_size=newer.size,
            )
        except (PeerError, LedgerError) as error:
            if error.code is Code.UNREACHABLE:
                raise
            self._memory.caught(Code.FORKED, older.note.encode(), newer.note.encode())
            message = "the ledger does not extend what it showed before"
            raise LedgerError(Code.FORKED, message) from error

    def _check_age(self, time_ms: int) -> None:
        parameters = self._descriptor.parameters
        period_ms = parameters.period_s * 1000
        age = self._clock.now_ms() - time_ms
        if age > UNREACHABLE_PERIODS * period_ms:
            raise LedgerError(Code.UNREACHABLE, "the ledger's newest word is too old")
        if age > STALE_PERIODS * period_ms:
            raise LedgerError(Code.STALE, "the ledger's newest word is old")
        # Ledger time never goes back, so a host that sets its clock right runs ahead
        # for a while; more than that, and one of the two clocks is wrong.
        if -age > UNREACHABLE_PERIODS * period_ms + parameters.drift_s * 1000:
            raise LedgerError(Code.STALE, "the ledger's clock is ahead of ours")

# SPDX-License-Identifier: Apache-2.0
"""What every ledger engine offers, local or remote (spec/ledger.md, section 8).

An engine orders, stores, proves and prunes; it decides nothing that `apply` does not
decide.  Callers see one interface, so a test for one engine is a test for all.
"""

from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from typing import Final, Protocol, TypeAlias

from incamera.protocol.attestation import Attestation
from incamera.protocol.descriptor import Descriptor
from incamera.protocol.ids import LedgerId, TopicId
from incamera.protocol.proof import Confirmation, Proof, Receipt, Record

MAX_READ: Final = 256
"""Records returned by one read: at most 4 MiB of entries."""


@dataclass(frozen=True, slots=True)
class Appended:
    """Entry number `index` of `topic` (the first is 0) and how sure it is."""

    topic: TopicId
    index: int
    record: Record
    confirmation: Confirmation


@dataclass(frozen=True, slots=True)
class Confirmed:
    """Every entry of `topic` below `count` has now reached `confirmation`."""

    topic: TopicId
    count: int
    confirmation: Confirmation


@dataclass(frozen=True, slots=True)
class Retracted:
    """The entries of `topic` from `count` on were only ordered and are void."""

    topic: TopicId
    count: int


WatchEvent: TypeAlias = Appended | Confirmed | Retracted


class Ledger(Protocol):
    """One ledger.  Errors of the world are LedgerError, of an author PeerError."""

    @property
    def descriptor(self) -> Descriptor:
        """The descriptor, whose hash is the ledger id."""

    @property
    def ledger_id(self) -> LedgerId:
        """The ledger's id."""

    async def append(self, entry: bytes) -> Receipt:
        """Order `entry`; returns once it is durable.

        The same bytes again give the same receipt.  Raises the PeerError of the rules
        for an illegal entry, and LedgerError: STORAGE, QUOTA, UNREACHABLE.
        """

    async def read(
        self, topic: TopicId, *, start: int = 0, limit: int = MAX_READ
    ) -> Sequence[Record]:
        """Return up to `limit` records of `topic` from number `start` on.

        Empty for an unknown topic.  Raises LedgerError(PRUNED) after `prune`.
        """

    async def prove(self, topic: TopicId) -> Proof:
        """Return the proof of the topic's newest head, or of its absence."""

    async def checkpoint(self) -> Attestation:
        """Return what vouches for the newest map: here a signed checkpoint."""

    async def consistency(self, old_size: int, new_size: int) -> Sequence[bytes]:
        """Return the proof that the log of `old_size` is a prefix of `new_size`."""

    def watch(self, topic: TopicId, *, start: int = 0) -> AsyncIterator[WatchEvent]:
        """Yield the records of `topic` from number `start` on, then each new one.

        Raises LedgerError(QUEUE_FULL) to a reader that falls too far behind.
        """

    async def prune(self, topic: TopicId) -> None:
        """Forget the entries of an ended topic; its head and proofs stay."""

    async def close(self) -> None:
        """Stop; nothing acknowledged is lost."""

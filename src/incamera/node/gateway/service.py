# SPDX-License-Identifier: Apache-2.0
"""What is one running gateway made of?

The ledger engine, the relay's rooms, the blobs and the limits, put together once.
"""

import asyncio
import contextlib
import time
from collections.abc import Coroutine
from typing import Final

from incamera.errors import Code, IncameraError, PeerError
from incamera.ledger.base import Ledger
from incamera.node.gateway.blobs import BlobStore
from incamera.node.gateway.config import GatewayConfig
from incamera.node.gateway.intake import Intake, address_key
from incamera.node.gateway.limits import Buckets, Counter
from incamera.node.gateway.relay import Shared
from incamera.node.gateway.rooms import Rooms
from incamera.node.relay_blobs import check_owner, verify_blob
from incamera.protocol.entry import EntryType
from incamera.protocol.ids import MeetingId
from incamera.protocol.proof import Proof, Receipt

_TIDY_S: Final = 10
"""Seconds between two looks for messages whose time is over."""
_DROPPING: Final = frozenset({EntryType.EPOCH, EntryType.DISMISS})


class Service:
    """Everything that HTTP and WebSocket requests reach."""

    def __init__(self, config: GatewayConfig, ledger: Ledger, pin: bytes) -> None:
        limits = config.limits
        self.ledger = ledger
        self.limits = limits
        self.pin = pin
        self.blobs = BlobStore(config.home / "blobs", limits)
        shared = Shared(ledger, limits, pin, self.blobs)
        self.rooms = Rooms(shared)
        self.sockets = Counter(
            each=limits.connections_per_address, total=limits.connections
        )
        self._intake = Intake(ledger, limits, config.owners)
        self._requests = Buckets(limits.requests)
        self._puts = Buckets(limits.blob_puts)
        self._tasks: set[asyncio.Task[None]] = set()

    def count_request(self, host: str) -> None:
        """Count a request; LedgerError(QUOTA) if its address makes too many."""
        self._requests.take(address_key(host), time.monotonic())

    async def append(
        self, data: bytes, *, host: str, permit: str | None
    ) -> tuple[Receipt, Proof]:
        """Append an entry; raises as `Intake.append`."""
        address = address_key(host)
        entry, receipt, proof = await self._intake.append(
            data, address=address, permit=permit
        )
        if entry.header.type in _DROPPING:
            # A room must see it even if nobody is connected: blobs may have to go.
            self._start(self._open_room(MeetingId(receipt.topic)))
        return receipt, proof

    async def put_blob(self, meeting: MeetingId, name: str, body: bytes) -> None:
        """Store a member's blob.

        Raises PeerError: BAD_SIGNATURE, NOT_ALLOWED, STALE for a time too far from
        ours, REPLAYED; LedgerError: QUOTA, STORAGE.
        """
        put = verify_blob(body, meeting=meeting, name=name, pin=self.pin)
        self._puts.take((meeting, put.mvk), time.monotonic())
        if abs(put.time_ms - time.time_ns() // 1_000_000) > self.limits.blob_drift_ms:
            raise PeerError(Code.STALE, "time is too far from ours")
        access = (await self.rooms.open(meeting)).access
        if put.mvk not in access.members.values() or access.is_over:
            raise PeerError(Code.NOT_ALLOWED, "not a member")
        check_owner(name, put.mvk, access.leader)
        await self.blobs.put(meeting, name, put)

    async def get_blob(self, meeting: MeetingId, name: str) -> bytes | None:
        """Return a blob, None if there is none."""
        return await self.blobs.get(meeting, name)

    async def tidy_for_ever(self) -> None:
        """Expire messages and blobs until cancelled."""
        while True:
            await asyncio.sleep(_TIDY_S)
            await self.rooms.tidy()

    async def close(self) -> None:
        """Close rooms, then the ledger; nothing acknowledged is lost."""
        for task in self._tasks:
            task.cancel()
        await self.rooms.close()
        await self.ledger.close()

    async def _open_room(self, meeting: MeetingId) -> None:
        with contextlib.suppress(IncameraError):
            await self.rooms.open(meeting)

    def _start(self, work: Coroutine[None, None, None]) -> None:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

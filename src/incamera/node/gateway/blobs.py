# SPDX-License-Identifier: Apache-2.0
"""What does the gateway keep for those who come later (spec/relay.md, section 7)?

Sealed identity proofs, one per member, and the leader's blob under the gate's secret.
The gateway can read none of them.  A blob is written by a signed request of its owner,
newer than the one before, and goes when its owner is dropped or the meeting ends.
"""

import asyncio
import shutil
from collections.abc import Collection
from pathlib import Path
from typing import Final

from incamera.errors import Code, LedgerError, PeerError
from incamera.node.files import replace
from incamera.node.gateway.limits import Limits
from incamera.node.relay_blobs import LEADER, BlobPut
from incamera.protocol.ids import Kid, MeetingId
from incamera.protocol.schedule import u64

_TIME_BYTES: Final = 8


class BlobStore:
    """Blobs in files: folder/meeting/name, each its time and its data."""

    def __init__(self, folder: Path, limits: Limits) -> None:
        self._folder = folder
        self._limits = limits
        self._lock = asyncio.Lock()
        self._used = sum(f.stat().st_size for f in folder.rglob("*") if f.is_file())

    async def put(self, meeting: MeetingId, name: str, put: BlobPut) -> None:
        """Store a verified request's blob.

        Raises PeerError(REPLAYED) unless it is newer than the stored one, and
        LedgerError(STORAGE) when there is no space.
        """
        async with self._lock:
            await asyncio.to_thread(self._put, self._path(meeting, name), put)

    async def get(self, meeting: MeetingId, name: str) -> bytes | None:
        """Return a blob, None if there is none."""
        path = self._path(meeting, name)
        stored = await asyncio.to_thread(_read, path)
        return None if stored is None else stored[_TIME_BYTES:]

    async def keep_only(self, meeting: MeetingId, kids: Collection[Kid]) -> None:
        """Drop the blobs of everyone but `kids`; with nobody left, the leader's too."""
        keep = {kid.hex() for kid in kids} | ({LEADER} if kids else set())
        async with self._lock:
            await asyncio.to_thread(self._drop, self._folder / meeting.hex(), keep)

    def _path(self, meeting: MeetingId, name: str) -> Path:
        # The route lets only `leader` and hexadecimal digits through; this is the
        # second lock on the door.
        if not name.isalnum():
            raise PeerError(Code.SCHEMA, "not a blob's name")
        return self._folder / meeting.hex() / name

    def _put(self, path: Path, put: BlobPut) -> None:
        stored = _read(path) or b""
        if stored and put.time_ms <= int.from_bytes(stored[:_TIME_BYTES], "big"):
            raise PeerError(Code.REPLAYED, "not newer than the stored blob")
        grown = len(put.data) + _TIME_BYTES - len(stored)
        if self._used + grown > self._limits.blobs_bytes:
            raise LedgerError(Code.STORAGE, "no space for blobs")
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        replace(path, u64(put.time_ms) + put.data)
        self._used += grown

    def _drop(self, folder: Path, keep: set[str]) -> None:
        files = list(folder.iterdir()) if folder.is_dir() else []
        for file in files:
            if file.name not in keep:
                self._used -= file.stat().st_size
                file.unlink()
        if not keep:
            shutil.rmtree(folder, ignore_errors=True)


def _read(path: Path) -> bytes | None:
    return path.read_bytes() if path.is_file() else None

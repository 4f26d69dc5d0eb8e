# SPDX-License-Identifier: Apache-2.0
"""A process that appends and says so, for tests that kill or trace it.

    python child.py DATABASE KEY-SEED-HEX ENTRIES [--careless]

ENTRIES holds one topic a line: its entries in hex, in order.  Topics are served at the
same time.  A line `LINE.INDEX` on standard output is an acknowledgement, written only
when `append` has returned.  `--careless` breaks the promise, as a control.
"""

import asyncio
import os
import sys
from pathlib import Path

from incamera.ledger.base import Ledger
from incamera.ledger.engine import Setup
from incamera.ledger.sqlite import SqliteStore, sqlite_ledger
from incamera.protocol.descriptor import embedded_descriptor
from incamera.protocol.secret import Secret
from incamera.protocol.signer import Ed25519Signer


class Ticking:
    """A clock that needs no clock: a millisecond a look."""

    def __init__(self) -> None:
        self.ms = 1_800_000_000_000

    def now_ms(self) -> int:
        self.ms += 1
        return self.ms


async def serve(ledger: Ledger, line: int, entries: list[str]) -> None:
    for index, entry in enumerate(entries):
        await ledger.append(bytes.fromhex(entry))
        os.write(1, f"{line}.{index}\n".encode())


async def main(path: str, seed: str, source: str, *options: str) -> None:
    signer = Ed25519Signer(Secret(bytearray.fromhex(seed)))
    setup = Setup(signer, Ticking(), embedded_descriptor(signer.public))
    ledger = sqlite_ledger(Path(path), setup)
    if options:
        store = ledger._store
        assert isinstance(store, SqliteStore)
        store._writer.execute("PRAGMA synchronous = OFF")
    os.write(1, b"ready\n")
    lines = Path(source).read_text().splitlines()
    await asyncio.gather(*(serve(ledger, n, e.split()) for n, e in enumerate(lines)))


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))

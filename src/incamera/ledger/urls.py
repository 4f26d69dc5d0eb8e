# SPDX-License-Identifier: Apache-2.0
"""Which engine does a ledger's URL name (spec/ledger.md, section 8)?

`memory:` and `sqlite:PATH` are opened here; a gateway's ledger needs a connection and
is opened by `node`.
"""

import asyncio
from pathlib import Path

from incamera.errors import Code, UsageError
from incamera.ledger.base import Ledger
from incamera.ledger.engine import Setup
from incamera.ledger.memory import memory_ledger
from incamera.ledger.sqlite import sqlite_ledger


async def open_ledger(url: str, setup: Setup) -> Ledger:
    """Open the ledger at `url`.

    Raises UsageError: BAD_ARGUMENT for a URL of no engine here, ALREADY_RUNNING;
    LedgerError: WRONG_LEDGER, STORAGE.
    """
    engine, _, rest = url.partition(":")
    if engine == "memory" and not rest:
        return memory_ledger(setup)
    if engine == "sqlite" and rest:
        return await asyncio.to_thread(sqlite_ledger, Path(rest), setup)
    raise UsageError(Code.BAD_ARGUMENT, f"no ledger engine for {url!r}")

# SPDX-License-Identifier: Apache-2.0
"""What the owner of a gateway may set, with units."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from incamera.node.gateway.limits import Limits
from incamera.protocol.descriptor import DEFAULT_PERIOD_S
from incamera.protocol.ids import VerifyKey

DEFAULT_HOST: Final = "127.0.0.1"
LEDGER_FILE: Final = "ledger.db"


@dataclass(frozen=True, slots=True, kw_only=True)
class GatewayConfig:
    """One gateway."""

    home: Path
    """Folder of its own, 0700: TLS key, checkpoint key, ledger and blobs."""
    host: str = DEFAULT_HOST
    """Address to listen at."""
    port: int = 0
    """TCP port; 0 takes a free one."""
    address: str | None = None
    """host:port as members reach it, if not the one it listens at."""
    owners: frozenset[VerifyKey] = frozenset()
    """Keys that may open meetings and sign invitations."""
    period_s: int = DEFAULT_PERIOD_S
    """Longest age (s) of a checkpoint that is given out; part of the ledger's id."""
    parent: bool = False
    """Stop when standard input closes: the process that started it has gone."""
    limits: Limits = field(default_factory=Limits)

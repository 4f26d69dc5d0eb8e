# SPDX-License-Identifier: Apache-2.0
"""What the ledger tells the rules beside the entry (spec/ledger.md, section 2)."""

from dataclasses import dataclass
from typing import Final

from incamera.protocol.ids import LedgerId

RULES: Final = 1
"""The rules version of this code; verdicts of a published version never change."""


@dataclass(frozen=True, slots=True)
class Context:
    """Where and when an entry is judged."""

    ledger_id: LedgerId
    rules: int
    """Rules version to judge by: that of the topic's first entry."""
    index: int
    """Number of entries before this one in the topic."""
    time_ms: int
    """Ledger time of the entry."""

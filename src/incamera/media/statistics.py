# SPDX-License-Identifier: Apache-2.0
"""What happened to the frames of a stream, in numbers (spec/media.md, section 6)."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType

from incamera.errors import Code
from incamera.protocol.frames import StreamKind


@dataclass(slots=True)
class Tally:
    """Counts of one stream while it runs; diagnostics only, no rule reads them."""

    received: int = 0
    opened: int = 0
    delivered: int = 0
    gaps: int = 0
    asked: int = 0
    sent: int = 0
    refused: Counter[Code] = field(default_factory=Counter)


@dataclass(frozen=True, slots=True)
class StreamStatistics:
    """A snapshot of one stream of one member.

    `received` counts frames off the network, `opened` those that decrypted and
    belonged there, `delivered` those passed on (a delta without its key frame is not),
    `gaps` places where frames are missing, `asked` key frames asked of the sender or by
    receivers, `sent` frames handed to a connection, `refused` frames dropped, by code.
    """

    slot: int
    kind: StreamKind
    received: int
    opened: int
    delivered: int
    gaps: int
    asked: int
    sent: int
    refused: Mapping[Code, int]


def snapshot(slot: int, kind: StreamKind, tally: Tally) -> StreamStatistics:
    """Return what `tally` holds now."""
    return StreamStatistics(
        slot=slot,
        kind=kind,
        received=tally.received,
        opened=tally.opened,
        delivered=tally.delivered,
        gaps=tally.gaps,
        asked=tally.asked,
        sent=tally.sent,
        refused=MappingProxyType(dict(tally.refused)),
    )

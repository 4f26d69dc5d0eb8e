# SPDX-License-Identifier: Apache-2.0
"""How much may anybody ask of the gateway (spec/relay.md, section 6)?

Every limit stands here, with its unit in its name and its reason below it.  Rates are
token buckets: `burst` at once, then `per_s` for ever.
"""

from collections import OrderedDict
from collections.abc import Hashable
from dataclasses import dataclass, field
from typing import Final

from incamera.errors import Code, LedgerError

MAX_REMEMBERED: Final = 65_536
"""Buckets remembered per kind: 10 MB; the one idle longest is forgotten first."""


@dataclass(frozen=True, slots=True)
class Rate:
    """A token bucket: `burst` tokens at most, `per_s` new ones a second."""

    per_s: float
    burst: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """All limits of one gateway; the defaults fit a laptop and 1000 members."""

    connections: int = 4096
    """Open connections in all: four for each member of our largest usual meeting."""
    connections_per_address: int = 1024
    """One office behind one address may hold a whole meeting."""
    requests: Rate = Rate(200, 2000)
    """HTTP requests per address: a joiner of a long topic makes about 300 at once."""
    appends: Rate = Rate(50, 2000)
    """Appends per address: a whole office asks to come in at once."""
    refusals: Rate = Rate(20, 200)
    """Appends per address that the rules refused: each costs two signature checks."""
    topic_requests: Rate = Rate(100, 4096)
    """Requests per meeting; apart from members' entries, so strangers delay nobody."""
    topic_entries: Rate = Rate(20, 500)
    """Other entries per topic: an epoch a second is already a lot."""
    user_topics: Rate = Rate(200 / 86_400, 200)
    """User topics opened per address, 200 a day: an office on its first day."""
    stranger_meetings: Rate = Rate(0, 0)
    """Meetings opened per address without permit or invitation: none by default."""
    posts: Rate = Rate(200, 2000)
    """Relay messages per member: an offer to each of 1000 members at once."""
    requester_posts: Rate = Rate(1, 16)
    """Relay messages per requester: first contact is one box, answered by people."""
    blob_puts: Rate = Rate(1, 16)
    """Blobs stored per member: one proof, renewed with its key."""
    queue_bytes: int = 262_144
    """One receiver's queue from members; also what it may have unacknowledged."""
    requester_queue_bytes: int = 262_144
    """The leader's queue from requesters, apart, so that they displace no member."""
    sender_bytes: int = 131_072
    """Of one queue by one sender: half, so that one member cannot close it alone."""
    relay_bytes: int = 256 * 1024 * 1024
    """All queues together."""
    meetings: int = 1024
    """Meetings with an open relay room; each keeps the topic's state in memory."""
    wrap_life_ms: int = 60_000
    """A wrap older than this is asked for again anyway."""
    message_life_ms: int = 600_000
    """Equal to the longest outage after which members stop sending."""
    answer_s: float = 10
    """Seconds for the answer to the relay's challenge."""
    blob_drift_ms: int = 60_000
    """How far a blob's time may be from ours."""
    blobs_bytes: int = 1024 * 1024 * 1024
    """All stored blobs together."""
    ledger_bytes: int = 8 * 1024 * 1024 * 1024
    """The ledger's file."""
    open_bytes: int = 256 * 1024 * 1024
    """Space below which no topic is opened any more; running ones go on."""
    follow_bytes: int = 16 * 1024 * 1024
    """Space below which nothing is taken any more."""


@dataclass(slots=True)
class _Bucket:
    tokens: float
    at_s: float


@dataclass(slots=True)
class Buckets:
    """One bucket per key, all with the same rate."""

    rate: Rate
    _buckets: OrderedDict[Hashable, _Bucket] = field(default_factory=OrderedDict)

    def take(self, key: Hashable, now_s: float, tokens: float = 1) -> None:
        """Take tokens from the bucket of `key`; LedgerError(QUOTA) if it has too few.

        `now_s` is monotonic time in seconds.
        """
        bucket = self._refill(key, now_s)
        if bucket.tokens < tokens:
            raise LedgerError(Code.QUOTA, "too many requests, try again later")
        bucket.tokens -= tokens

    def check(self, key: Hashable, now_s: float) -> None:
        """As `take`, without taking anything."""
        if self._refill(key, now_s).tokens < 1:
            raise LedgerError(Code.QUOTA, "too many requests, try again later")

    def _refill(self, key: Hashable, now_s: float) -> _Bucket:
        bucket = self._buckets.pop(key, None) or _Bucket(self.rate.burst, now_s)
        grown = bucket.tokens + (now_s - bucket.at_s) * self.rate.per_s
        bucket.tokens, bucket.at_s = min(self.rate.burst, grown), now_s
        self._buckets[key] = bucket
        # Forgetting the longest idle bucket gives its owner a full one: harmless,
        # since filling the table takes 65,536 addresses.
        while len(self._buckets) > MAX_REMEMBERED:
            self._buckets.popitem(last=False)
        return bucket


class Counter:
    """How many of something each key has open."""

    def __init__(self, *, each: int, total: int) -> None:
        self._each = each
        self._most = total
        self._open: dict[Hashable, int] = {}
        self.total = 0

    def open(self, key: Hashable) -> None:
        """Count one more of `key`; LedgerError(QUOTA) above a limit."""
        mine = self._open.get(key, 0)
        if mine >= self._each or self.total >= self._most:
            raise LedgerError(Code.QUOTA, "too many connections")
        self._open[key] = mine + 1
        self.total += 1

    def close(self, key: Hashable) -> None:
        """Count one less of `key`."""
        left = self._open[key] - 1
        self.total -= 1
        if left:
            self._open[key] = left
        else:
            del self._open[key]

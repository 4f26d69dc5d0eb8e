# SPDX-License-Identifier: Apache-2.0
"""What does a client remember of a ledger, so that it cannot be taken back?

The caller keeps `Memory` on disk, one per ledger.  Whatever was verified once must
still hold in every later answer.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from incamera.errors import Code
from incamera.protocol.encoding import encode, parse
from incamera.protocol.ids import Head, TopicId
from incamera.protocol.log import EMPTY_ROOT
from incamera.protocol.proof import EMPTY_HEAD
from incamera.protocol.schema import (
    ArrayOf,
    As,
    ListOf,
    MapOf,
    key,
    octets,
    record,
    text,
    uint,
)

MAX_TOPICS: Final = 65_536
"""Topics remembered: 5 MB; whoever reads more is not a member but a mirror."""
MAX_MEMORY: Final = 8 * 1024 * 1024
MAX_EVIDENCE: Final = 16
"""Pieces of evidence kept; one is enough to leave a ledger."""


@record
class SeenLog:
    """The newest log that was verified, with the note that signs it."""

    size: int = key(1, uint())
    root: bytes = key(2, octets(32))
    note: str = key(3, text(8192))


@record
class SeenTopic:
    """The longest verified list of a topic: its length and its head."""

    topic: TopicId = key(0, As(octets(32), TopicId))
    count: int = key(1, uint())
    head: Head = key(2, As(octets(32), Head))


@record
class _Saved:
    log: SeenLog = key(1, MapOf(SeenLog))
    topics: tuple[SeenTopic, ...] = key(2, ListOf(ArrayOf(SeenTopic), MAX_TOPICS))


_SAVED: Final = MapOf(_Saved)
NOTHING: Final = SeenLog(size=0, root=EMPTY_ROOT, note="")


@dataclass(frozen=True, slots=True)
class Evidence:
    """What a ledger was caught with: a code, and the signed bytes that show it."""

    code: Code
    items: tuple[bytes, ...]


@dataclass(slots=True)
class Memory:
    """Everything that was verified about one ledger so far."""

    log: SeenLog = NOTHING
    topics: dict[TopicId, SeenTopic] = field(default_factory=dict)
    evidence: list[Evidence] = field(default_factory=list)

    def topic(self, topic: TopicId) -> SeenTopic:
        """Return what was seen of a topic: empty if nothing."""
        empty = SeenTopic(topic=topic, count=0, head=EMPTY_HEAD)
        return self.topics.get(topic, empty)

    def saw_log(self, log: SeenLog) -> None:
        """Remember a verified log if it is newer."""
        if log.size > self.log.size:
            self.log = log

    def saw_topic(self, topic: TopicId, count: int, head: Head) -> None:
        """Remember a verified topic if it is longer."""
        if count > self.topic(topic).count:
            if topic not in self.topics and len(self.topics) >= MAX_TOPICS:
                self.topics.pop(next(iter(self.topics)))
            self.topics[topic] = SeenTopic(topic=topic, count=count, head=head)

    def caught(self, code: Code, *items: bytes) -> None:
        """Keep evidence, the newest last."""
        self.evidence.append(Evidence(code, items))
        del self.evidence[:-MAX_EVIDENCE]


def encode_memory(memory: Memory) -> bytes:
    """Return the saved form; evidence is the caller's to keep."""
    saved = _Saved(log=memory.log, topics=tuple(memory.topics.values()))
    return encode(_SAVED.encode(saved))


def parse_memory(data: bytes) -> Memory:
    """Return what `encode_memory` wrote; PeerError as every parser."""
    saved = _SAVED.decode(parse(data, MAX_MEMORY))
    topics: Mapping[TopicId, SeenTopic] = {seen.topic: seen for seen in saved.topics}
    return Memory(saved.log, dict(topics))

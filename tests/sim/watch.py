# SPDX-License-Identifier: Apache-2.0
"""What must never happen, read off everything that a world put on wire and ledger.

Each function returns what it found wrong; an empty list is what a test wants.
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from tests.sim.world import World

from incamera.errors import PeerError
from incamera.protocol.bodies import Epoch
from incamera.protocol.box import GroupBox, GroupContext, open_group
from incamera.protocol.context import RULES, Context
from incamera.protocol.entry import parse_entry
from incamera.protocol.ids import EntryId, Kid
from incamera.protocol.keyring import EpochKey
from incamera.protocol.meeting_state import MeetingState
from incamera.protocol.message import (
    Message,
    parse_message,
    parse_sealed_message,
    parse_wrap_batch,
)
from incamera.protocol.message_bodies import EntryPush, KekMessage, WrapBatch
from incamera.protocol.schedule import group_key
from incamera.protocol.topic import apply


@dataclass(frozen=True)
class Opened:
    """A signed message that crossed the wire, opened with every key there ever was."""

    sender: Kid
    counter: int
    data: bytes


def batch_of(data: bytes) -> WrapBatch | None:
    """Return a batch of wraps, or None if it is something else."""
    try:
        return parse_wrap_batch(data)
    except PeerError:
        return None


def read_box(box: GroupBox, key: EpochKey) -> Message:
    """Return what a group box holds."""
    context = GroupContext(key.context.meeting, key.context.prev_epoch, key.key_id)
    group = group_key(key.key, key.key_id)
    return parse_sealed_message(open_group(group, box, context))


def signed_messages(world: World) -> Iterator[Opened]:
    """Yield every signed message that crossed the wire."""
    keys = world.keys
    for sent in world.wire:
        if batch_of(sent.data) is not None:
            continue
        match parse_message(sent.data):
            case Message() as message:
                yield _opened(message)
            case GroupBox() as box:
                yield _opened(read_box(box, keys[box.key_id]))
            case _:
                pass


def _opened(message: Message) -> Opened:
    return Opened(message.header.sender, message.header.counter, message.data)


def twice(messages: Iterable[Opened]) -> list[tuple[Kid, int]]:
    """Return every (sender, counter) that two different messages carry."""
    seen: dict[tuple[Kid, int], set[bytes]] = defaultdict(set)
    for message in messages:
        seen[message.sender, message.counter].add(message.data)
    return [place for place, messages_ in seen.items() if len(messages_) > 1]


def states(world: World) -> dict[EntryId, MeetingState]:
    """Return the state after each entry on the ledger."""
    state, found = None, {}
    for index, record in enumerate(world.records):
        entry = parse_entry(record.entry)
        after = apply(
            state, entry, Context(world.ledger_id, RULES, index, record.time_ms)
        )
        assert isinstance(after, MeetingState)
        state = found[entry.id] = after
    return found


def reused_steps(world: World) -> list[tuple[bytes, int]]:
    """Return every (pairwise key, step) under which two different wraps went out."""
    at, keks = states(world), dict[EntryId, bytes]()
    seen: dict[tuple[bytes, int], set[bytes]] = defaultdict(set)
    for sent in world.wire:
        batch = batch_of(sent.data)
        if batch is not None:
            roster = at[EntryId(batch.key_id)].roster
            for wrap in batch.wraps:
                place = keks[roster[wrap.slot].id], wrap.step
                seen[place].add(wrap.sealed)
            continue
        message = parse_message(sent.data)
        if isinstance(message, Message) and isinstance(message.body, KekMessage):
            keks[message.body.receiver] = message.body.kek_id
    return [place for place, wraps in seen.items() if len(wraps) > 1]


def two_on_one(entries: Iterable[bytes]) -> list[EntryId]:
    """Return every prev_epoch on which two different epochs were signed."""
    seen: dict[EntryId, set[EntryId]] = defaultdict(set)
    for data in entries:
        entry = parse_entry(data)
        if isinstance(entry.body, Epoch):
            seen[entry.body.prev_epoch].add(entry.id)
    return [prev for prev, epochs in seen.items() if len(epochs) > 1]


def signed_epochs(world: World) -> list[bytes]:
    """Return every epoch that left a process, over the wire or to the ledger."""
    pushes = [
        parse_message(sent.data) for sent in world.wire if batch_of(sent.data) is None
    ]
    pushed = [push.entry for push in pushes if isinstance(push, EntryPush)]
    return pushed + world.offered


def repeated_generations(world: World) -> list[str]:
    """Return who used a stream generation twice."""
    return [
        node.name
        for node in world.nodes.values()
        if len(set(node.generations)) != len(node.generations)
    ]


def faults(world: World) -> list[object]:
    """Return all that went wrong in a world."""
    return [
        *twice(signed_messages(world)),
        *reused_steps(world),
        *two_on_one(signed_epochs(world)),
        *repeated_generations(world),
    ]

# SPDX-License-Identifier: Apache-2.0
"""Which meeting keys are held, and which is sent under (spec/keys.md, section 6).

Rule 1: a key is installed once, after its commitment matched the epoch entry.
Rule 2: sending moves to the newest key on the leader's word or half a second later.
Rule 3: after a removal is seen nothing is sent until a later key is in use.
Rule 4: an old key is dropped two seconds after our own switch.
"""

from dataclasses import dataclass, replace
from typing import Final

from incamera.errors import Code, PeerError
from incamera.protocol.encoding import Value
from incamera.protocol.ids import EntryId, KeyId, MeetingId
from incamera.protocol.schedule import EpochContext
from incamera.protocol.secret import Secret
from incamera.protocol.snapshot import SnapshotReader, SnapshotWriter

SWITCH_AFTER_MS: Final = 500
"""A lost `switch` must not hold a sender back longer than a syllable."""
DROP_AFTER_MS: Final = 2_000
"""Frames of the old key still under way when we switched; later ones are refused."""


@dataclass(frozen=True, slots=True)
class EpochKey:
    """One meeting key and everything it is bound to."""

    key_id: KeyId
    context: EpochContext
    key: Secret
    switch_at_ms: int
    drop_at_ms: int | None = None

    @property
    def epoch(self) -> int:
        """The epoch number."""
        return self.context.epoch


class Keyring:
    """The live keys of one meeting, oldest first."""

    def __init__(self) -> None:
        self._keys: dict[KeyId, EpochKey] = {}
        self.sending: KeyId | None = None
        self.stopped = False

    @property
    def newest(self) -> EpochKey | None:
        """The key installed last."""
        return next(reversed(self._keys.values()), None)

    def find(self, key_id: KeyId) -> EpochKey:
        """Return a key by id; PeerError(MISSING_KEY)."""
        if key_id not in self._keys:
            raise PeerError(Code.MISSING_KEY, "no key of that id")
        return self._keys[key_id]

    def by_epoch(self, epoch: int) -> EpochKey:
        """Return a key by epoch number; PeerError(MISSING_KEY)."""
        for key in self._keys.values():
            if key.epoch == epoch:
                return key
        raise PeerError(Code.MISSING_KEY, "no key of that epoch")

    def live(self) -> list[EpochKey]:
        """Return the keys held, oldest first."""
        return list(self._keys.values())

    def sending_key(self) -> EpochKey | None:
        """Return the key that we send under, if we hold it."""
        return None if self.sending is None else self._keys.get(self.sending)

    def __contains__(self, key_id: KeyId) -> bool:
        return key_id in self._keys

    def install(self, key: EpochKey) -> None:
        """Hold a new key (rule 1); never one that is older than the newest."""
        newest = self.newest
        if newest is not None and key.epoch <= newest.epoch:
            raise PeerError(Code.REPLAYED, "an older key never comes back")
        self._keys[key.key_id] = key

    def switch(self, key_id: KeyId, now_ms: int) -> bool:
        """Send under this key from now on (rule 2); False if we do so already."""
        key = self.find(key_id)
        sending = self.sending_key()
        if sending is not None and sending.epoch >= key.epoch:
            return False
        self.sending = key_id
        self.stopped = False
        for older in list(self._keys.values()):
            if older.epoch < key.epoch and older.drop_at_ms is None:
                drop_at = now_ms + DROP_AFTER_MS
                self._keys[older.key_id] = replace(older, drop_at_ms=drop_at)
        return True

    def stop(self) -> None:
        """A removal was seen: nothing more is sent under the present key (rule 3)."""
        self.stopped = True

    def due(self, now_ms: int) -> tuple[KeyId | None, list[EpochKey]]:
        """Return the key to switch to by now, and the keys dropped by now (rule 4)."""
        newest = self.newest
        waiting = newest is not None and newest.key_id != self.sending
        switch = newest.key_id if waiting and now_ms >= newest.switch_at_ms else None  # type: ignore[union-attr]  # waiting implies newest
        dropped = [
            key
            for key in self._keys.values()
            if key.drop_at_ms is not None and now_ms >= key.drop_at_ms
        ]
        for key in dropped:
            del self._keys[key.key_id]
            key.key.wipe()
        return switch, dropped

    def next_due_ms(self, *, held_back: bool = False) -> int | None:
        """Return when `due` has something to do, or None.

        `held_back`: the newest key waits for an entry, so time does not bring it.
        """
        times = [key.drop_at_ms for key in self._keys.values() if key.drop_at_ms]
        newest = self.newest
        if newest and newest.key_id != self.sending and not held_back:
            times.append(newest.switch_at_ms)
        return min(times, default=None)

    def wipe(self) -> None:
        """Overwrite every key."""
        for key in self._keys.values():
            key.key.wipe()
        self._keys.clear()
        self.sending = None

    def save(self, writer: SnapshotWriter) -> Value:
        """Return the saved form."""
        keys: Value = [_save_key(key, writer) for key in self._keys.values()]
        return [keys, self.sending, self.stopped]

    @classmethod
    def load(cls, value: Value, reader: SnapshotReader) -> "Keyring":
        """Return what `save` wrote."""
        match value:
            case [list() as keys, bytes() | None as sending, bool() as stopped]:
                ring = cls()
                loaded = [_load_key(key, reader) for key in keys]
                ring._keys = {key.key_id: key for key in loaded}
                ring.sending = None if sending is None else KeyId(sending)
                ring.stopped = stopped
                return ring
        raise AssertionError("a snapshot is authentic before it is read")


def _save_key(key: EpochKey, writer: SnapshotWriter) -> Value:
    context = key.context
    return [
        key.key_id,
        [context.meeting, context.prev_epoch, context.roster_root],
        [context.term, context.epoch, key.switch_at_ms, key.drop_at_ms],
        writer.put(key.key),
    ]


def _load_key(value: Value, reader: SnapshotReader) -> EpochKey:
    match value:
        case [
            bytes() as key_id,
            [bytes() as meeting, bytes() as prev, bytes() as root],
            [
                int() as term,
                int() as epoch,
                int() as switch_at,
                int() | None as drop_at,
            ],
            int() as index,
        ]:
            context = EpochContext(
                meeting=MeetingId(meeting),
                prev_epoch=EntryId(prev),
                roster_root=root,
                term=term,
                epoch=epoch,
            )
            key = reader.take(index)
            return EpochKey(KeyId(key_id), context, key, switch_at, drop_at)
    raise AssertionError("a snapshot is authentic before it is read")

# SPDX-License-Identifier: Apache-2.0
"""Which keys are held and which is sent under."""

from collections.abc import Callable
from typing import Any

import pytest

from incamera.errors import Code
from incamera.protocol.ids import EntryId, KeyId, MeetingId
from incamera.protocol.keyring import (
    DROP_AFTER_MS,
    SWITCH_AFTER_MS,
    EpochKey,
    Keyring,
)
from incamera.protocol.schedule import EpochContext
from incamera.protocol.secret import Secret
from incamera.protocol.snapshot import SnapshotReader, SnapshotWriter

Refused = Callable[[Code], Any]


def key(epoch: int, *, now_ms: int = 0) -> EpochKey:
    context = EpochContext(
        MeetingId(bytes(32)), EntryId(bytes(32)), bytes(32), 0, epoch
    )
    switch_at = now_ms + SWITCH_AFTER_MS
    return EpochKey(
        KeyId(bytes([epoch]) * 32), context, Secret(bytearray([epoch]) * 32), switch_at
    )


@pytest.fixture
def ring() -> Keyring:
    """Epochs 1 and 2; 1 is sent under."""
    ring = Keyring()
    for epoch in (1, 2):
        ring.install(key(epoch))
    ring.switch(key(1).key_id, 0)
    return ring


def test_an_empty_ring_has_nothing(refused: Refused) -> None:
    ring = Keyring()
    assert ring.newest is None
    assert ring.sending_key() is None
    assert ring.next_due_ms() is None
    assert ring.due(10) == (None, [])
    with refused(Code.MISSING_KEY):
        ring.find(key(1).key_id)


def test_keys_are_found_by_id_and_epoch(ring: Keyring, refused: Refused) -> None:
    assert ring.find(key(2).key_id).epoch == ring.by_epoch(2).epoch == 2
    assert key(2).key_id in ring
    with refused(Code.MISSING_KEY):
        ring.by_epoch(3)


@pytest.mark.parametrize("epoch", [1, 2])
def test_an_older_key_never_comes_back(
    ring: Keyring, epoch: int, refused: Refused
) -> None:
    with refused(Code.REPLAYED):
        ring.install(key(epoch))


def test_sending_moves_forward_only(ring: Keyring) -> None:
    ring.stop()
    assert ring.switch(key(2).key_id, 100)
    assert not ring.stopped
    assert not ring.switch(key(1).key_id, 200)
    assert not ring.switch(key(2).key_id, 200)
    sending = ring.sending_key()
    assert sending is not None
    assert sending.epoch == 2


def test_it_switches_by_itself_after_a_while(ring: Keyring) -> None:
    assert ring.next_due_ms() == SWITCH_AFTER_MS
    assert ring.next_due_ms(held_back=True) is None
    assert ring.due(SWITCH_AFTER_MS - 1) == (None, [])
    assert ring.due(SWITCH_AFTER_MS) == (key(2).key_id, [])


def test_an_old_key_is_dropped_and_zero(ring: Keyring) -> None:
    old = ring.by_epoch(1).key
    ring.switch(key(2).key_id, 100)
    assert ring.next_due_ms() == 100 + DROP_AFTER_MS
    switch, dropped = ring.due(100 + DROP_AFTER_MS)
    assert switch is None
    assert [key.epoch for key in dropped] == [1]
    assert [key.epoch for key in ring.live()] == [2]
    assert not any(old.buffer)


def test_a_second_switch_does_not_put_off_a_drop(ring: Keyring) -> None:
    ring.switch(key(2).key_id, 100)
    ring.install(key(3))
    ring.switch(key(3).key_id, 1000)
    assert ring.by_epoch(1).drop_at_ms == 100 + DROP_AFTER_MS
    assert ring.by_epoch(2).drop_at_ms == 1000 + DROP_AFTER_MS


def test_a_wiped_ring_is_zero(ring: Keyring) -> None:
    keys = [key.key for key in ring.live()]
    ring.wipe()
    assert ring.live() == []
    assert not any(any(key.buffer) for key in keys)


@pytest.mark.parametrize("sending", [True, False])
def test_a_ring_is_saved_and_found_again(ring: Keyring, sending: bool) -> None:
    if not sending:
        ring = Keyring()
    ring.stop()
    writer = SnapshotWriter()
    reader = SnapshotReader(writer.finish(ring.save(writer)))
    again = Keyring.load(reader.value, reader)
    assert again.live() == ring.live()
    assert again.sending == ring.sending
    assert again.stopped


@pytest.mark.parametrize("value", [None, [[None], None, True]])
def test_a_damaged_ring_is_noticed(value: Any) -> None:
    with pytest.raises(AssertionError):
        Keyring.load(value, SnapshotReader(SnapshotWriter().finish(None)))

# SPDX-License-Identifier: Apache-2.0
"""No key and counter twice, however often a member starts; a key for each kind."""

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from incamera.errors import Code
from incamera.protocol.frames import StreamId, StreamKind, StreamReceiver, StreamSender
from incamera.protocol.ids import MeetingId
from incamera.protocol.schedule import base_key
from incamera.protocol.secret import Secret
from incamera.protocol.sframe import parse_header

Refused = Callable[[Code], Any]
MEETING = MeetingId(bytes(range(32)))
SLOT = 3
EPOCHS = (1, 2, 3, 4)


def key(epoch: int, number: int) -> Secret:
    """Return the base key of a stream in an epoch whose meeting key is the epoch."""
    meeting_key = Secret(bytearray([epoch]) * 32)
    return base_key(meeting_key, meeting=MEETING, epoch=epoch, slot=SLOT, number=number)


def sender(number: int, epochs: tuple[int, ...] = (1,)) -> StreamSender:
    """Return a sender with these epochs installed, the first in use."""
    made = StreamSender(MEETING, StreamId(SLOT, number))
    for epoch in epochs:
        made.install(epoch, key(epoch, number))
    made.switch(epochs[0])
    return made


def receiver(number: int, base: Secret) -> StreamReceiver:
    """Return a receiver of one stream in epoch 1."""
    made = StreamReceiver(MEETING, SLOT)
    made.announce(number)
    made.install(1, number, base)
    return made


def used(sending: StreamSender, frames: int) -> Iterator[tuple[int, int]]:
    """Yield the (KID, counter) of that many protected frames."""
    for _ in range(frames):
        header = parse_header(sending.protect(b""))
        yield header.kid, header.counter


@pytest.mark.acceptance("Z1-11")
def test_a_million_frames_repeat_no_key_and_counter() -> None:
    """Five lives of a member that changes keys, leaves, returns and starts again.

    Slot and epochs return in each; each has its own generation, thus its own keys.
    """
    seen = set[tuple[int, int, int, int]]()
    for life in range(5):
        number = 4 * life + StreamKind.VIDEO
        sending = sender(number, EPOCHS)
        for epoch in EPOCHS:
            if epoch > EPOCHS[0]:
                sending.switch(epoch)
            seen |= {(number, epoch, *pair) for pair in used(sending, 50_000)}
    assert len(seen) == 10**6


@pytest.mark.acceptance("Z1-11")
def test_a_million_frames_repeat_no_key_and_counter_control() -> None:
    """Two senders of one generation do repeat: the generation tells them apart."""
    assert set(used(sender(5), 100)) == set(used(sender(5), 100))
    assert sender(5).protect(b"x") == sender(5).protect(b"x")
    lives = [sender(number).protect(b"x") for number in (5, 9)]
    assert lives[0] != lives[1]
    assert parse_header(lives[0]) == parse_header(lives[1])


@pytest.mark.acceptance("Z1-10")
@pytest.mark.acceptance("Z1-31")
@pytest.mark.parametrize("kind", StreamKind)
def test_kinds_have_keys_of_their_own(kind: StreamKind, refused: Refused) -> None:
    data = sender(kind).protect(b"same")
    assert receiver(kind, key(1, kind)).open(data).kind is kind
    for other in {*StreamKind} - {kind}:
        with refused(Code.BAD_BOX):
            receiver(kind, key(1, other)).open(data)


@pytest.mark.acceptance("Z1-10")
@pytest.mark.acceptance("Z1-31")
def test_kinds_have_keys_of_their_own_control() -> None:
    """Of one kind, two senders with one base key are read alike: the key decides."""
    sending = StreamSender(MEETING, StreamId(SLOT, StreamKind.VIDEO))
    sending.install(1, key(1, StreamKind.AUDIO))
    sending.switch(1)
    receiving = receiver(StreamKind.VIDEO, key(1, StreamKind.AUDIO))
    assert receiving.open(sending.protect(b"same")).frame == b"same"

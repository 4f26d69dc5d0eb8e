# SPDX-License-Identifier: Apache-2.0
"""Streams: keys by epoch, one key per KID, nothing under a removed member's key."""

from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from incamera.errors import Code, PeerError
from incamera.protocol.frames import (
    MAX_DUMMY,
    MAX_FRAME,
    MAX_PROTECTED,
    MAX_SLOT,
    VP8_DELTA,
    Opened,
    StreamId,
    StreamKind,
    StreamReceiver,
    StreamSender,
    kid_of_stream,
    kind_of,
    vp8_dummy_size,
    vp8_key,
)
from incamera.protocol.ids import MeetingId
from incamera.protocol.schedule import base_key
from incamera.protocol.secret import Secret
from incamera.protocol.sframe import parse_header

Refused = Callable[[Code], Any]
MEETING = MeetingId(bytes(range(32)))
SLOT = 3
VIDEO = 5  # generation 1, kind 1


def key(epoch: int, *, slot: int = SLOT, number: int = VIDEO) -> Secret:
    """Return the base key of a stream in an epoch whose meeting key is the epoch."""
    meeting_key = Secret(bytearray(epoch.to_bytes(32, "big")))
    return base_key(meeting_key, meeting=MEETING, epoch=epoch, slot=slot, number=number)


def sender(*epochs: int, number: int = VIDEO, slot: int = SLOT) -> StreamSender:
    """Return a sender with these epochs installed, the first in use."""
    made = StreamSender(MEETING, StreamId(slot, number))
    for epoch in epochs:
        made.install(epoch, key(epoch, slot=slot, number=number))
    made.switch(epochs[0])
    return made


def receiver(*epochs: int, numbers: tuple[int, ...] = (VIDEO,)) -> StreamReceiver:
    """Return a receiver of these streams in these epochs."""
    made = StreamReceiver(MEETING, SLOT)
    for number in numbers:
        made.announce(number)
        for epoch in epochs:
            made.install(epoch, number, key(epoch, number=number))
    return made


@pytest.mark.parametrize("dummy", [b"", VP8_DELTA, vp8_key(640, 360), bytes(MAX_DUMMY)])
def test_a_frame_arrives_with_its_stream_and_epoch(dummy: bytes) -> None:
    sending, receiving = sender(6), receiver(6)
    for counter in range(300):
        data = sending.protect(b"picture", dummy=dummy)
        assert data.startswith(dummy)
        opened = receiving.open(data, dummy=len(dummy))
        assert opened == Opened(StreamKind.VIDEO, VIDEO, 6, counter, b"picture")


@given(st.binary(max_size=200), st.binary(max_size=12))
def test_frames_come_back(frame: bytes, dummy: bytes) -> None:
    data = sender(1).protect(frame, dummy=dummy)
    assert receiver(1).open(data, dummy=len(dummy)).frame == frame


@given(st.binary(max_size=60), st.integers(0, 12))
def test_random_bytes_are_refused(data: bytes, dummy: int) -> None:
    with pytest.raises(PeerError):
        receiver(1).open(data, dummy=dummy)


def test_every_flipped_bit_is_refused() -> None:
    data = sender(1).protect(b"picture", dummy=VP8_DELTA)
    receiving = receiver(1)
    for bit in range(8 * len(data)):
        spoiled = bytearray(data)
        spoiled[bit // 8] ^= 1 << bit % 8
        with pytest.raises(PeerError):
            receiving.open(bytes(spoiled), dummy=1)
    assert receiving.open(data, dummy=1).frame == b"picture"


def test_the_dummy_is_bound_with_its_length(refused: Refused) -> None:
    data = sender(1).protect(b"picture", dummy=b"\x00")
    with refused(Code.BAD_BOX):
        receiver(1).open(b"\x01" + data[1:], dummy=1)
    with refused(Code.BAD_BOX):
        receiver(1).open(data[1:], dummy=0)


def test_the_kid_is_slot_kind_and_epoch() -> None:
    assert kid_of_stream(StreamId(SLOT, VIDEO), 6) == 0b11_01_10
    assert kid_of_stream(StreamId(MAX_SLOT, 2**53 - 1), 7) == 0xFFFF
    data = sender(6).protect(b"")
    assert parse_header(data).kid == 0b11_01_10


@pytest.mark.parametrize(("slot", "overhead"), [(0, 20), (15, 20), (16, 22)])
def test_overhead_of_an_audio_frame(slot: int, overhead: int) -> None:
    """15 minutes of audio, the longest life of a key, is 45,000 frames."""
    sending = sender(1, slot=slot, number=0)
    sizes = [len(sending.protect(b"")) for _ in range(45_000)]
    assert max(sizes) <= overhead


@pytest.mark.parametrize(("slot", "number"), [(-1, 0), (4096, 0), (0, -1), (0, 2**53)])
def test_no_such_stream(slot: int, number: int, refused: Refused) -> None:
    with refused(Code.BAD_ARGUMENT):
        StreamId(slot, number)


def test_nothing_is_protected_without_a_key(refused: Refused) -> None:
    sending = StreamSender(MEETING, StreamId(SLOT, VIDEO))
    with refused(Code.MISSING_KEY):
        sending.switch(1)
    sending.install(1, key(1))
    assert sending.epoch is None
    with refused(Code.MISSING_KEY):
        sending.protect(b"picture")


def test_switching_goes_forward_only(refused: Refused) -> None:
    sending = sender(1, 2, 3)
    sending.switch(3)
    assert sending.epoch == 3
    for epoch in (1, 2, 3):
        with refused(Code.WRONG_STATE):
            sending.switch(epoch)
    assert sending.epoch == 3


def test_after_a_removal_only_its_epoch_protects(refused: Refused) -> None:
    sending = sender(4)
    sending.stop(until=6)
    sending.install(5, key(5))  # late, and known to the removed member
    for epoch in (4, 5):
        with refused(Code.WRONG_STATE):
            sending.switch(epoch)
    with refused(Code.MISSING_KEY):
        sending.protect(b"picture")
    sending.install(6, key(6))
    sending.switch(6)
    assert parse_header(sending.protect(b"picture")).kid & 3 == 6 % 4


def test_after_a_removal_only_its_epoch_protects_control() -> None:
    sending = sender(4)
    sending.install(5, key(5))
    sending.switch(5)
    assert sending.protect(b"picture")


def test_stop_alone_asks_for_an_epoch_later_than_all(refused: Refused) -> None:
    sending = sender(1, 2)
    sending.stop()
    with refused(Code.WRONG_STATE):
        sending.switch(2)
    sending.install(3, key(3))
    sending.switch(3)
    assert sending.epoch == 3


def test_stop_never_goes_on_with_the_key_in_use(refused: Refused) -> None:
    sending = sender(4)
    sending.stop(until=2)
    with refused(Code.WRONG_STATE):
        sending.switch(4)


def test_stop_before_any_key() -> None:
    sending = StreamSender(MEETING, StreamId(SLOT, VIDEO))
    sending.stop()
    sending.install(0, key(0))
    sending.switch(0)
    assert sending.epoch == 0


def test_a_claim_may_number_its_epoch_lower(refused: Refused) -> None:
    sending = sender(7)
    sending.uninstall(7)
    assert sending.epoch is None
    sending.install(6, key(6))
    sending.switch(6)
    assert sending.epoch == 6
    sending.uninstall(5)
    assert sending.epoch == 6
    with refused(Code.WRONG_STATE):
        sending.install(7, key(7))  # the very key that was in use


def test_an_epoch_four_later_takes_the_place(refused: Refused) -> None:
    sending, receiving = sender(1), receiver(1)
    late = sending.protect(b"late")
    sending.install(5, key(5))
    receiving.install(5, VIDEO, key(5))
    with refused(Code.MISSING_KEY):
        sending.protect(b"picture")
    with refused(Code.BAD_BOX):
        receiving.open(late)
    with refused(Code.WRONG_STATE):
        sending.install(1, key(9))
    with refused(Code.WRONG_STATE):
        receiving.install(1, VIDEO, key(9))


def test_a_key_is_installed_once(refused: Refused) -> None:
    sending, receiving = sender(1), receiver(1)
    for other in (key(1), key(2)):
        with refused(Code.WRONG_STATE):
            sending.install(1, other)
        with refused(Code.WRONG_STATE):
            receiving.install(1, VIDEO, other)


@pytest.mark.acceptance("Z1-11")
def test_a_key_never_comes_back(refused: Refused) -> None:
    sending, receiving = sender(1), receiver(1)
    data = sending.protect(b"picture")
    receiving.open(data)
    sending.uninstall(1)
    receiving.uninstall(1)
    for epoch in (1, 5):  # 5 has the same KID, so the same SFrame key
        with refused(Code.WRONG_STATE):
            sending.install(epoch, key(1))
        with refused(Code.WRONG_STATE):
            receiving.install(epoch, VIDEO, key(1))
    with refused(Code.MISSING_KEY):
        receiving.open(data)


def test_frames_of_two_epochs_arrive_while_both_are_installed(refused: Refused) -> None:
    sending, receiving = sender(1, 2), receiver(1, 2)
    old = sending.protect(b"old")
    sending.switch(2)
    assert receiving.open(sending.protect(b"new")).epoch == 2
    assert receiving.open(old).epoch == 1
    receiving.uninstall(1)
    with refused(Code.MISSING_KEY):
        receiving.open(old)


@pytest.mark.acceptance("Z1-11")
def test_replayed_and_reordered_frames(refused: Refused) -> None:
    sending, receiving = sender(1), receiver(1)
    frames = [sending.protect(bytes([n])) for n in range(5)]
    for n in (4, 0, 2, 1, 3):
        assert receiving.open(frames[n]).counter == n
    for data in frames:
        with refused(Code.REPLAYED):
            receiving.open(data)


@pytest.mark.acceptance("Z1-11")
def test_replayed_and_reordered_frames_control() -> None:
    data = sender(1).protect(b"picture")
    for _ in range(2):
        assert receiver(1).open(data).frame == b"picture"


@pytest.mark.parametrize(
    ("meeting", "number", "epoch"),
    [
        (MeetingId(bytes(32)), VIDEO, 1),
        (MEETING, VIDEO + 4, 1),
        (MEETING, VIDEO, 5),
    ],
)
def test_a_frame_is_bound_to_meeting_stream_and_epoch(
    meeting: MeetingId, number: int, epoch: int, refused: Refused
) -> None:
    receiving = StreamReceiver(meeting, SLOT)
    receiving.announce(number)
    receiving.install(epoch, number, key(epoch, number=number))
    with refused(Code.BAD_BOX):
        receiving.open(sender(1).protect(b"picture"))


def test_metadata_binds_the_stream_even_under_one_key(refused: Refused) -> None:
    receiving = StreamReceiver(MEETING, SLOT)
    receiving.announce(VIDEO + 4)
    receiving.install(1, VIDEO + 4, key(1))
    with refused(Code.BAD_BOX):
        receiving.open(sender(1).protect(b"picture"))


def test_another_members_frame_is_no_missing_key(refused: Refused) -> None:
    with refused(Code.WRONG_SENDER):
        receiver(1).open(sender(1, slot=SLOT + 1).protect(b"picture"))
    with refused(Code.MISSING_KEY):
        receiver(1).open(sender(2).protect(b"picture"))


def test_a_new_generation_takes_the_place_of_the_old(refused: Refused) -> None:
    receiving = receiver(1)
    receiving.announce(VIDEO)
    assert receiving.open(sender(1).protect(b"picture")).number == VIDEO
    receiving.announce(VIDEO + 4)
    assert receiving.numbers == (VIDEO + 4,)
    with refused(Code.MISSING_KEY):
        receiving.open(sender(1).protect(b"picture"))
    with refused(Code.OUT_OF_SEQUENCE):
        receiving.announce(VIDEO)
    with refused(Code.WRONG_STATE):
        receiving.install(1, VIDEO, key(2))


def test_keys_come_for_announced_streams_only(refused: Refused) -> None:
    with refused(Code.WRONG_STATE):
        StreamReceiver(MEETING, SLOT).install(1, VIDEO, key(1))


def test_wiping_is_for_good(refused: Refused) -> None:
    sending, receiving = sender(1), receiver(1)
    data = sending.protect(b"picture")
    sending.wipe()
    receiving.wipe()
    with refused(Code.MISSING_KEY):
        sending.protect(b"picture")
    with refused(Code.MISSING_KEY):
        receiving.open(data)
    with refused(Code.WRONG_STATE):
        sending.install(2, key(2))
    with refused(Code.WRONG_STATE):
        receiving.install(2, VIDEO, key(2))


def test_the_largest_frame_and_dummy(refused: Refused) -> None:
    sending, receiving = sender(1), receiver(1)
    data = sending.protect(bytes(MAX_FRAME), dummy=bytes(MAX_DUMMY))
    assert len(receiving.open(data, dummy=MAX_DUMMY).frame) == MAX_FRAME
    with refused(Code.TOO_LARGE):
        sending.protect(bytes(MAX_FRAME + 1))
    with refused(Code.TOO_LARGE):
        sending.protect(b"", dummy=bytes(MAX_DUMMY + 1))
    with refused(Code.TOO_LARGE):
        receiving.open(bytes(MAX_PROTECTED + 1))


def test_the_clear_bytes_of_vp8(refused: Refused) -> None:
    key_dummy = vp8_key(640, 360)
    assert key_dummy.hex() == "1000009d012a80026801"
    assert vp8_dummy_size(key_dummy + b"rest") == len(key_dummy)
    assert vp8_dummy_size(VP8_DELTA + b"rest") == 1
    for data in (b"", b"\x12", key_dummy[:9], b"\x10rest"):
        with refused(Code.SCHEMA):
            vp8_dummy_size(data)


def test_the_kind_is_the_number_modulo_4() -> None:
    assert [kind_of(n) for n in (0, 5, 10, 2**53 - 1)] == list(StreamKind)

# SPDX-License-Identifier: Apache-2.0
import pytest

from incamera.errors import Code, PeerError
from incamera.media.encoded import (
    KEY_DUMMY,
    EncodedFrame,
    clock_rate,
    dummy_of,
    measure_dummy,
    media_type,
    parse_picture_size,
)
from incamera.protocol.frames import StreamKind

KEY = EncodedFrame(StreamKind.VIDEO, bytes.fromhex("5007009d012a4001f000") + b"..", 0)
DELTA = EncodedFrame(StreamKind.SCREEN, b"\x31...", 0)
SOUND = EncodedFrame(StreamKind.AUDIO, b"\xfc...", 0)


def test_the_dummy_tells_key_or_delta_and_nothing_else() -> None:
    assert dummy_of(KEY) == KEY_DUMMY == bytes.fromhex("1000009d012a80026801")
    assert dummy_of(DELTA) == b"\x11"
    assert dummy_of(SOUND) == b""


@pytest.mark.parametrize("frame", [KEY, DELTA, SOUND])
def test_a_dummy_is_measured_as_it_was_made(frame: EncodedFrame) -> None:
    dummy = dummy_of(frame)
    assert measure_dummy(frame.kind, dummy + b"sealed") == len(dummy)


@pytest.mark.parametrize("data", [b"", b"\x10\x00", b"\x31sealed", b"\x00"])
def test_a_picture_with_other_first_bytes_is_refused(data: bytes) -> None:
    with pytest.raises(PeerError) as refused:
        measure_dummy(StreamKind.VIDEO, data)
    assert refused.value.code is Code.SCHEMA


def test_a_key_frame_tells_its_size() -> None:
    assert parse_picture_size(KEY) == (320, 240)


@pytest.mark.parametrize("frame", [DELTA, SOUND, EncodedFrame(KEY.kind, b"\0" * 9, 0)])
def test_other_frames_tell_no_size(frame: EncodedFrame) -> None:
    with pytest.raises(PeerError):
        parse_picture_size(frame)


def test_kinds_have_a_clock_and_a_media_type() -> None:
    assert {media_type(kind) for kind in StreamKind} == {"audio", "video"}
    assert {clock_rate(kind) for kind in StreamKind} == {48_000, 90_000}

# SPDX-License-Identifier: Apache-2.0
from collections.abc import Callable
from dataclasses import dataclass, field
from hashlib import sha256
from typing import Any

import pytest

from incamera.errors import Code, MediaError
from incamera.media.encoded import EncodedFrame, dummy_of
from incamera.media.intake import HOLD_S, MAX_HELD, Intake, IntakePorts
from incamera.media.path import digest
from incamera.protocol.frames import StreamKind

KEY = bytes.fromhex("5007009d012a4001f000") + b"a key frame"
DELTA = b"\x31" + b"a delta frame"


@dataclass
class Bench:
    """An intake for the streams of slot 2, and slot 2's sending end."""

    sender: Any
    receiver: Any
    delivered: list[bytes] = field(default_factory=list)
    asked: int = 0
    now_s: float = 100.0
    deliver: Callable[[EncodedFrame], None] | None = None
    ends: Callable[[bytes], int | None] = lambda frame: 2

    def intake(self, kind: StreamKind = StreamKind.VIDEO) -> Intake:
        ports = IntakePorts(self._deliver, self, lambda: self.now_s)
        return Intake(self.receiver.receiver(2), kind, ports)

    def seal(self, data: bytes, kind: StreamKind = StreamKind.VIDEO) -> bytes:
        frame = EncodedFrame(kind, data, 0)
        return bytes(self.sender.sender(kind).protect(data, dummy=dummy_of(frame)))

    def install(self, epoch: int = 5, name: str = "key") -> None:
        self.receiver.receive_with(name, epoch, slot=2)

    def _deliver(self, frame: EncodedFrame) -> None:
        if self.deliver is not None:
            self.deliver(frame)
        self.delivered.append(frame.data)

    def origin(self, frame: bytes) -> int | None:
        return self.ends(frame)

    def request_key_frame(self, kind: StreamKind) -> None:
        self.asked += 1

    def sealed(self, frame: bytes) -> bytes:
        return digest(frame)


@pytest.fixture
def bench(make_keys: Callable[[int], Any]) -> Bench:
    bench = Bench(make_keys(2), make_keys(1))
    bench.sender.send_with("key", 5)
    return bench


def test_good_frames_are_delivered_in_order(bench: Bench) -> None:
    bench.install()
    intake = bench.intake()
    for data in (KEY, DELTA, DELTA + b"2"):
        intake.got(bench.seal(data), 0)
    assert bench.delivered == [KEY, DELTA, DELTA + b"2"]
    assert (intake.tally.received, intake.tally.opened, intake.tally.gaps) == (3, 3, 0)


def test_a_server_that_forwards_says_whose_frame_it_is(bench: Bench) -> None:
    """Another kind of path: one connection for everybody, frames told apart."""
    bench.install()
    intake, frame, other = bench.intake(), bench.seal(KEY), bench.seal(KEY + b"2")
    bench.ends = {frame: 2, other: 3}.get
    for data in (frame, other, bench.seal(KEY + b"3")):
        intake.got(data, 0)
    assert bench.delivered == [KEY]
    assert intake.tally.refused == {Code.WRONG_SENDER: 2}
    assert bench.sealed(frame) == sha256(frame).digest() != bench.sealed(other)


def test_frames_wait_for_a_late_key(bench: Bench) -> None:
    intake = bench.intake()
    intake.got(bench.seal(KEY), 0)
    intake.got(bench.seal(DELTA), 0)
    assert bench.delivered == []
    bench.now_s += HOLD_S * 0.9
    bench.install()
    intake.retry()
    assert bench.delivered == [KEY, DELTA]
    assert bench.asked == 0


def test_a_frame_without_key_is_dropped_after_a_second(bench: Bench) -> None:
    intake = bench.intake()
    intake.got(bench.seal(KEY), 0)
    bench.now_s += HOLD_S
    intake.retry()
    bench.install()
    intake.retry()
    assert bench.delivered == []
    assert intake.tally.refused == {Code.MISSING_KEY: 1}


def test_waiting_frames_are_bounded(bench: Bench) -> None:
    intake = bench.intake()
    for _ in range(MAX_HELD + 10):
        intake.got(bench.seal(KEY), 0)
    assert intake.tally.refused == {Code.MISSING_KEY: 10}
    bench.install()
    intake.retry()
    assert len(bench.delivered) == MAX_HELD


def test_waiting_bytes_are_bounded(bench: Bench) -> None:
    intake = bench.intake()
    for _ in range(5):
        intake.got(bench.seal(KEY + bytes(2**20)), 0)
    assert intake.tally.refused == {Code.MISSING_KEY: 2}


def test_after_a_gap_one_key_frame_is_asked_for_at_the_first_good_frame(
    bench: Bench,
) -> None:
    bench.install()
    intake = bench.intake()
    intake.got(bench.seal(KEY), 0)
    bench.seal(DELTA)  # lost
    for _ in range(3):
        intake.got(bench.seal(DELTA), 0)
    assert (bench.asked, intake.tally.gaps, bench.delivered) == (1, 1, [KEY])
    bench.now_s += 1.0
    intake.got(bench.seal(DELTA), 0)
    assert bench.asked == 2
    intake.got(bench.seal(KEY), 0)
    intake.got(bench.seal(DELTA), 0)
    assert bench.delivered == [KEY, KEY, DELTA]


def test_sound_goes_on_after_a_gap(bench: Bench) -> None:
    bench.install()
    intake = bench.intake(StreamKind.AUDIO)
    for lost in (False, True, False):
        sealed = bench.seal(b"sound", StreamKind.AUDIO)
        if not lost:
            intake.got(sealed, 0)
    assert (bench.delivered, intake.tally.gaps) == ([b"sound"] * 2, 1)


def test_a_switch_of_keys_is_no_gap(bench: Bench) -> None:
    bench.install()
    bench.install(epoch=6)
    intake = bench.intake()
    intake.got(bench.seal(KEY), 0)
    bench.sender.send_with("key", 6)
    intake.got(bench.seal(DELTA), 0)
    assert (bench.delivered, intake.tally.gaps) == ([KEY, DELTA], 0)


@pytest.mark.acceptance("D-08")
def test_a_wrong_key_opens_nothing(bench: Bench) -> None:
    bench.install(name="another key")
    intake = bench.intake()
    for _ in range(5):
        intake.got(bench.seal(KEY), 0)
    assert (bench.delivered, intake.tally.opened) == ([], 0)
    assert intake.tally.refused == {Code.BAD_BOX: 5}


def test_altered_replayed_and_misplaced_frames_are_refused(bench: Bench) -> None:
    bench.install()
    intake, sealed = bench.intake(), bench.seal(KEY)
    intake.got(sealed, 0)
    intake.got(sealed, 0)
    intake.got(bench.seal(KEY)[:-1] + b"\0", 0)
    intake.got(b"\x11" + bench.seal(KEY)[10:], 0)  # said to be a delta frame
    screen = bench.seal(KEY, StreamKind.SCREEN)
    intake.got(screen, 0)
    codes = {Code.REPLAYED: 1, Code.BAD_BOX: 2, Code.WRONG_PLACE: 1}
    assert (intake.tally.refused, bench.delivered) == (codes, [KEY])


@pytest.mark.parametrize("data", [b"", b"\x11", b"\x10\0\0\x9d", b"\xff" * 40])
def test_rubbish_is_counted_and_dropped(bench: Bench, data: bytes) -> None:
    bench.install()
    intake = bench.intake()
    intake.got(data, 0)
    intake.got(bench.seal(KEY), 0)
    assert (bench.delivered, intake.tally.refused.total()) == ([KEY], 1)


def test_an_empty_frame_is_refused(bench: Bench) -> None:
    bench.install()
    intake = bench.intake(StreamKind.AUDIO)
    intake.got(bench.seal(b"", StreamKind.AUDIO), 0)
    assert (bench.delivered, intake.tally.refused) == ([], {Code.SCHEMA: 1})


@pytest.mark.parametrize(
    "error", [MediaError(Code.MEDIA_FILE, "full"), OSError("full")]
)
def test_a_failing_sink_does_not_end_the_stream(bench: Bench, error: Exception) -> None:
    def fail(frame: EncodedFrame) -> None:
        raise error

    bench.install()
    intake, bench.deliver = bench.intake(), fail
    intake.got(bench.seal(KEY), 0)
    bench.deliver = None
    intake.got(bench.seal(DELTA), 0)
    assert intake.tally.refused == {Code.MEDIA_FILE: 1}
    assert bench.delivered == [DELTA]


def test_an_unexpected_exception_is_counted_and_dropped(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    intake = bench.intake()
    monkeypatch.setattr(intake, "_receiver", None)
    intake.got(bench.seal(KEY), 0)
    assert intake.tally.refused == {Code.MEDIA_CONNECTION: 1}


def test_nothing_is_delivered_after_close(bench: Bench) -> None:
    bench.install()
    intake = bench.intake()
    intake.close()
    intake.got(bench.seal(KEY), 0)
    assert bench.delivered == []

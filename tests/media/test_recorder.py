# SPDX-License-Identifier: Apache-2.0
import subprocess
import sys
from collections.abc import Iterator
from itertools import islice
from pathlib import Path

import av
import pytest

from incamera.errors import Code, MediaError, PeerError
from incamera.media.encoded import EncodedFrame
from incamera.media.reader import FrameReader, MediaInput
from incamera.media.recognition import recognise
from incamera.media.recorder import WAIT_FOR_PICTURE_S, Recorder
from incamera.protocol.frames import StreamKind

AUDIO, VIDEO = StreamKind.AUDIO, StreamKind.VIDEO
BOTH = frozenset({AUDIO, VIDEO})


class Clock:
    def __init__(self) -> None:
        self.now_s = 50.0

    def __call__(self) -> float:
        return self.now_s


def frames(card: Path, kind: StreamKind, count: int) -> Iterator[EncodedFrame]:
    return islice(FrameReader(MediaInput(str(card)), kind).frames(), count)


def packets(path: Path) -> list[str]:
    with av.open(str(path)) as container:
        return [p.stream.type for p in container.demux() if p.size]


def test_a_recording_is_the_same_frames_in_a_playable_file(
    cards: Path, tmp_path: Path
) -> None:
    path, sent = tmp_path / "r.webm", list(frames(cards / "1.webm", VIDEO, 30))
    recorder = Recorder(path, frozenset({VIDEO}))
    for frame in sent:
        recorder.write(frame)
    recorder.close()
    with av.open(str(path)) as container:
        assert [bytes(p) for p in container.demux() if p.size] == [f.data for f in sent]
    assert recognise(path).seen(1, 15) == 2


def test_the_first_key_frame_is_awaited(cards: Path, tmp_path: Path) -> None:
    path = tmp_path / "r.webm"
    key, *deltas = frames(cards / "1.webm", VIDEO, 10)
    recorder = Recorder(path, frozenset({VIDEO}))
    recorder.write(deltas[0])
    assert not path.exists()
    for frame in (key, *deltas[1:]):
        recorder.write(frame)
    recorder.close()
    assert len(packets(path)) == 9


def test_sound_waits_for_the_first_picture(cards: Path, tmp_path: Path) -> None:
    path = tmp_path / "r.webm"
    recorder = Recorder(path, BOTH)
    for frame in frames(cards / "1.webm", AUDIO, 5):
        recorder.write(frame)
    assert not path.exists()
    for frame in frames(cards / "1.webm", VIDEO, 5):
        recorder.write(frame)
    recorder.close()
    assert sorted(packets(path)) == ["audio"] * 5 + ["video"] * 5


def test_sound_does_not_wait_for_ever(cards: Path, tmp_path: Path) -> None:
    path, clock = tmp_path / "r.webm", Clock()
    recorder = Recorder(path, BOTH, clock=clock)
    for frame in frames(cards / "1.webm", AUDIO, 5):
        recorder.write(frame)
        clock.now_s += WAIT_FOR_PICTURE_S / 3
    recorder.close()
    assert packets(path) == ["audio"] * 5


def test_streams_lie_where_they_arrived(cards: Path, tmp_path: Path) -> None:
    path, clock = tmp_path / "r.webm", Clock()
    recorder = Recorder(path, BOTH, clock=clock)
    for frame in frames(cards / "1.webm", VIDEO, 30):
        recorder.write(frame)
    clock.now_s += 1.0
    for frame in frames(cards / "1.webm", AUDIO, 25):
        recorder.write(frame)
    recorder.close()
    found = recognise(path)
    assert [second.sounds(1) for second in found.seconds] == [False, True]


def test_times_never_go_back(cards: Path, tmp_path: Path) -> None:
    path = tmp_path / "r.webm"
    recorder = Recorder(path, frozenset({VIDEO}))
    key = next(frames(cards / "1.webm", VIDEO, 1))
    for time in (9000, 0, 18000):
        recorder.write(EncodedFrame(VIDEO, key.data, time))
    recorder.close()
    with av.open(str(path)) as container:
        assert [p.pts for p in container.demux() if p.size] == [0, 1, 100]


def test_other_kinds_and_late_frames_are_left_out(cards: Path, tmp_path: Path) -> None:
    path = tmp_path / "r.webm"
    recorder = Recorder(path, frozenset({AUDIO}))
    key = next(frames(cards / "1.webm", VIDEO, 1))
    recorder.write(key)
    recorder.close()
    recorder.write(key)
    assert not path.exists()


def test_rubbish_instead_of_a_key_frame_is_refused(tmp_path: Path) -> None:
    recorder = Recorder(tmp_path / "r.webm", frozenset({VIDEO}))
    with pytest.raises(PeerError):
        recorder.write(EncodedFrame(VIDEO, b"\0 no picture", 0))


def test_a_file_that_cannot_be_written(cards: Path, tmp_path: Path) -> None:
    recorder = Recorder(tmp_path / "absent" / "r.webm", frozenset({AUDIO}))
    with pytest.raises(MediaError) as caught:
        recorder.write(next(frames(cards / "1.webm", AUDIO, 1)))
    assert caught.value.code is Code.MEDIA_FILE


KILLED = """
import os, signal, sys
from pathlib import Path
from incamera.media.reader import FrameReader, MediaInput
from incamera.media.recorder import Recorder
from incamera.protocol.frames import StreamKind
recorder = Recorder(Path(sys.argv[2]), frozenset({StreamKind.AUDIO, StreamKind.VIDEO}))
readers = [
    FrameReader(MediaInput(sys.argv[1]), kind).frames()
    for kind in (StreamKind.AUDIO, StreamKind.VIDEO)
]
frames = sorted(
    (frame for reader in readers for frame in reader),
    key=lambda frame: frame.time / (90_000 if frame.kind else 48_000),
)
for frame in frames:
    recorder.write(frame)
os.kill(os.getpid(), signal.SIGKILL)
"""


def test_a_recording_survives_the_death_of_its_process(
    cards: Path, tmp_path: Path
) -> None:
    path, card = tmp_path / "r.webm", cards / "2.webm"
    command = [sys.executable, "-c", KILLED, str(card), str(path)]
    assert subprocess.run(command, check=False).returncode == -9
    found = recognise(path)
    assert found.shows_and_sounds(2, rate=15, seconds=11.5)


def test_a_recording_cut_anywhere_still_plays(cards: Path, tmp_path: Path) -> None:
    whole, cut = tmp_path / "r.webm", tmp_path / "cut.webm"
    recorder = Recorder(whole, frozenset({VIDEO}))
    for frame in frames(cards / "1.webm", VIDEO, 90):
        recorder.write(frame)
    recorder.close()
    data = whole.read_bytes()
    for size in (len(data) // 3, len(data) // 2, len(data) - 7):
        cut.write_bytes(data[:size])
        assert recognise(cut).seen(1, 15) >= 1

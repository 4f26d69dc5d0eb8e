# SPDX-License-Identifier: Apache-2.0
import asyncio
import time
import wave
from collections.abc import Callable
from contextlib import aclosing
from pathlib import Path

import av
import pytest

from incamera.errors import Code, MediaError
from incamera.media.encoded import EncodedFrame
from incamera.media.reader import FrameReader, MediaInput, kinds_in, open_input
from incamera.media.recognition import recognise
from incamera.media.recorder import Recorder
from incamera.media.source import Source, Start, open_sources
from incamera.media.testcard import Card, draw, tone, write_testcard
from incamera.protocol.frames import StreamKind

AUDIO, VIDEO = StreamKind.AUDIO, StreamKind.VIDEO


async def take(source: Source, count: int) -> list[EncodedFrame]:
    frames: list[EncodedFrame] = []
    async with aclosing(source.frames()) as generator:
        async for frame in generator:
            frames.append(frame)
            if len(frames) == count:
                break
    return frames


def read(path: Path, kind: StreamKind) -> list[EncodedFrame]:
    return list(FrameReader(MediaInput(str(path)), kind).frames())


def record(frames: list[EncodedFrame], path: Path) -> Path:
    recorder = Recorder(path, frozenset(frame.kind for frame in frames))
    for frame in frames:
        recorder.write(frame)
    recorder.close()
    return path


@pytest.fixture
def mp4(tmp_path: Path) -> Path:
    """A file whose codecs are not ours: MPEG-4 pictures and AAC sound."""
    path, card = tmp_path / "card.mp4", Card(4)
    with av.open(str(path), "w") as container:
        video = container.add_stream("mpeg4", rate=15)
        video.width, video.height, video.pix_fmt = 320, 240, "yuv420p"
        audio = container.add_stream("aac", rate=48_000, layout="mono")
        for number in range(30):
            container.mux(video.encode(draw(card, number)))
        container.mux(video.encode())
        for _ in range(2):
            sound = tone(card)
            container.mux(audio.encode(sound))
        container.mux(audio.encode())
    return path


def test_vp8_and_opus_pass_as_they_are(cards: Path) -> None:
    for kind in (AUDIO, VIDEO):
        with av.open(str(cards / "1.webm")) as container:
            stream = container.streams.get(**{"video" if kind else "audio": 0})
            packets = [bytes(p) for p in container.demux(stream) if p.size]
        assert [frame.data for frame in read(cards / "1.webm", kind)] == packets


def test_other_codecs_are_encoded_again(mp4: Path, tmp_path: Path) -> None:
    assert kinds_in(MediaInput(str(mp4))) == (AUDIO, VIDEO)
    pictures, sounds = read(mp4, VIDEO), read(mp4, AUDIO)
    assert (len(pictures), len(sounds) >= 48) == (30, True)
    assert recognise(record(pictures, tmp_path / "v.webm")).seen(4, 15) == 2
    assert recognise(record(sounds, tmp_path / "a.webm")).heard(4) == 2


def test_sound_alone_in_a_wav_file(tmp_path: Path) -> None:
    path = tmp_path / "tone.wav"
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(48_000)
        file.writeframes(bytes(tone(Card(5)).planes[0]))
    assert kinds_in(MediaInput(str(path))) == (AUDIO,)
    sounds = read(path, AUDIO)
    assert recognise(record(sounds, tmp_path / "a.webm")).heard(5) == 1


def test_opus_packets_are_all_of_one_size(mp4: Path) -> None:
    assert len({len(frame.data) for frame in read(mp4, AUDIO)}) == 1


@pytest.mark.parametrize("name", ["webm", "mp4"])
def test_a_key_frame_on_request_and_still_the_same_pictures(
    cards: Path, mp4: Path, tmp_path: Path, name: str
) -> None:
    path = cards / "1.webm" if name == "webm" else mp4
    reader = FrameReader(MediaInput(str(path)), VIDEO)
    frames = []
    for frame in reader.frames():
        frames.append(frame)
        if len(frames) == 10:
            reader.request_key_frame()
    assert [at for at, frame in enumerate(frames) if frame.is_key][:2] == [0, 10]
    sender = 1 if name == "webm" else 4
    found = recognise(record(frames, tmp_path / "r.webm"))
    assert found.seen(sender, 15) == len(frames) // 15


def test_a_passing_file_goes_back_to_its_own_pictures_at_its_next_key_frame(
    cards: Path,
) -> None:
    plain = read(cards / "1.webm", VIDEO)
    reader, frames = FrameReader(MediaInput(str(cards / "1.webm")), VIDEO), []
    for frame in reader.frames():
        frames.append(frame)
        if len(frames) == 100:
            reader.request_key_frame()
    assert frames[:100] == plain[:100]
    assert frames[100] != plain[100]
    assert frames[150:] == plain[150:]


async def test_frames_come_when_they_are_due(cards: Path) -> None:
    sources = open_sources(MediaInput(str(cards / "1.webm")))
    began = time.monotonic()
    sounds, pictures = await asyncio.gather(*(take(s, 12) for s in sources))
    took = time.monotonic() - began
    assert 11 / 15 <= took < 1.5
    assert (sounds[0].kind, pictures[0].kind) == (AUDIO, VIDEO)


async def test_a_loop_begins_again_with_growing_times(tmp_path: Path) -> None:
    path = tmp_path / "short.webm"
    write_testcard(path, Card(1, seconds=1, rate=5))
    (source,) = open_sources(MediaInput(str(path), loop=True), kinds=[VIDEO])
    source._start = Start(fast_clock())
    frames = await take(source, 12)
    times = [frame.time for frame in frames]
    assert times == sorted(set(times))
    assert [frame.is_key for frame in frames] == ([True] + [False] * 4) * 2 + [
        True,
        False,
    ]


def fast_clock() -> Callable[[], float]:
    began = time.monotonic()
    return lambda: began + 50 * (time.monotonic() - began)


async def test_a_file_ends_without_loop(cards: Path) -> None:
    (source,) = open_sources(MediaInput(str(cards / "1.webm")), kinds=[VIDEO])
    source._start = Start(fast_clock())
    assert len(await take(source, 10_000)) == 180


def test_a_screen_is_a_kind_of_its_own(cards: Path) -> None:
    sources = open_sources(MediaInput(str(cards / "1.webm")), screen=True)
    kinds = [source.kind for source in sources]
    assert kinds == [StreamKind.SCREEN_AUDIO, StreamKind.SCREEN]


@pytest.mark.parametrize(
    ("source", "code"),
    [
        (MediaInput("/nowhere/at all.webm"), Code.MEDIA_FILE),
        (MediaInput("/dev/null"), Code.MEDIA_FILE),
        (MediaInput("/dev/video-none", format="v4l2"), Code.MEDIA_DEVICE),
        (MediaInput("default", format="no such kind"), Code.MEDIA_DEVICE),
    ],
)
def test_what_is_absent_or_unreadable_says_so(source: MediaInput, code: Code) -> None:
    with pytest.raises(MediaError) as caught:
        open_input(source)
    assert caught.value.code is code


def test_a_file_without_pictures_has_no_picture_source(cards: Path) -> None:
    sounds = read(cards / "1.webm", AUDIO)[:10]
    path = record(sounds, cards / "sound-only.webm")
    with pytest.raises(MediaError):
        FrameReader(MediaInput(str(path)), VIDEO)


async def test_a_device_gives_pictures() -> None:
    device = MediaInput("testsrc=size=320x240:rate=15", format="lavfi")
    (source,) = open_sources(device)
    frames = await take(source, 5)
    assert frames[0].is_key
    assert all(frame.kind == VIDEO for frame in frames)

# SPDX-License-Identifier: Apache-2.0
import asyncio
from collections.abc import AsyncGenerator, Callable, Sequence
from typing import Any

import pytest
from aiortc.mediastreams import MediaStreamError

from incamera.errors import Code
from incamera.media.encoded import EncodedFrame
from incamera.media.outgoing import KEY_FRAME_GAP_S, MAX_QUEUED, Outgoing, SealedTrack
from incamera.protocol.frames import StreamKind

KEY = bytes.fromhex("5007009d012a4001f000") + b"a key frame"
DELTA = b"\x31" + b"a delta frame"


class Script:
    """A source that gives frames from a list; a key frame can be asked for."""

    kind = StreamKind.VIDEO

    def __init__(self, frames: Sequence[bytes]) -> None:
        self._frames = frames
        self.asked = 0

    async def frames(self) -> AsyncGenerator[EncodedFrame, None]:
        for time, data in enumerate(self._frames):
            yield EncodedFrame(self.kind, data, time)

    def request_key_frame(self) -> None:
        self.asked += 1


def started(outgoing: Outgoing) -> SealedTrack:
    """Return a track that a connection reads."""
    track = outgoing.open_track()
    track._started = True
    return track


def outgoing(keys: Any, source: Script, clock: Callable[[], float]) -> Outgoing:
    kind = source.kind
    return Outgoing(source, keys.sender(kind), keys.stream(kind), clock=clock)


async def test_a_frame_is_sealed_once_for_all(make_keys: Callable[[int], Any]) -> None:
    keys = make_keys(2)
    keys.send_with("key", 5)
    out = outgoing(keys, Script([KEY, DELTA]), lambda: 0.0)
    one, two = started(out), started(out)
    await out.run()
    first = [bytes(await one.recv()), bytes(await one.recv())]
    assert first == [bytes(await two.recv()), bytes(await two.recv())]
    assert all(KEY not in sealed and DELTA not in sealed for sealed in first)


@pytest.mark.acceptance("D-08")
async def test_without_a_key_nothing_is_sent(make_keys: Callable[[int], Any]) -> None:
    keys = make_keys(2)
    out = outgoing(keys, Script([KEY, DELTA] * 5), lambda: 0.0)
    track = started(out)
    await out.run()
    assert not track._queue
    assert out.tally.sent == 0
    assert out.tally.refused[Code.MISSING_KEY] > 0


async def test_with_the_key_it_is_sent_control(make_keys: Callable[[int], Any]) -> None:
    keys = make_keys(2)
    keys.send_with("key", 5)
    out = outgoing(keys, Script([KEY, DELTA] * 5), lambda: 0.0)
    track = started(out)
    await out.run()
    assert (len(track._queue), out.tally.sent) == (10, 10)


async def test_after_a_stop_pictures_wait_for_a_key_frame(
    make_keys: Callable[[int], Any],
) -> None:
    keys, source = make_keys(2), Script([KEY, DELTA, DELTA, DELTA, KEY, DELTA])
    keys.send_with("key", 5)
    now = iter(range(100))
    out = outgoing(keys, source, lambda: float(next(now)))
    track, sent = started(out), []
    async for frame in source.frames():
        if frame.time == 1:
            keys.sender(source.kind).stop(until=6)
        if frame.time == 2:
            keys.send_with("key", 6)
        out._ask_source()
        out._send(frame)
        sent.append(len(track._queue))
    assert sent == [1, 1, 1, 1, 2, 3]
    assert source.asked > 0


async def test_a_muted_track_sends_nothing(make_keys: Callable[[int], Any]) -> None:
    keys = make_keys(2)
    keys.send_with("key", 5)
    out = outgoing(keys, Script([KEY, DELTA]), lambda: 0.0)
    muted, other = started(out), started(out)
    await out.run()
    out.close_track(muted)
    out._send(EncodedFrame(StreamKind.VIDEO, KEY, 9))
    assert (len(muted._queue), len(other._queue)) == (0, 3)


async def test_pictures_begin_with_a_key_frame(make_keys: Callable[[int], Any]) -> None:
    keys = make_keys(2)
    keys.send_with("key", 5)
    out = outgoing(keys, Script([DELTA, KEY, DELTA]), lambda: 0.0)
    track = started(out)
    await out.run()
    assert bytes(await track.recv()).startswith(b"\x10\0\0\x9d\x01\x2a")


async def test_a_slow_connection_starts_afresh(make_keys: Callable[[int], Any]) -> None:
    keys = make_keys(2)
    keys.send_with("key", 5)
    out = outgoing(keys, Script([KEY] + [DELTA] * (MAX_QUEUED + 5)), lambda: 0.0)
    track = started(out)
    await out.run()
    assert not track._queue


async def test_key_frames_are_forced_at_most_three_times_a_second(
    make_keys: Callable[[int], Any],
) -> None:
    keys, source = make_keys(2), Script([])
    now = [0.0]
    out = outgoing(keys, source, lambda: now[0])
    track = out.open_track()
    for step in range(100):
        now[0] = step / 100
        track.key_frame_asked()
        out._ask_source()
    assert source.asked == 1 + int(0.99 / KEY_FRAME_GAP_S)
    assert track.tally.asked == 100


async def test_a_stopped_track_wakes_its_reader(
    make_keys: Callable[[int], Any],
) -> None:
    track = outgoing(make_keys(2), Script([]), lambda: 0.0).open_track()
    reading = asyncio.ensure_future(track.recv())
    await asyncio.sleep(0)
    track.stop()
    with pytest.raises(MediaStreamError):
        await reading

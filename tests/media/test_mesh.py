# SPDX-License-Identifier: Apache-2.0
import asyncio
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from incamera.errors import Code, MediaError, UsageError
from incamera.media.reader import MediaInput
from incamera.media.recognition import Recognition, recognise
from incamera.media.source import Start, open_sources
from incamera.protocol.frames import StreamKind

SECONDS = 10
RATE = 15


@pytest.fixture(scope="module")
def meeting(
    make_room: Callable[[Path], Any], tmp_path_factory: pytest.TempPathFactory
) -> Any:
    """Three members meet for a good ten seconds; what is left are their recordings."""
    folder = tmp_path_factory.mktemp("meeting")

    async def meet() -> Any:
        room = make_room(folder)
        members = [room.member(slot) for slot in (1, 2, 3)]
        room.share("key", 5, members)
        one, two, three = members
        await asyncio.gather(
            room.connect(one, two), room.connect(one, three), room.connect(two, three)
        )
        await asyncio.sleep(SECONDS + 0.8)
        room.statistics = [member.mesh.statistics() for member in members]
        await room.close()
        return room

    return asyncio.run(meet())


def pairs() -> list[tuple[int, int]]:
    return [(one, two) for one in (1, 2, 3) for two in (1, 2, 3) if one != two]


def holds(found: Recognition, sender: int) -> bool:
    return found.shows_and_sounds(sender, rate=RATE, seconds=SECONDS)


@pytest.mark.acceptance("D-08")
@pytest.mark.parametrize(("receiver", "sender"), pairs())
def test_three_members_see_and_hear_each_other(
    meeting: Any, receiver: int, sender: int
) -> None:
    found = recognise(meeting.members[receiver - 1].recording(sender))
    assert holds(found, sender)


@pytest.mark.acceptance("D-08")
def test_a_swapped_recording_is_not_recognised_control(meeting: Any) -> None:
    found = recognise(meeting.members[0].recording(2))
    assert not holds(found, 3)
    assert found.seen(3, RATE) == found.heard(3) == 0


def test_nothing_is_refused_or_missing_in_a_quiet_meeting(meeting: Any) -> None:
    received = [s for all_ in meeting.statistics for s in all_ if s.received]
    assert len(received) == 12
    assert all(not s.refused and not s.gaps for s in received)
    assert all(s.opened == s.received >= s.delivered > 0 for s in received)


async def test_a_screen_is_a_third_stream_under_its_own_key(room: Any) -> None:
    one, other = room.member(1, screen=True), room.member(2, silent=True)
    room.share("key", 5, (one, other))
    await room.connect(one, other)
    for kind in (StreamKind.AUDIO, StreamKind.VIDEO, StreamKind.SCREEN):
        await room.until(lambda kind=kind: other.seen[1].count(kind) > 20)
    received = other.mesh.statistics()
    assert len(received) == 3
    assert all(stream.opened and not stream.refused for stream in received)


async def test_the_answerer_may_share_its_screen_where_the_offerer_has_none(
    room: Any,
) -> None:
    one, other = room.member(1, screen=True), room.member(2)
    room.share("key", 5, (one, other))
    await room.connect(other, one)
    for kind in (StreamKind.AUDIO, StreamKind.VIDEO):
        await room.until(lambda kind=kind: other.seen[1].count(kind) > 3)
        await room.until(lambda kind=kind: one.seen[2].count(kind) > 3)
    assert other.seen[1].count(StreamKind.SCREEN) == 0  # it needs an offer of its own


async def test_there_is_no_link_to_strangers(room: Any) -> None:
    one, other = room.member(1), room.member(2)
    offer = await other.mesh.offer(one.remote)
    with pytest.raises(UsageError) as caught:
        await one.mesh.accept_answer(other.remote.member, offer)
    assert caught.value.code is Code.WRONG_STATE
    assert one.mesh.members == ()


async def test_the_end_of_a_source_is_told(room: Any) -> None:
    sources = open_sources(MediaInput(str(room.cards / "1.webm")))
    for source in sources:
        source._start = Start(lambda: 0.0, at_s=-1e6)  # everything is long due
    member = room.member_with(1, sources)
    await room.until(lambda: len(member.ended) == 2)
    assert set(member.ended.values()) == {None}


async def test_a_source_that_breaks_is_told(room: Any) -> None:
    card = room.folder / "gone.webm"
    shutil.copy(room.cards / "1.webm", card)
    sources = open_sources(MediaInput(str(card)))
    card.unlink()
    member = room.member_with(1, sources)
    await room.until(lambda: len(member.ended) == 2)
    assert all(isinstance(error, MediaError) for error in member.ended.values())


async def test_statistics_tell_what_was_sent_and_received(room: Any) -> None:
    one, other = room.member(1), room.member(2, silent=True)
    room.share("key", 5, (one, other))
    await room.connect(one, other)
    await room.until(lambda: other.seen[1].count(StreamKind.VIDEO) > 10)
    own = {s.kind: s for s in one.mesh.statistics() if s.slot == 1}
    theirs = {s.kind: s for s in other.mesh.statistics() if s.slot == 1}
    for kind in (StreamKind.AUDIO, StreamKind.VIDEO):
        assert own[kind].sent >= theirs[kind].opened == theirs[kind].delivered > 0


async def test_closing_ends_links_and_recordings(room: Any) -> None:
    one, other = room.member(1), room.member(2)
    await room.connect(one, other)
    await room.close()
    assert (one.mesh.members, other.mesh.members) == ((), ())
    assert all(seen.closed for seen in (*one.seen.values(), *other.seen.values()))


async def test_a_listener_that_raises_does_not_stop_a_close(room: Any) -> None:
    heard: list[str] = []

    def listen(remote: Any, state: str) -> None:
        heard.append(state)
        raise ValueError(remote)

    one, other = room.member(1), room.member(2)
    one.mesh._ports = replace(one.mesh._ports, link_changed=listen)
    loop = asyncio.get_running_loop()
    loop.set_exception_handler(lambda loop, context: None)
    await room.connect(one, other)
    async with asyncio.timeout(5):
        await one.mesh.close()
    assert {"connected", "closed"} <= set(heard)

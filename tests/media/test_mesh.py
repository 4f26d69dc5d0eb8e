# SPDX-License-Identifier: Apache-2.0
import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from incamera.media.recognition import Recognition, recognise

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

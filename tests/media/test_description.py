# SPDX-License-Identifier: Apache-2.0
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from incamera.errors import Code, PeerError
from incamera.media.description import (
    MAX_CANDIDATES,
    MAX_SDP,
    Description,
    Stream,
    kinds_by_mid,
    verify_description,
    without_host_names,
)
from incamera.protocol.frames import StreamKind

AUDIO, VIDEO, SCREEN = StreamKind.AUDIO, StreamKind.VIDEO, StreamKind.SCREEN
CANDIDATE = "a=candidate:1 1 udp 1 127.0.0.1 9 typ host\r\n"


@pytest.fixture
async def offer(room: Any) -> Description:
    made: Description = await room.member(1).mesh.offer(room.member(2).remote)
    return made


def edited(offer: Description, old: str, new: str) -> Description:
    assert old in offer.sdp
    return replace(offer, sdp=offer.sdp.replace(old, new))


def colons(data: bytes) -> str:
    return data.hex(":").upper()


async def test_our_own_offer_is_good(offer: Description) -> None:
    parsed = verify_description(offer)
    assert kinds_by_mid(parsed, offer.streams) == {"0": AUDIO, "1": VIDEO}
    assert [stream.number for stream in offer.streams] == [0, 1]
    assert len(offer.fingerprint) == 32
    assert "stun" not in offer.sdp
    assert "H264" not in offer.sdp


CHANGES: dict[str, tuple[Code, Callable[[Description], Description]]] = {
    "another fingerprint signed": (
        Code.BAD_FINGERPRINT,
        lambda o: replace(o, fingerprint=bytes(32)),
    ),
    "another fingerprint in the text": (
        Code.BAD_FINGERPRINT,
        lambda o: edited(o, colons(o.fingerprint), colons(bytes(32))),
    ),
    "one section with another fingerprint": (
        Code.BAD_FINGERPRINT,
        lambda o: replace(
            o, sdp=o.sdp.replace(colons(o.fingerprint), colons(bytes(32)), 1)
        ),
    ),
    "no sha-256 fingerprint": (
        Code.BAD_FINGERPRINT,
        lambda o: edited(o, "fingerprint:sha-256", "fingerprint:sha-1"),
    ),
    "a fingerprint that is no hex": (
        Code.BAD_FINGERPRINT,
        lambda o: edited(o, colons(o.fingerprint), "XY:" * 31 + "XY"),
    ),
    "a short signed fingerprint": (
        Code.BAD_FINGERPRINT,
        lambda o: replace(o, fingerprint=o.fingerprint[:16]),
    ),
    "no SDP": (Code.SCHEMA, lambda o: replace(o, sdp="hello")),
    "SDP without media": (Code.SCHEMA, lambda o: replace(o, sdp="v=0\r\n")),
    "too large": (Code.TOO_LARGE, lambda o: replace(o, sdp=o.sdp + " " * MAX_SDP)),
    "too many candidates": (
        Code.TOO_LARGE,
        lambda o: replace(o, sdp=o.sdp + CANDIDATE * (MAX_CANDIDATES + 1)),
    ),
    "a data channel": (
        Code.SCHEMA,
        lambda o: edited(o, "m=video", "m=application"),
    ),
    "a stream without a section": (
        Code.SCHEMA,
        lambda o: replace(o, streams=(Stream(0, AUDIO, "9"),)),
    ),
    "a picture stream in a sound section": (
        Code.SCHEMA,
        lambda o: replace(o, streams=(Stream(1, VIDEO, "0"),)),
    ),
    "two streams in a section": (
        Code.SCHEMA,
        lambda o: replace(o, streams=(Stream(1, VIDEO, "1"), Stream(2, SCREEN, "1"))),
    ),
    "a number of another kind": (
        Code.SCHEMA,
        lambda o: replace(o, streams=(Stream(2, VIDEO, "1"),)),
    ),
    "two sections of one name": (
        Code.SCHEMA,
        lambda o: edited(o, "a=mid:1", "a=mid:0"),
    ),
}


@pytest.mark.parametrize("change", CHANGES)
async def test_a_changed_offer_is_refused(offer: Description, change: str) -> None:
    code, make = CHANGES[change]
    with pytest.raises(PeerError) as caught:
        verify_description(make(offer))
    assert caught.value.code is code


async def test_a_section_may_be_a_screen_but_only_one(offer: Description) -> None:
    parsed = verify_description(offer)
    screen = (Stream(2, SCREEN, "1"),)
    assert kinds_by_mid(parsed, screen) == {"0": AUDIO, "1": SCREEN}
    doubled = replace(offer, sdp=offer.sdp + video_section(offer))
    with pytest.raises(PeerError):
        kinds_by_mid(verify_description(doubled), ())


def video_section(offer: Description) -> str:
    section = offer.sdp[offer.sdp.index("m=video") :]
    return section.replace("a=mid:1", "a=mid:2")


def test_candidates_that_are_names_are_dropped() -> None:
    named = "a=candidate:1 1 udp 1 b0f6-5e1c.local 9 typ host\r\n"
    broken = "a=candidate:1 1\r\n"
    kept = "v=0\r\n" + CANDIDATE + CANDIDATE.replace("127.0.0.1", "::1")
    assert without_host_names(kept + named + broken) == kept

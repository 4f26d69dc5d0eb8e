# SPDX-License-Identifier: Apache-2.0
import asyncio
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest

from incamera.errors import Code, MediaError, PeerError
from incamera.media.description import Description
from incamera.media.encoded import EncodedFrame
from incamera.media.path import MediaPath, digest
from incamera.protocol.frames import StreamId, StreamKind, StreamSender

AUDIO, VIDEO = StreamKind.AUDIO, StreamKind.VIDEO


async def two(room: Any, *, silent: bool = False) -> Any:
    """Return members 1 and 2, connected, without any key."""
    members = room.member(1), room.member(2, silent=silent)
    await room.connect(*members)
    return members


def refused(member: Any, slot: int) -> dict[Code, int]:
    """Return how often each code was met in the streams from `slot`."""
    found: dict[Code, int] = {}
    for stream in member.mesh.statistics():
        if stream.slot == slot:
            for code, count in stream.refused.items():
                found[code] = found.get(code, 0) + count
    return found


def wire_of(member: Any, other: Any) -> list[bytes]:
    """Return a list that will hold every RTP packet before the hop's encryption."""
    link = member.mesh.link(other.remote.member)
    transport = link._connection.getTransceivers()[0].receiver.transport
    send, wire = transport._send_rtp, []

    async def noted(data: bytes) -> None:
        wire.append(data)
        await send(data)

    transport._send_rtp = noted
    return wire


def is_rtp(packet: bytes) -> bool:
    """True for media, False for reports about media (RFC 5761, section 4)."""
    return not 64 <= packet[1] & 0x7F <= 95


def pieces(frames: list[EncodedFrame]) -> Iterator[bytes]:
    """Yield canaries: 12 bytes out of the middle of every frame that has as many."""
    for frame in frames:
        if len(frame.data) > 40:
            yield frame.data[20:32]


@pytest.mark.acceptance("D-08")
async def test_a_member_without_the_key_receives_nothing(room: Any) -> None:
    one, other = await two(room)
    one.keys.send_with("key", 5)
    await room.until(lambda: Code.MISSING_KEY in refused(other, 1))
    assert other.seen[1].frames == []


@pytest.mark.acceptance("D-08")
async def test_a_member_with_another_key_receives_nothing(room: Any) -> None:
    one, other = await two(room)
    other.keys.receive_with("another key", 5, slot=1)
    one.keys.send_with("key", 5)
    await room.until(lambda: refused(other, 1).get(Code.BAD_BOX, 0) > 30)
    assert other.seen[1].frames == []


@pytest.mark.acceptance("D-08")
async def test_a_member_with_the_key_receives_control(room: Any) -> None:
    one, other = await two(room)
    room.share("key", 5, (one, other))
    for kind in (AUDIO, VIDEO):
        await room.until(lambda kind=kind: other.seen[1].count(kind) > 5)
    assert refused(other, 1) == {}


async def test_without_a_key_nothing_leaves(room: Any) -> None:
    one, other = await two(room)
    wire = wire_of(one, other)
    await asyncio.sleep(0.6)
    assert not any(map(is_rtp, wire))
    one.keys.send_with("key", 5)
    await room.until(lambda: any(map(is_rtp, wire)))


@pytest.mark.acceptance("D-08")
async def test_the_hop_itself_carries_ciphertext_only(room: Any) -> None:
    one, other = await two(room)
    wire = wire_of(one, other)
    room.share("key", 5, (one, other))
    await room.until(lambda: other.seen[1].count(VIDEO) > 15)
    canaries = list(pieces(other.seen[1].frames))
    everything = b"".join(wire)
    assert len(canaries) > 20
    assert not any(canary in everything for canary in canaries)
    assert all(one.keys.stream(kind).kind == kind for kind in (AUDIO, VIDEO))


async def test_canaries_are_found_in_what_was_opened_control(room: Any) -> None:
    one, other = await two(room)
    room.share("key", 5, (one, other))
    await room.until(lambda: other.seen[1].count(VIDEO) > 15)
    frames = other.seen[1].frames
    opened = b"".join(frame.data for frame in frames)
    assert all(canary in opened for canary in pieces(frames))


async def test_a_late_key_loses_nothing(room: Any) -> None:
    one, other = await two(room)
    one.keys.send_with("key", 5)
    held = other.mesh.link(one.remote.member)
    await room.until(lambda: held.statistics()[VIDEO].received > 3)
    other.keys.receive_with("key", 5, slot=1)
    other.mesh.keys_changed()
    assert other.seen[1].count(VIDEO) > 3
    assert held.statistics()[VIDEO].gaps == 0


async def test_a_very_late_key_brings_a_key_frame_soon(room: Any) -> None:
    one, other = await two(room)
    one.keys.send_with("key", 5)
    await room.until(lambda: refused(other, 1).get(Code.MISSING_KEY, 0) > 8)
    other.keys.receive_with("key", 5, slot=1)
    other.mesh.keys_changed()
    await room.until(lambda: other.seen[1].count(VIDEO) > 0, seconds=2)
    assert other.seen[1].frames[0].is_key


async def test_a_member_that_forges_another_is_not_decoded(room: Any) -> None:
    forger, other = room.member(1), room.member(2, silent=True)
    other.keys.receive_with("key", 5, slot=3)
    forger.keys.stream = lambda kind: StreamId(1, int(kind))
    for outgoing in forger.mesh._outgoing:
        outgoing._sender = forged(forger, outgoing.kind)
    await room.connect(forger, other)
    await room.until(lambda: refused(other, 1).get(Code.WRONG_SENDER, 0) > 20)
    assert other.seen[1].frames == []


def forged(forger: Any, kind: StreamKind) -> StreamSender:
    """Return the sending end of member 3's stream; all members have the key for it."""
    theirs = type(forger.keys)(3)
    theirs.send_with("key", 5)
    sender: StreamSender = theirs.sender(kind)
    return sender


async def test_the_forged_frames_open_on_their_owners_link_control(room: Any) -> None:
    owner, other = room.member(3), room.member(2, silent=True)
    other.keys.receive_with("key", 5, slot=3)
    for outgoing in owner.mesh._outgoing:
        outgoing._sender = forged(owner, outgoing.kind)
    await room.connect(owner, other)
    await room.until(lambda: other.seen[3].count(VIDEO) > 5)
    assert refused(other, 3) == {}


async def test_an_offer_with_another_certificate_is_refused(room: Any) -> None:
    one, other = room.member(1), room.member(2)
    offer = await one.mesh.offer(other.remote)
    with pytest.raises(PeerError) as caught:
        await other.mesh.accept_offer(one.remote, replace(offer, fingerprint=bytes(32)))
    assert caught.value.code is Code.BAD_FINGERPRINT
    assert other.mesh.members == ()


async def test_an_answer_with_another_certificate_is_refused(room: Any) -> None:
    one, other = room.member(1), room.member(2)
    offer = await one.mesh.offer(other.remote)
    answer = await other.mesh.accept_offer(one.remote, offer)
    foreign = replace(answer, fingerprint=offer.fingerprint)
    with pytest.raises(PeerError) as caught:
        await one.mesh.accept_answer(other.remote.member, foreign)
    assert caught.value.code is Code.BAD_FINGERPRINT
    assert one.mesh.link(other.remote.member).state == "new"


async def test_a_certificate_other_than_the_signed_one_gets_no_connection(
    room: Any,
) -> None:
    one, other = room.member(1), room.member(2)
    room.share("key", 5, (one, other))
    offer = await one.mesh.offer(other.remote)
    answer = await other.mesh.accept_offer(one.remote, offer)
    wire = wire_of(one, other)
    await one.mesh.accept_answer(other.remote.member, with_certificate(answer, b"?"))
    with pytest.raises(MediaError):
        await asyncio.wait_for(
            one.mesh.link(other.remote.member).wait_connected(), timeout=8
        )
    assert not any(map(is_rtp, wire))


def with_certificate(answer: Description, byte: bytes) -> Description:
    """Return the description with one certificate's fingerprint named consistently."""
    other = byte * 32
    lines = answer.sdp.replace(
        answer.fingerprint.hex(":").upper(), other.hex(":").upper()
    ).splitlines(keepends=True)
    sdp = "".join(line for line in lines if "sha-384" not in line)
    sdp = "".join(x for x in sdp.splitlines(keepends=True) if "sha-512" not in x)
    return replace(answer, sdp=sdp, fingerprint=other)


@pytest.mark.acceptance("Z1-31")
@pytest.mark.parametrize(("given", "other_kind"), [(AUDIO, VIDEO), (VIDEO, AUDIO)])
async def test_the_key_of_one_stream_opens_no_other(
    room: Any, given: StreamKind, other_kind: StreamKind
) -> None:
    one, other = await two(room, silent=True)
    one.keys.send_with("key", 5)
    receive_one_stream(other, given)
    await room.until(lambda: other.seen[1].count(given) > 3)
    await room.until(lambda: Code.MISSING_KEY in refused(other, 1))
    assert other.seen[1].count(other_kind) == 0


def receive_one_stream(member: Any, kind: StreamKind) -> None:
    receiver = member.keys.receiver(1)
    key = member.keys._base_key("key", 5, StreamId(1, int(kind)))
    receiver.install(5, int(kind), key)


@pytest.mark.acceptance("Z1-31")
async def test_both_keys_open_both_streams_control(room: Any) -> None:
    one, other = await two(room, silent=True)
    one.keys.send_with("key", 5)
    for kind in (AUDIO, VIDEO):
        receive_one_stream(other, kind)
    for kind in (AUDIO, VIDEO):
        await room.until(lambda kind=kind: other.seen[1].count(kind) > 3)


async def test_a_key_frame_comes_on_request(room: Any) -> None:
    one, other = await two(room, silent=True)
    room.share("key", 5, (one, other))
    await room.until(lambda: other.seen[1].count(VIDEO) > 8)
    before = len(other.seen[1].frames)
    path: MediaPath = other.mesh.link(one.remote.member)
    assert (path.origin(b"frame"), path.sealed(b"frame")) == (1, digest(b"frame"))
    path.request_key_frame(VIDEO)

    def came() -> bool:
        later = other.seen[1].frames[before:]
        return any(f.is_key for f in later if f.kind == VIDEO)

    await room.until(came, seconds=1.5)


async def test_no_key_frame_comes_unasked_control(room: Any) -> None:
    one, other = await two(room, silent=True)
    room.share("key", 5, (one, other))
    await room.until(lambda: other.seen[1].count(VIDEO) > 8)
    before = len(other.seen[1].frames)
    await asyncio.sleep(1.0)
    later = [f for f in other.seen[1].frames[before:] if f.kind == VIDEO]
    assert len(later) > 8
    assert not any(frame.is_key for frame in later)


async def test_a_removed_member_gets_nothing_more(room: Any) -> None:
    one, other = await two(room)
    room.share("key", 5, (one, other))
    await room.until(lambda: other.seen[1].count(AUDIO) > 5)
    wire = wire_of(one, other)
    one.mesh.remove(other.remote.member)
    await asyncio.sleep(0.5)
    assert not any(map(is_rtp, wire))
    offer = await other.mesh.offer(one.remote)
    with pytest.raises(PeerError) as caught:
        await one.mesh.accept_offer(other.remote, offer)
    assert caught.value.code is Code.NOT_ALLOWED


async def test_a_member_that_stays_gets_more_control(room: Any) -> None:
    one, other = await two(room)
    room.share("key", 5, (one, other))
    await room.until(lambda: other.seen[1].count(AUDIO) > 5)
    wire = wire_of(one, other)
    await asyncio.sleep(0.5)
    assert any(map(is_rtp, wire))


async def test_a_new_offer_replaces_the_link(room: Any) -> None:
    one, other = await two(room)
    old = one.mesh.link(other.remote.member)
    await room.connect(one, other)
    assert one.mesh.link(other.remote.member) is not old
    room.share("key", 5, (one, other))
    await room.until(lambda: other.seen[1].count(VIDEO) > 3)


async def test_a_second_answer_is_refused(room: Any) -> None:
    one, other = room.member(1), room.member(2)
    offer = await one.mesh.offer(other.remote)
    answer = await other.mesh.accept_offer(one.remote, offer)
    await one.mesh.accept_answer(other.remote.member, answer)
    with pytest.raises(PeerError) as caught:
        await one.mesh.accept_answer(other.remote.member, answer)
    assert caught.value.code is Code.DUPLICATE


async def test_waiting_for_a_closed_connection_ends(room: Any) -> None:
    one, other = room.member(1), room.member(2)
    await one.mesh.offer(other.remote)
    link = one.mesh.link(other.remote.member)
    waiting = asyncio.ensure_future(link.wait_connected())
    await asyncio.sleep(0)
    await link.close()
    with pytest.raises(MediaError):
        await waiting


async def test_only_the_given_addresses_are_offered(room: Any) -> None:
    offer = await room.member(1).mesh.offer(room.member(2).remote)
    candidates = [s for s in offer.sdp.splitlines() if s.startswith("a=candidate:")]
    assert candidates
    assert all(line.split()[4] == "127.0.0.1" for line in candidates)

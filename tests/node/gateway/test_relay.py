# SPDX-License-Identifier: Apache-2.0
"""Who gets in at the relay, who reaches whom, and what survives a broken line."""

import asyncio
from collections.abc import Callable
from typing import Any

import pytest

from incamera.errors import Code
from incamera.node.relay_connection import RelayConnection
from incamera.node.relay_frames import Answer, answer_challenge, encode_frame
from incamera.protocol.ids import KeyId
from incamera.protocol.message import encode_unsigned
from incamera.protocol.message_bodies import WrapBatch, WrapOne
from incamera.protocol.wraps import Wrap

PATIENCE_S = 5
Refused = Callable[[Code], Any]


async def take(relay: RelayConnection, count: int) -> list[bytes]:
    """Return the next messages and acknowledge them."""
    found: list[bytes] = []
    async with asyncio.timeout(PATIENCE_S):
        async for got in relay:
            if len(found) == count:
                break
            found.append(got.message)
    return found


async def taken(relay: RelayConnection, last: bytes = b"end") -> list[bytes]:
    """Return what came before the message `last`."""
    found: list[bytes] = []
    async with asyncio.timeout(PATIENCE_S):
        async for got in relay:
            if got.message == last:
                return found
            found.append(got.message)
    raise AssertionError("the relay closed silently")


async def test_members_reach_one_and_all(stage: Any) -> None:
    scene = await stage.meeting("bob", "cyd")
    ann, bob, cyd = [await stage.relay(scene, who) for who in ("ann", "bob", "cyd")]
    await ann.send(stage.kid("bob"), b"to bob")
    await ann.send(None, b"to all")
    await bob.send(None, b"end")
    assert await taken(cyd) == [b"to all"]
    await cyd.send(stage.kid("bob"), b"end")
    assert await taken(bob) == [b"to bob", b"to all"]
    assert await taken(ann) == []


async def test_the_relay_names_the_sender_itself(stage: Any) -> None:
    scene = await stage.meeting("bob")
    ann, bob = await stage.relay(scene, "ann"), await stage.relay(scene, "bob")
    await bob.send(stage.kid("ann"), b"who am I")
    async with asyncio.timeout(PATIENCE_S):
        got = await anext(aiter(ann))
    assert (got.sender, got.message) == (stage.kid("bob"), b"who am I")


async def test_a_stranger_stays_outside(stage: Any, refused: Refused) -> None:
    scene = await stage.meeting()
    with refused(Code.NO_GATE):
        await stage.relay(scene, "mallory")
    with refused(Code.NO_GATE):
        await stage.relay(scene, "mallory", gate="another gate")
    control = await stage.relay(scene, "mallory", gate="gate")
    assert control.role == 2


@pytest.mark.parametrize("ordered", [False, True])
async def test_requesters_reach_the_leader_only(
    stage: Any, refused: Refused, ordered: bool
) -> None:
    scene = await stage.meeting("bob")
    ann, bob = await stage.relay(scene, "ann"), await stage.relay(scene, "bob")
    if ordered:
        await scene.post(scene.request("dan"))
    dan = await stage.relay(scene, "dan", gate=None if ordered else "gate")
    await dan.send(stage.kid("ann"), b"let me in")
    for to in (None, stage.kid("bob"), stage.kid("dan"), stage.kid("nobody")):
        with refused(Code.NOT_ALLOWED):
            await dan.send(to, b"psst")
    with refused(Code.NOT_ALLOWED):
        await bob.send(stage.kid("dan"), b"psst")
    await ann.send(stage.kid("dan"), b"end")
    assert await taken(dan) == []
    await bob.send(stage.kid("ann"), b"end")
    assert await taken(ann) == [b"let me in"]


async def test_a_message_to_all_does_not_reach_requesters(stage: Any) -> None:
    scene = await stage.meeting("bob")
    await scene.post(scene.request("dan"))
    ann, dan = await stage.relay(scene, "ann"), await stage.relay(scene, "dan")
    await ann.send(None, b"members only")
    await ann.send(stage.kid("dan"), b"end")
    assert await taken(dan) == []


async def test_a_requester_becomes_a_member_without_reconnecting(stage: Any) -> None:
    scene = await stage.meeting()
    await scene.post(scene.request("dan"))
    ann, dan = await stage.relay(scene, "ann"), await stage.relay(scene, "dan")
    assert dan.role == 2
    await scene.post(scene.epoch(admit=[0]))
    await dan.send(None, b"end")
    assert await taken(ann) == []
    await ann.send(None, b"end")
    assert await taken(dan) == []
    assert dan.role == 1


async def test_the_dropped_are_cut_off_when_the_epoch_lands(
    stage: Any, refused: Refused
) -> None:
    scene = await stage.meeting("bob", "cyd")
    ann, bob = await stage.relay(scene, "ann"), await stage.relay(scene, "bob")
    await ann.send(stage.kid("cyd"), b"waiting for cyd")
    await scene.post(scene.epoch(removed=[1, 2]))
    with refused(Code.NOT_ALLOWED):
        await taken(bob)
    for who in ("bob", "cyd"):
        for gate in (None, "gate"):
            with refused(Code.NOT_ALLOWED if gate else Code.NO_GATE):
                await stage.relay(scene, who, gate=gate)
    with refused(Code.NOT_ALLOWED):
        await ann.send(stage.kid("cyd"), b"gone")


async def test_an_epoch_that_drops_nobody_cuts_nobody_control(stage: Any) -> None:
    scene = await stage.meeting("bob")
    ann, bob = await stage.relay(scene, "ann"), await stage.relay(scene, "bob")
    await scene.post(scene.epoch())
    await ann.send(None, b"end")
    assert await taken(bob) == []


async def test_a_new_gate_shuts_out_those_of_the_old_one(
    stage: Any, refused: Refused
) -> None:
    scene = await stage.meeting()
    dan = await stage.relay(scene, "dan", gate="gate")
    await scene.post(scene.policy(gate=stage.signer("new gate").public))
    with refused(Code.NOT_ALLOWED):
        await taken(dan)
    with refused(Code.NO_GATE):
        await stage.relay(scene, "dan", gate="gate")
    await stage.relay(scene, "dan", gate="new gate")


async def test_dismissal_ends_the_relay(stage: Any, refused: Refused) -> None:
    scene = await stage.meeting("bob")
    bob = await stage.relay(scene, "bob")
    await scene.post(scene.dismiss())
    with refused(Code.ENDED):
        await taken(bob)
    with refused(Code.ENDED):
        await stage.relay(scene, "bob")


async def test_what_was_not_acknowledged_comes_again(stage: Any) -> None:
    scene = await stage.meeting("bob")
    ann = await stage.relay(scene, "ann")
    for number in range(5):
        await ann.send(stage.kid("bob"), b"%d" % number)
    first = await stage.relay(scene, "bob")
    assert await take(first, 2) == [b"0", b"1"]
    await first.close()
    await ann.send(stage.kid("bob"), b"end")
    again = await stage.relay(scene, "bob")
    assert await taken(again) == [b"2", b"3", b"4"]


async def test_nothing_comes_twice_over_one_connection(stage: Any) -> None:
    scene = await stage.meeting("bob")
    ann, bob = await stage.relay(scene, "ann"), await stage.relay(scene, "bob")
    sent = [b"%d" % number for number in range(200)]
    for message in [*sent, b"end"]:
        await ann.send(None, message)
    assert await taken(bob) == sent


async def test_a_newer_connection_takes_over(stage: Any, refused: Refused) -> None:
    scene = await stage.meeting("bob")
    ann, old = await stage.relay(scene, "ann"), await stage.relay(scene, "bob")
    new = await stage.relay(scene, "bob")
    with refused(Code.DUPLICATE):
        await taken(old)
    await ann.send(None, b"end")
    assert await taken(new) == []


async def test_a_batch_of_wraps_gives_each_member_its_own(stage: Any) -> None:
    scene = await stage.meeting("bob", "cyd")
    ann, bob = await stage.relay(scene, "ann"), await stage.relay(scene, "bob")
    wraps = tuple(
        Wrap(slot=slot, generation=0, step=0, sealed=bytes([slot]) * 48)
        for slot in (1, 2, 9)
    )
    key_id = KeyId(bytes(32))
    await ann.send(None, encode_unsigned(WrapBatch(key_id=key_id, wraps=wraps)))
    await ann.send(None, b"end")
    own = encode_unsigned(WrapOne(key_id=key_id, wrap=wraps[0]))
    assert await taken(bob) == [own]


async def test_only_the_leaders_batches_are_split(stage: Any) -> None:
    scene = await stage.meeting("bob")
    ann, bob = await stage.relay(scene, "ann"), await stage.relay(scene, "bob")
    wraps = (Wrap(slot=0, generation=0, step=0, sealed=bytes(48)),)
    batch = encode_unsigned(WrapBatch(key_id=KeyId(bytes(32)), wraps=wraps))
    await bob.send(None, batch)
    await bob.send(None, b"end")
    assert await taken(ann) == [batch]


async def test_a_full_queue_is_told_to_the_sender(stage: Any, refused: Refused) -> None:
    scene = await stage.meeting("bob", "cyd")
    ann, cyd = await stage.relay(scene, "ann"), await stage.relay(scene, "cyd")
    assert await ann.send(stage.kid("bob"), bytes(65_000)) == ()
    assert await ann.send(stage.kid("bob"), bytes(65_000)) == ()
    with refused(Code.QUEUE_FULL):
        await ann.send(stage.kid("bob"), bytes(65_000))
    assert await ann.send(None, b"end" * 400) == (stage.kid("bob"),)
    # One sender fills half of a queue: another member still gets through.
    assert await cyd.send(stage.kid("bob"), bytes(60_000)) == ()


async def test_a_recorded_answer_opens_nothing(stage: Any, refused: Refused) -> None:
    scene = await stage.meeting("bob")
    good = await stage.relay(scene, "bob")
    recorded = answer_challenge(
        bytes(32),
        pin=stage.running.pin,
        meeting=scene.meeting,
        signer=stage.signer("bob"),
        gate=None,
    )
    assert await answered(stage, scene, recorded) == (4401, "bad-signature")
    await good.close()


async def answered(stage: Any, scene: Any, answer: Answer) -> tuple[int, str]:
    """Give an answer of our own to a fresh challenge; return how it was closed."""
    path = f"/v0/relay/{scene.meeting.hex()}"
    socket = await stage.client.connect(path, max_size=1 << 20)
    await socket.recv()
    await socket.send(encode_frame(answer))
    await socket.wait_closed()
    return socket.close_code, socket.close_reason

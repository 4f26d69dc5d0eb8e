# SPDX-License-Identifier: Apache-2.0
"""Who stores what at the relay, and when it goes."""

import asyncio
from collections.abc import Callable
from typing import Any

from incamera.errors import Code
from incamera.node.relay_blobs import sign_blob

Refused = Callable[[Code], Any]


async def gone(stage: Any, scene: Any, name: str) -> None:
    """Wait until a blob is dropped."""
    async with asyncio.timeout(5):
        while await stage.client.blob_get(scene.meeting, name) is not None:
            await asyncio.sleep(0.02)


async def test_members_keep_their_proof_and_the_leader_its_blob(
    stage: Any, refused: Refused
) -> None:
    scene, client = await stage.meeting("bob"), stage.client
    bob, ann = stage.signer("bob"), stage.signer("ann")
    name = stage.kid("bob").hex()
    await client.blob_put(scene.meeting, name, b"sealed", bob)
    assert await client.blob_get(scene.meeting, name) == b"sealed"
    assert await client.blob_get(scene.meeting, stage.kid("ann").hex()) is None
    for who, where in ((ann, name), (bob, "leader"), (stage.signer("mallory"), name)):
        with refused(Code.NOT_ALLOWED):
            await client.blob_put(scene.meeting, where, b"no", who)
    await client.blob_put(scene.meeting, "leader", b"sealed too", ann)
    assert await client.blob_get(scene.meeting, "leader") == b"sealed too"


async def test_a_recorded_request_brings_nothing_back(
    stage: Any, refused: Refused
) -> None:
    scene, client = await stage.meeting("bob"), stage.client
    name, bob = stage.kid("bob").hex(), stage.signer("bob")
    now = stage.clock.now_ms()
    fields = {"meeting": scene.meeting, "name": name, "pin": stage.running.pin}
    old = sign_blob(bob, b"old", **fields, time_ms=now)
    path = f"/v0/blobs/{scene.meeting.hex()}/{name}"
    await client._request("PUT", path, old)
    await client._request(
        "PUT", path, sign_blob(bob, b"new", **fields, time_ms=now + 1)
    )
    with refused(Code.REPLAYED):
        await client._request("PUT", path, old)
    with refused(Code.STALE):
        late = sign_blob(bob, b"late", **fields, time_ms=now + 100_000)
        await client._request("PUT", path, late)
    with refused(Code.BAD_SIGNATURE):
        await client._request("PUT", path.replace(name, "leader"), old)
    assert await client.blob_get(scene.meeting, name) == b"new"


async def test_dropped_with_its_member_and_at_dismissal(stage: Any) -> None:
    scene, client = await stage.meeting("bob", "cyd"), stage.client
    names = {who: stage.kid(who).hex() for who in ("bob", "cyd")}
    for who, name in names.items():
        await client.blob_put(scene.meeting, name, b"sealed", stage.signer(who))
    await client.blob_put(scene.meeting, "leader", b"info", stage.signer("ann"))
    await scene.post(scene.epoch(removed=[1]))
    await gone(stage, scene, names["bob"])
    assert await client.blob_get(scene.meeting, names["cyd"]) == b"sealed"
    await scene.post(scene.dismiss())
    for name in (names["cyd"], "leader"):
        await gone(stage, scene, name)


async def test_the_largest_blob(stage: Any, refused: Refused) -> None:
    scene, client = await stage.meeting("bob"), stage.client
    name, bob = stage.kid("bob").hex(), stage.signer("bob")
    await client.blob_put(scene.meeting, name, bytes(65_536), bob)
    with refused(Code.SCHEMA):
        await client.blob_put(scene.meeting, name, bytes(65_537), bob)
    with refused(Code.TOO_LARGE):
        path = f"/v0/blobs/{scene.meeting.hex()}/{name}"
        await client._request("PUT", path, bytes(66_000))

# SPDX-License-Identifier: Apache-2.0
"""The gateway holds no key of a member; the search for keys finds what is there."""

import base64
import secrets
from collections.abc import Callable
from typing import Any

import pytest

from incamera.protocol.ids import EntryId, KeyId
from incamera.protocol.message import encode_unsigned
from incamera.protocol.message_bodies import WrapBatch
from incamera.protocol.secret import Secret
from incamera.protocol.wraps import LeaderKek, Pair, WrapContext

Scan = Callable[[bytes], tuple[bool, bool]]
FORMS: list[Callable[[bytes], bytes]] = [
    bytes,
    lambda secret: secret.hex().encode(),
    base64.b64encode,
    base64.urlsafe_b64encode,
    lambda secret: base64.b64encode(b"x" + secret + b"yz"),
]


def batch_of(scene: Any, stage: Any, seed: bytes) -> bytes:
    """Return the leader's batch with the wrap of a seed for Bob."""
    pair = Pair(
        meeting=scene.meeting,
        leader=stage.signer("ann").public,
        member=stage.signer("bob").public,
        kek_id=bytes(32),
        generation=0,
    )
    key_id = KeyId(bytes(32))
    context = WrapContext(EntryId(bytes(32)), key_id, 1)
    kek = LeaderKek(pair, Secret(bytearray(secrets.token_bytes(32))))
    wrap = kek.wrap(Secret(bytearray(seed)), context)
    return encode_unsigned(WrapBatch(key_id=key_id, wraps=(wrap,)))


@pytest.mark.acceptance("Z1-05")
async def test_the_relay_of_a_wrapped_key_does_not_hold_the_key(
    stage: Any, scan: Scan
) -> None:
    scene = await stage.meeting("bob")
    ann, seed = await stage.relay(scene, "ann"), secrets.token_bytes(32)
    await ann.send(None, batch_of(scene, stage, seed))
    signing = bytes(stage.seed("ann"))
    assert scan(seed) == (False, False)
    assert scan(signing) == (False, False)


@pytest.mark.acceptance("Z1-05")
@pytest.mark.parametrize("form", FORMS)
async def test_the_scan_finds_what_was_posted_in_clear_control(
    stage: Any, scan: Scan, form: Callable[[bytes], bytes]
) -> None:
    scene = await stage.meeting("bob")
    ann, seed = await stage.relay(scene, "ann"), secrets.token_bytes(32)
    await ann.send(None, form(seed))
    assert scan(seed) == (True, False)
    name = stage.kid("bob").hex()
    await stage.client.blob_put(scene.meeting, name, form(seed), stage.signer("bob"))
    assert scan(seed)[1]

# SPDX-License-Identifier: Apache-2.0
"""Ten thousand requests of strangers cost members nothing that they notice."""

import asyncio
import statistics
import time
from collections.abc import Callable
from typing import Any

import pytest

from incamera.errors import IncameraError
from incamera.node.relay_connection import RelayConnection
from incamera.protocol.ids import TopicId

STRANGERS = 10_000


async def round_trips(ann: RelayConnection, stage: Any, count: int) -> list[float]:
    """Return how long posts of a member take, in seconds."""
    found = []
    for _ in range(count):
        start = time.perf_counter()
        await ann.send(stage.kid("bob"), b"x")
        found.append(time.perf_counter() - start)
        await asyncio.sleep(0.01)
    return found


@pytest.mark.slow
@pytest.mark.xdist_group("flood")
async def test_strangers_do_not_delay_members(
    stage: Any, record_property: Callable[[str, object], None]
) -> None:
    scene = await stage.meeting("bob")
    ann = await stage.relay(scene, "ann")
    before = await round_trips(ann, stage, 50)
    knocks = [scene.request(f"s{n}", gate="wrong").data for n in range(50)]
    refusals, start = 0, time.perf_counter()

    async def knock(worker: int) -> None:
        nonlocal refusals
        for number in range(STRANGERS // 8):
            try:
                await stage.client.post("/v0/append", knocks[(number + worker) % 50])
            except IncameraError:
                refusals += 1

    flood = [asyncio.create_task(knock(worker)) for worker in range(8)]
    during = await round_trips(ann, stage, 50)
    await asyncio.gather(*flood)
    await asyncio.sleep(1)  # our own address shares its rate with the strangers
    records = await stage.ledger.read(TopicId(scene.meeting))
    record_property("quiet_ms", statistics.median(before) * 1e3)
    record_property("flood_ms", statistics.median(during) * 1e3)
    record_property("flood_s", time.perf_counter() - start)
    assert refusals == STRANGERS // 8 * 8
    assert len(records) == len(scene.history)
    assert statistics.median(during) < 0.1

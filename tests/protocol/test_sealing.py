# SPDX-License-Identifier: Apache-2.0
"""How a joiner's first words reach the leader alone."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from tests.sim.people import TOOLS
from tests.sim.world import World

from incamera.errors import Code
from incamera.protocol.box import RequestBox
from incamera.protocol.ids import EntryId
from incamera.protocol.sealing import open_join_secret, seal_join_secret
from incamera.protocol.seat import Seat

Refused = Callable[[Code], Any]


@pytest.fixture
def ends(world: World) -> tuple[Seat, Seat, RequestBox]:
    """Leader's seat, joiner's seat and the box between them."""
    leader = world.founder()
    world.until(lambda: world.one_room("leader"))
    joiner = world.asker("bob").seat
    box = seal_join_secret(
        joiner,
        TOOLS.sealer,
        leader=leader.seat.signer.public,
        leader_kem_key=leader.seat.kems.current.public,
    )
    return leader.seat, joiner, box


def test_the_leader_reads_what_was_sealed(ends: tuple[Seat, Seat, RequestBox]) -> None:
    leader, joiner, box = ends
    secret = open_join_secret(leader, box, joiner.signer.public)
    assert secret.opening == joiner.opening
    assert secret.current == joiner.kems.current.public
    assert secret.spare == joiner.kems.spare.public


def test_for_another_joiner_it_does_not_open(
    ends: tuple[Seat, Seat, RequestBox], refused: Refused
) -> None:
    leader, _, box = ends
    with refused(Code.BAD_BOX):
        open_join_secret(leader, box, leader.signer.public)


def test_for_another_request_it_does_not_open(
    ends: tuple[Seat, Seat, RequestBox], refused: Refused
) -> None:
    leader, joiner, box = ends
    other = replace(box, request=EntryId(bytes(32)))
    with refused(Code.BAD_BOX):
        open_join_secret(leader, other, joiner.signer.public)


def test_nobody_else_opens_it(
    ends: tuple[Seat, Seat, RequestBox], refused: Refused
) -> None:
    _, joiner, box = ends
    with refused(Code.MISSING_KEY):
        open_join_secret(joiner, box, joiner.signer.public)

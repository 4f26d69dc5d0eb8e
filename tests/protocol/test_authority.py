# SPDX-License-Identifier: Apache-2.0
"""Who may do what: one table, and another one in its place."""

from typing import Any

import pytest

from incamera.protocol.authority import (
    AUTHORITY,
    Action,
    Authority,
    Capacity,
    always,
    may,
)
from incamera.protocol.policy import Doors, Grant, Policy, Role


def allowed(scene: Any, slot: int, **other: Any) -> set[Action]:
    member = scene.now.roster.get(slot)
    return {a for a in AUTHORITY if may(scene.now, member, a, **other)}


def granting(scene: Any, role: Role) -> Any:
    """Bob has `role`."""
    bob = scene.now.roster[1].id
    return scene.policy(policy={"grants": (Grant(who=bob, role=role),)})


def test_the_table_names_every_action() -> None:
    assert set(AUTHORITY) == set(Action)


def test_the_publisher_leads_and_is_host(scene: Any) -> None:
    assert allowed(scene, 0) == set(Action)
    assert allowed(scene, 1) == allowed(scene, 9) == set()


def test_a_host_changes_the_policy_and_nothing_else(scene: Any) -> None:
    scene.land(granting(scene, Role.HOST))
    assert allowed(scene, 1) == {Action.CHANGE_POLICY, Action.CHANGE_HOSTS}
    assert Action.CHANGE_HOSTS not in allowed(scene, 0)
    scene.land(scene.leave("bob"))
    assert allowed(scene, 1) == set()


@pytest.mark.parametrize("role", [Role.CO_HOST, Role.MODERATOR, Role.RECORDER])
def test_other_grants_allow_nothing_yet(scene: Any, role: Role) -> None:
    scene.land(granting(scene, role))
    assert allowed(scene, 1) == set()


def test_another_table_gives_another_answer(scene: Any) -> None:
    def when_closed(policy: Policy) -> frozenset[Capacity]:
        closed = policy.doors is Doors.CLOSED
        return frozenset({Capacity.MODERATOR} if closed else ())

    other: Authority = {
        **AUTHORITY,
        Action.END_MEETING: always(Capacity.CO_HOST),
        Action.DECLINE: when_closed,
    }
    scene.land(granting(scene, Role.CO_HOST))
    assert allowed(scene, 1, authority=other) == {Action.END_MEETING}
    assert Action.END_MEETING not in allowed(scene, 0, authority=other)
    grants = (Grant(who=scene.now.roster[2].id, role=Role.MODERATOR),)
    scene.land(scene.policy(policy={"grants": grants, "doors": Doors.CLOSED}))
    assert allowed(scene, 2, authority=other) == {Action.DECLINE}

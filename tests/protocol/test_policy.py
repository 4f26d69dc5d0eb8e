# SPDX-License-Identifier: Apache-2.0
"""What a meeting's policy says."""

from dataclasses import replace
from typing import Any

from incamera.protocol.ids import EntryId
from incamera.protocol.policy import POLICY, Grant, Role, hosts


def test_round_trip(meetings: Any) -> None:
    grants = tuple(Grant(who=EntryId(bytes([n]) * 32), role=Role(n)) for n in (1, 3, 5))
    policy = replace(meetings.POLICY, grants=grants, appointed=EntryId(bytes(32)))
    assert POLICY.decode(POLICY.encode(policy)) == policy


def test_hosts_are_those_with_that_grant(meetings: Any) -> None:
    one, two = EntryId(bytes(32)), EntryId(bytes([1]) * 32)
    grants = (Grant(who=one, role=Role.HOST), Grant(who=two, role=Role.CO_HOST))
    assert hosts(meetings.POLICY) == frozenset()
    assert hosts(replace(meetings.POLICY, grants=grants)) == {one}

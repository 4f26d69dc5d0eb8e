# SPDX-License-Identifier: Apache-2.0
"""User topics: roots."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from incamera.errors import PeerError
from incamera.protocol.entry import parse_entry
from incamera.protocol.ids import DeviceId
from incamera.protocol.user import UserState, active_device


@pytest.fixture(scope="module")
def users(generators: Callable[[str], Any]) -> Any:
    return generators("user")


def test_every_root_is_accepted(users: Any) -> None:
    for name, make in users.ACCEPTED.items():
        entry = make()
        state = users.judge(None, entry)
        assert isinstance(state, UserState), name
        assert (state.user_id, state.last, state.count) == (entry.id, entry.id, 1)


def test_every_fault_is_refused_with_its_code(users: Any) -> None:
    state = users.judge(None, users.root())
    for before, groups in ((None, users.FIRST), (state, users.LATER)):
        for code, faults in groups.items():
            for name, fault in faults.items():
                assert users.verdict(before, fault()) is code, name


@pytest.mark.acceptance("D-01")
def test_a_tampered_identity_entry_is_refused(users: Any) -> None:
    data = users.root().data
    for bit in range(8 * len(data)):
        changed = bytearray(data)
        changed[bit // 8] ^= 1 << bit % 8
        with pytest.raises(PeerError):
            users.judge(None, parse_entry(bytes(changed)))


def test_a_tampered_identity_entry_control(users: Any) -> None:
    state = users.judge(None, parse_entry(users.root().data))
    assert state.devices[0].device == users.device("ann's laptop")


def test_active_devices(users: Any) -> None:
    state = users.judge(None, users.clear_root())
    laptop, paper = (record.device for record in state.devices)
    assert active_device(state, laptop.id) == laptop
    assert active_device(state, paper.id) is None
    assert active_device(state, DeviceId(bytes(16))) is None
    revoked = replace(state.devices[0], revoked=1)
    assert active_device(replace(state, devices=(revoked,)), laptop.id) is None

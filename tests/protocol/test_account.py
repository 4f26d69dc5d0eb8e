# SPDX-License-Identifier: Apache-2.0
"""How a user begins, in clear or behind an HMAC."""

from collections.abc import Callable
from typing import Any

import pytest
from tests.sim.people import TOOLS

from incamera.errors import Code
from incamera.protocol.account import NewUser, UserPlan, name_of, new_user
from incamera.protocol.bodies import ClearInfo, UserRoot
from incamera.protocol.context import RULES, Context
from incamera.protocol.ids import LedgerId
from incamera.protocol.schedule import info_commitment, user_secret_commitment
from incamera.protocol.topic import apply
from incamera.protocol.user import UserState

LEDGER = LedgerId(bytes(32))


def made(*, clear: bool, name: str = "Ada") -> tuple[NewUser, UserRoot]:
    plan = UserPlan(name=name, clear=clear, device_name="laptop")
    user = new_user(TOOLS, plan, ledger_id=LEDGER)
    assert isinstance(user.entry.body, UserRoot)
    return user, user.entry.body


def test_a_root_is_legal_and_names_the_user() -> None:
    user, _ = made(clear=True)
    state = apply(None, user.entry, Context(LEDGER, RULES, 0, 1))
    assert isinstance(state, UserState)
    assert state.user_id == user.user_id


def test_in_clear_the_names_are_there() -> None:
    user, root = made(clear=True)
    assert user.info is None
    assert root.info == ClearInfo(name="Ada")
    assert root.device.name == "laptop"


def test_otherwise_neither_name_is() -> None:
    user, root = made(clear=False)
    assert user.info is not None
    assert root.info == info_commitment(user.info.nonce, user.info.info)
    assert name_of(user.info) == "Ada"
    assert b"Ada" not in user.entry.data
    assert b"laptop" not in user.entry.data


def test_the_users_secret_is_committed_to() -> None:
    user, root = made(clear=False)
    assert root.user_secret == user_secret_commitment(user.user_secret)


def test_a_name_too_long_is_refused(refused: Callable[..., Any]) -> None:
    with refused(Code.SCHEMA):
        made(clear=True, name="x" * 10_000)


@pytest.mark.parametrize("clear", [True, False])
def test_two_users_share_nothing(clear: bool) -> None:
    one, other = made(clear=clear)[0], made(clear=clear)[0]
    assert one.user_id != other.user_id
    assert one.seed != other.seed

# SPDX-License-Identifier: Apache-2.0
"""The context that entries are judged in."""

from incamera.protocol.context import RULES, Context
from incamera.protocol.ids import LedgerId


def test_a_context_is_a_value() -> None:
    context = Context(LedgerId(bytes(32)), RULES, 0, 1)
    assert context == Context(LedgerId(bytes(32)), 1, 0, 1)

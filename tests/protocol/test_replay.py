# SPDX-License-Identifier: Apache-2.0
"""The replay window against a plain set of all counters seen."""

from collections.abc import Callable
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from incamera.errors import Code, PeerError
from incamera.protocol.replay import WINDOW, ReplayWindow

Refused = Callable[[Code], Any]


def accepts(window: ReplayWindow, counter: int) -> bool:
    """Check and, if let through, commit; say which."""
    try:
        window.check(counter)
    except PeerError as error:
        if error.code is not Code.REPLAYED:
            raise
        return False
    window.commit(counter)
    return True


def test_each_counter_passes_once() -> None:
    window = ReplayWindow()
    assert [accepts(window, n) for n in (0, 0, 2, 1, 2, 1, 3)] == [
        *(True, False, True, True, False, False, True)
    ]


def test_the_window_is_1024_wide() -> None:
    window = ReplayWindow()
    window.commit(WINDOW)
    assert not accepts(window, 0)
    assert accepts(window, 1)


def test_a_jump_beyond_the_window_forgets_only_the_old() -> None:
    window = ReplayWindow()
    window.commit(5)
    assert accepts(window, 2**64 - 1)
    assert not accepts(window, 5)
    assert accepts(window, 2**64 - 2)
    assert not accepts(window, 2**64 - 1)


def test_checking_changes_nothing(refused: Refused) -> None:
    window = ReplayWindow()
    window.check(2**60)
    window.check(2**60)
    assert accepts(window, 0)
    with refused(Code.REPLAYED):
        window.check(0)


@given(st.lists(st.integers(0, 40) | st.integers(0, 3000), max_size=200))
def test_the_window_agrees_with_a_set(counters: list[int]) -> None:
    window, seen = ReplayWindow(), set[int]()
    for counter in counters:
        fresh = counter not in seen and counter > max(seen, default=0) - WINDOW
        assert accepts(window, counter) is fresh
        seen |= {counter} if fresh else set()


def test_the_window_agrees_with_a_set_control() -> None:
    """Without commit a counter passes twice: the sequence above does tell."""
    window = ReplayWindow()
    window.check(7)
    assert accepts(window, 7)
    assert not accepts(window, 7)

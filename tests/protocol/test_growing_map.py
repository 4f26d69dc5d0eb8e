# SPDX-License-Identifier: Apache-2.0
"""A mapping that is copied in part."""

from hypothesis import given
from hypothesis import strategies as st

from incamera.protocol.growing_map import GrowingMap

changes = st.dictionaries(st.integers(0, 60), st.none() | st.integers(), max_size=9)


@given(st.lists(changes, max_size=40))
def test_it_is_a_dict_and_older_ones_stay(steps: list[dict[int, int | None]]) -> None:
    grown: GrowingMap[int, int] = GrowingMap()
    history = [(grown, dict[int, int]())]
    for step in steps:
        grown = grown.changed(step)
        plain = {**history[-1][1], **step}
        kept = {key: value for key, value in plain.items() if value is not None}
        history.append((grown, kept))
    for found, expected in history:
        assert dict(found) == expected
        assert len(found) == len(expected)


def test_removed_keys_are_gone_before_and_after_merging() -> None:
    small = GrowingMap({1: "a", 2: "b"}).changed({1: None})
    assert 1 not in small
    assert list(small) == [2]
    merged = small.changed(dict.fromkeys(range(10, 60), "c"))
    assert sorted(merged) == [2, *range(10, 60)]
    assert merged.get(1) is None


def test_adding_does_not_copy_everything() -> None:
    big = GrowingMap({n: n for n in range(10_000)})
    assert big.changed({-1: 0})._base is big._base

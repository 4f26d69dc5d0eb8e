# SPDX-License-Identifier: Apache-2.0
"""How a frozen state holds a mapping that grows by one entry at a time.

Copying a plain dict for each of 65,536 requests is quadratic.  Here an old base is
shared and a small change set is copied, so one change among n costs about sqrt(n).
"""

from collections.abc import Iterator, Mapping
from math import isqrt
from typing import Final, Generic, TypeVar

K = TypeVar("K")
V = TypeVar("V")

_SMALLEST: Final = 32
"""Changes below which merging is never worth it."""


class GrowingMap(Mapping[K, V], Generic[K, V]):
    """An immutable mapping; `changed` returns another one and leaves this alone."""

    __slots__ = ("_base", "_changes", "_size")

    def __init__(self, base: Mapping[K, V] | None = None) -> None:
        """Start from the items of `base`, which is copied."""
        self._base: dict[K, V] = dict(base or {})
        self._changes: dict[K, V | None] = {}  # None: not there any more
        self._size = len(self._base)

    def __getitem__(self, key: K) -> V:
        if key not in self._changes:
            return self._base[key]
        value = self._changes[key]
        if value is None:
            raise KeyError(key)
        return value

    def __iter__(self) -> Iterator[K]:
        yield from (key for key in self._base if key not in self._changes)
        yield from (key for key, value in self._changes.items() if value is not None)

    def __len__(self) -> int:
        return self._size

    def changed(self, changes: Mapping[K, V | None]) -> "GrowingMap[K, V]":
        """Return this mapping with `changes` set, or removed where None."""
        other: GrowingMap[K, V] = GrowingMap()
        other._size = self._size + sum(
            (value is not None) - (key in self) for key, value in changes.items()
        )
        merged = {**self._changes, **changes}
        if len(merged) <= max(_SMALLEST, isqrt(2 * len(self._base))):
            other._base, other._changes = self._base, merged
        else:
            other._base = {**self._base, **merged}  # type: ignore[dict-item]  # dropped next
            for key in [key for key, value in merged.items() if value is None]:
                del other._base[key]
        return other

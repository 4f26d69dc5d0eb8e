# SPDX-License-Identifier: Apache-2.0
"""How a set of slots or request ordinals is written (spec/encoding.md, section 7).

Members are never named by key but by roster slot or request ordinal: as ranges, or as a
bitmap where that is shorter.  Each set has exactly one form, else two encodings of one
epoch could both be signed.
"""

from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass
from itertools import pairwise
from typing import Final

from incamera.errors import Code, PeerError, UsageError
from incamera.protocol.encoding import Value, encode
from incamera.protocol.schema import Codec, ListOf, octets, refuse, uint

MAX_RANGES: Final = 64
"""(start, length) pairs of one set, 128 integers."""
MAX_BITMAP: Final = 1024
"""Bytes of one bitmap: 8192 neighbouring indices."""


@dataclass(frozen=True, slots=True)
class IndexSet(Collection[int]):
    """A set of unsigned integers, held as ascending ranges that do not touch."""

    ranges: tuple[tuple[int, int], ...] = ()
    """(start, length) pairs; `index_set` makes them from any integers."""

    def __iter__(self) -> Iterator[int]:
        for start, length in self.ranges:
            yield from range(start, start + length)

    def __len__(self) -> int:
        return sum(length for _, length in self.ranges)

    def __contains__(self, index: object) -> bool:
        return isinstance(index, int) and any(
            start <= index < start + length for start, length in self.ranges
        )


def index_set(indices: Iterable[int]) -> IndexSet:
    """Return the set of these integers, in any order and with repeats."""
    ranges: list[tuple[int, int]] = []
    for index in sorted(set(indices)):
        if ranges and sum(ranges[-1]) == index:
            ranges[-1] = (ranges[-1][0], ranges[-1][1] + 1)
        else:
            ranges.append((index, 1))
    return IndexSet(tuple(ranges))


@dataclass(frozen=True, slots=True)
class IndexSetCodec(Codec[IndexSet]):
    """An index set below `limit` with at most `count` members."""

    limit: int
    count: int

    def encode(self, value: IndexSet, /) -> Value:
        """Return the shorter form, ranges on a tie.

        Raises PeerError(SCHEMA) for indices out of bounds, UsageError(TOO_LARGE) for a
        set that neither form can hold: name fewer at once.
        """
        self._check(value)
        forms = [form for form in (_ranges(value), _bitmap(value)) if form is not None]
        if not forms:
            raise UsageError(Code.TOO_LARGE, "too many scattered indices at once")
        return min(forms, key=lambda form: len(encode(form)))

    def decode(self, value: Value, /) -> IndexSet:
        """Return the set; PeerError SCHEMA, or NOT_CANONICAL for the longer form."""
        found = _from_bitmap(value) if isinstance(value, dict) else _from_ranges(value)
        self._check(found)
        if self.encode(found) != value:
            raise PeerError(Code.NOT_CANONICAL, "not the one form of this set")
        return found

    def _check(self, found: IndexSet) -> None:
        # Both bounds are checked on the ranges: a range of 2^52 is never walked.
        if len(found) > self.count or (
            found.ranges and sum(found.ranges[-1]) > self.limit
        ):
            raise refuse(f"not at most {self.count} indices below {self.limit}")


_RANGE_ITEMS: Final = ListOf(uint(), 2 * MAX_RANGES)
_BASE: Final = uint()
_BITS: Final = octets(1, MAX_BITMAP)


def _ranges(value: IndexSet) -> "Value | None":
    if len(value.ranges) > MAX_RANGES:
        return None
    return [number for pair in value.ranges for number in pair]


def _from_ranges(value: Value) -> IndexSet:
    numbers = _RANGE_ITEMS.decode(value)
    if len(numbers) % 2:
        raise refuse("a range lacks its length")
    pairs = tuple(zip(numbers[::2], numbers[1::2], strict=True))
    rising = all(sum(before) < after[0] for before, after in pairwise(pairs))
    if not rising or not all(length for _, length in pairs):
        raise refuse("ranges are empty, touch or do not rise")
    return IndexSet(pairs)


def _bitmap(value: IndexSet) -> "Value | None":
    if not value.ranges:
        return None
    base = value.ranges[0][0] & ~7
    size = (sum(value.ranges[-1]) - base + 7) // 8
    if size > MAX_BITMAP:
        return None
    bits = 0
    for start, length in value.ranges:
        bits |= ((1 << length) - 1) << (start - base)
    return {1: base, 2: bits.to_bytes(size, "little")}


def _from_bitmap(value: dict[int, Value]) -> IndexSet:
    if value.keys() != {1, 2}:
        raise refuse("a bitmap is not base and bits")
    base, octet = _BASE.decode(value[1]), _BITS.decode(value[2])
    bits = int.from_bytes(octet, "little")
    return index_set(base + i for i in range(8 * len(octet)) if bits >> i & 1)

# SPDX-License-Identifier: Apache-2.0
"""Is this leaf in that log, and does the new log extend the old (spec/ledger.md, 5)?

The Merkle tree of RFC 6962 and RFC 9162: a leaf is hashed behind a zero byte, a node
behind a one, and a tree splits at the largest power of two below its size.  Rosters and
presence use the same tree, so there is one root function in the whole protocol.
"""

from collections.abc import Sequence
from hashlib import sha256
from typing import Final

from incamera.errors import Code, PeerError

HASH_BYTES: Final = 32
MAX_PATH: Final = 63
"""Hashes in one proof: a log of 2^53 leaves needs 53; C2SP witnesses allow 63."""
EMPTY_ROOT: Final = sha256(b"").digest()
"""Root of the tree without leaves (RFC 6962, section 2.1)."""


def leaf_hash(leaf: bytes) -> bytes:
    """Return the hash of one leaf's bytes."""
    return sha256(b"\0" + leaf).digest()


def node_hash(left: bytes, right: bytes) -> bytes:
    """Return the hash of a node from the hashes of its halves."""
    return sha256(b"\1" + left + right).digest()


def root_of(leaves: Sequence[bytes]) -> bytes:
    """Return the root over the bytes of all leaves, in order."""
    log = Log()
    for leaf in leaves:
        log.append(leaf_hash(leaf))
    return log.root()


class Log:
    """A growing tree that keeps the hash of every complete subtree: 64 bytes a leaf.

    It takes leaf hashes, not leaves, so that it can be rebuilt from stored hashes.
    """

    __slots__ = ("_levels",)

    def __init__(self) -> None:
        # Level k holds the roots of the complete subtrees of 2^k leaves, in order.
        self._levels: list[bytearray] = [bytearray()]

    def __len__(self) -> int:
        return len(self._levels[0]) // HASH_BYTES

    def append(self, leaf: bytes) -> None:
        """Add the hash of the next leaf."""
        carry, height, index = leaf, 0, len(self)
        self._levels[0] += carry
        while index & 1:
            carry = node_hash(self._node(height, index - 1), carry)
            height, index = height + 1, index >> 1
            if height == len(self._levels):
                self._levels.append(bytearray())
            self._levels[height] += carry

    def root(self, size: int | None = None) -> bytes:
        """Return the root over the first `size` leaves, all of them by default."""
        end = len(self) if size is None else size
        return self._span(0, end) if end else EMPTY_ROOT

    def prove_inclusion(self, index: int, size: int) -> tuple[bytes, ...]:
        """Return the path from leaf `index` up to the root over `size` leaves."""
        path: list[bytes] = []
        start, end = 0, size
        while end - start > 1:
            middle = start + _split(end - start)
            if index < middle:
                path.append(self._span(middle, end))
                end = middle
            else:
                path.append(self._span(start, middle))
                start = middle
        return tuple(reversed(path))

    def prove_consistency(self, old_size: int, new_size: int) -> tuple[bytes, ...]:
        """Return the proof that the first `old_size` leaves are a prefix.

        Empty for an empty old tree and for equal sizes (RFC 9162, section 2.1.4.1).
        """
        if old_size in (0, new_size):
            return ()
        path: list[bytes] = []
        start, end, whole = 0, new_size, True
        while old_size != end:
            middle = start + _split(end - start)
            if old_size <= middle:
                path.append(self._span(middle, end))
                end = middle
            else:
                path.append(self._span(start, middle))
                start, whole = middle, False
        if not whole:
            path.append(self._span(start, end))
        return tuple(reversed(path))

    def _span(self, start: int, end: int) -> bytes:
        """Root over [start, end), where start is a multiple of a large enough 2^k."""
        size = end - start
        height = size.bit_length() - 1
        if size == 1 << height:
            return self._node(height, start >> height)
        middle = start + _split(size)
        return node_hash(self._span(start, middle), self._span(middle, end))

    def _node(self, height: int, index: int) -> bytes:
        at = index * HASH_BYTES
        return bytes(self._levels[height][at : at + HASH_BYTES])


def _split(size: int) -> int:
    """Largest power of two smaller than `size`, for a size of at least 2."""
    return 1 << ((size - 1).bit_length() - 1)


def verify_inclusion(
    leaf: bytes, path: Sequence[bytes], *, index: int, size: int, root: bytes
) -> None:
    """Check that the leaf with hash `leaf` is number `index` of `size` under `root`.

    Raises PeerError(BAD_PROOF) (RFC 9162, section 2.1.3.2).
    """
    _require(0 <= index < size and _are_hashes(leaf, *path))
    node, position, last = leaf, index, size - 1
    for sibling in path:
        _require(last > 0)
        if position & 1 or position == last:
            node = node_hash(sibling, node)
            while not position & 1 and position:
                position, last = position >> 1, last >> 1
        else:
            node = node_hash(node, sibling)
        position, last = position >> 1, last >> 1
    _require(last == 0 and node == root)


def verify_consistency(
    old_root: bytes,
    new_root: bytes,
    path: Sequence[bytes],
    *,
    old_size: int,
    new_size: int,
) -> None:
    """Check that the log of `new_size` begins with the log of `old_size`.

    Raises PeerError(BAD_PROOF), also for an old log without leaves, which says nothing
    (RFC 9162, section 2.1.4.2).
    """
    _require(old_size > 0)
    if old_size == new_size:
        _require(not path and old_root == new_root)
        return
    span = (0, old_size)
    verify_subtree(old_root, new_root, path, span=span, size=new_size)


def verify_subtree(
    part: bytes,
    root: bytes,
    path: Sequence[bytes],
    *,
    span: tuple[int, int],
    size: int,
) -> None:
    """Check that `part` is the root over the leaves of `span` in a log of `size`.

    Raises PeerError(BAD_PROOF); a span that is no subtree is refused too.
    """
    start, end = span
    _require(0 <= start <= end <= size and _are_hashes(*path))
    if start == end:
        _require(not path and part == EMPTY_ROOT)
        return
    # A subtree begins at a multiple of a power of two that is not below its size.
    _require(start % (1 << (end - start - 1).bit_length()) == 0)
    _Walk(start, end - 1, size - 1).check(part, root, list(path))


class _Walk:
    """Climbs from a part's last leaf; all three positions move up together."""

    def __init__(self, first: int, last: int, end: int) -> None:
        self.first, self.last, self.end = first, last, end

    def up(self) -> None:
        self.first, self.last, self.end = self.first >> 1, self.last >> 1, self.end >> 1

    def check(self, part: bytes, root: bytes, path: list[bytes]) -> None:
        edge = self.last == self.end
        while self.first != self.last and (edge or self.last & 1):
            self.up()
        if self.first != self.last:
            _require(bool(path))
            old = new = path.pop(0)
        else:
            # The part is one complete subtree and so its own first node.
            old = new = part
        for sibling in path:
            old, new = self.step(old, new, sibling)
        _require(self.end == 0 and old == part and new == root)

    def step(self, old: bytes, new: bytes, sibling: bytes) -> tuple[bytes, bytes]:
        _require(self.end > 0)
        if self.last & 1 or self.last == self.end:
            if self.first < self.last:
                old = node_hash(sibling, old)
            new = node_hash(sibling, new)
            while not self.last & 1 and self.last:
                self.up()
        else:
            new = node_hash(new, sibling)
        self.up()
        return old, new


def _are_hashes(*values: bytes) -> bool:
    return all(len(value) == HASH_BYTES for value in values)


def _require(condition: bool) -> None:
    if not condition:
        raise PeerError(Code.BAD_PROOF, "log proof does not hold")

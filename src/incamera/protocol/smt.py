# SPDX-License-Identifier: Apache-2.0
"""Which value does the map hold under this key, or none (spec/ledger.md, section 4)?

A compact sparse Merkle tree over SHA-256, hashed as ICS23's `SmtSpec` describes:

    leaf = SHA-256(00 || SHA-256(key) || SHA-256(value))
    node = SHA-256(01 || left || right)

An empty subtree is 32 zero bytes and a subtree with one leaf is that leaf.  So the
shape depends on the contents alone, and presence and absence are proven alike.
"""

from collections.abc import Iterable
from hashlib import sha256
from typing import Final, NamedTuple, TypeAlias

from incamera.errors import Code, PeerError
from incamera.protocol.log import HASH_BYTES, node_hash
from incamera.protocol.schema import ArrayOf, ListOf, MapOf, key, octets, record

EMPTY: Final = bytes(HASH_BYTES)
"""Hash of a subtree without leaves, and root of the empty map."""
MAX_DEPTH: Final = 256
"""Bits of a hashed key; who grinds keys for a deep path gets no further."""


@record
class OtherLeaf:
    """The leaf found where the key would be: hashes of its key and its value."""

    key_hash: bytes = key(0, octets(HASH_BYTES))
    value_hash: bytes = key(1, octets(HASH_BYTES))


@record
class MapProof:
    """Siblings from the leaf to the root; for absence the other leaf found there."""

    siblings: tuple[bytes, ...] = key(1, ListOf(octets(HASH_BYTES), MAX_DEPTH))
    other: OtherLeaf | None = key(2, ArrayOf(OtherLeaf), default=None)


MAP_PROOF: Final = MapOf(MapProof)


class _Leaf(NamedTuple):
    hash: bytes
    key_hash: int
    value_hash: bytes


class _Branch(NamedTuple):
    hash: bytes
    left: "_Node"
    right: "_Node"


_Node: TypeAlias = "_Leaf | _Branch | None"


class SparseMap:
    """An immutable map: an update shares all that it does not change.

    So the map of the last commit goes on proving while the next one is made, and a
    commit that fails leaves nothing to undo.
    """

    __slots__ = ("_top",)

    def __init__(self, items: Iterable[tuple[bytes, bytes]] = ()) -> None:
        """Hold `items`; of one key given twice the last value counts."""
        self._top = _merge(None, _leaves(items), MAX_DEPTH - 1)

    def updated(self, items: Iterable[tuple[bytes, bytes]]) -> "SparseMap":
        """Return the map with `items` put in."""
        new = SparseMap()
        new._top = _merge(self._top, _leaves(items), MAX_DEPTH - 1)
        return new

    def root(self) -> bytes:
        """Return the root hash."""
        return _hash(self._top)

    def prove(self, key: bytes) -> MapProof:
        """Return the proof of the value under `key`, or of its absence."""
        wanted = _key_number(key)
        siblings: list[bytes] = []
        node, bit = self._top, MAX_DEPTH - 1
        while isinstance(node, _Branch):
            go, other = node.left, node.right
            if wanted >> bit & 1:
                go, other = other, go
            siblings.append(_hash(other))
            node, bit = go, bit - 1
        path = tuple(reversed(siblings))
        if node is None or node.key_hash == wanted:
            return MapProof(siblings=path)
        key_hash = node.key_hash.to_bytes(HASH_BYTES, "big")
        found = OtherLeaf(key_hash=key_hash, value_hash=node.value_hash)
        return MapProof(siblings=path, other=found)


def verify_map(
    root: bytes, proof: MapProof, *, key: bytes, value: bytes | None
) -> None:
    """Check that the map under `root` holds `value` under `key`; None means no value.

    Raises PeerError(BAD_PROOF).
    """
    wanted, other = _key_number(key), proof.other
    depth = len(proof.siblings)
    if value is not None:
        _require(other is None)
        node = _leaf_hash(wanted, sha256(value).digest())
    elif other is None:
        node = EMPTY
    else:
        found = int.from_bytes(other.key_hash, "big")
        # Another key, and one that belongs into the same subtree.
        _require(found != wanted and (found ^ wanted) >> (MAX_DEPTH - depth) == 0)
        node = _leaf_hash(found, other.value_hash)
    for bit, sibling in enumerate(proof.siblings, MAX_DEPTH - depth):
        pair = (sibling, node) if wanted >> bit & 1 else (node, sibling)
        node = node_hash(*pair)
    _require(node == root)


def _merge(node: _Node, leaves: list[_Leaf], bit: int) -> _Node:
    """Return `node` with `leaves` of distinct keys put in; `bit` parts its halves."""
    if not leaves:
        return node
    left, right = None, None
    match node:
        case _Branch():
            left, right = node.left, node.right
        case _Leaf(_, key_hash, _) if all(new.key_hash != key_hash for new in leaves):
            leaves = [*leaves, node]
    if len(leaves) == 1 and not isinstance(node, _Branch):
        return leaves[0]
    mask = 1 << bit
    left = _merge(left, [leaf for leaf in leaves if not leaf.key_hash & mask], bit - 1)
    right = _merge(right, [leaf for leaf in leaves if leaf.key_hash & mask], bit - 1)
    return _Branch(node_hash(_hash(left), _hash(right)), left, right)


def _leaves(items: Iterable[tuple[bytes, bytes]]) -> list[_Leaf]:
    last = {_key_number(key): sha256(value).digest() for key, value in items}
    return [_Leaf(_leaf_hash(k, v), k, v) for k, v in last.items()]


def _key_number(key: bytes) -> int:
    return int.from_bytes(sha256(key).digest(), "big")


def _leaf_hash(key_hash: int, value_hash: bytes) -> bytes:
    packed = b"\0" + key_hash.to_bytes(HASH_BYTES, "big") + value_hash
    return sha256(packed).digest()


def _hash(node: _Node) -> bytes:
    return EMPTY if node is None else node.hash


def _require(condition: bool) -> None:
    if not condition:
        raise PeerError(Code.BAD_PROOF, "map proof does not hold")

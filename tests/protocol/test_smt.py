# SPDX-License-Identifier: Apache-2.0
"""The sparse map against a model that hashes all 256 levels' decisions naively."""

import json
from collections.abc import Callable, Mapping
from functools import partial
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from incamera.errors import Code, PeerError
from incamera.protocol.encoding import encode, parse
from incamera.protocol.smt import (
    EMPTY,
    MAP_PROOF,
    MapProof,
    OtherLeaf,
    SparseMap,
    verify_map,
)

CONTENTS = st.dictionaries(
    st.binary(min_size=1, max_size=4), st.binary(max_size=4), max_size=40
)


def naive_root(items: Mapping[bytes, bytes], prefix: str = "") -> bytes:
    """ICS23 SmtSpec, from bit strings: nothing shared with the code under test."""
    inside = {k: v for k, v in items.items() if bits(k).startswith(prefix)}
    if not inside:
        return bytes(32)
    if len(inside) == 1:
        ((key, value),) = inside.items()
        packed = b"\0" + sha256(key).digest() + sha256(value).digest()
        return sha256(packed).digest()
    left, right = (naive_root(inside, prefix + bit) for bit in "01")
    return sha256(b"\1" + left + right).digest()


def bits(key: bytes) -> str:
    return "".join(f"{octet:08b}" for octet in sha256(key).digest())


def is_refused(check: Callable[..., None], *arguments: Any, **named: Any) -> bool:
    try:
        check(*arguments, **named)
    except PeerError as error:
        return error.code is Code.BAD_PROOF
    return False


@settings(deadline=None)  # other work may hold the machine
@given(CONTENTS)
def test_root_equals_the_model(contents: dict[bytes, bytes]) -> None:
    assert SparseMap(contents.items()).root() == naive_root(contents)


@settings(deadline=None)  # other work may hold the machine
@given(CONTENTS, st.lists(CONTENTS, max_size=4))
def test_incremental_equals_bulk_and_leaves_the_old_map(
    first: dict[bytes, bytes], rest: list[dict[bytes, bytes]]
) -> None:
    contents, tree = dict(first), SparseMap(first.items())
    for more in rest:
        before = tree.root()
        following = tree.updated(more.items())
        contents.update(more)
        assert tree.root() == before
        tree = following
    assert tree.root() == SparseMap(contents.items()).root()


@settings(deadline=None)  # other work may hold the machine
@given(CONTENTS, st.binary(min_size=1, max_size=4))
def test_presence_and_absence_are_proven(
    contents: dict[bytes, bytes], other: bytes
) -> None:
    tree = SparseMap(contents.items())
    for key in [*contents, other]:
        value = contents.get(key)
        proof = tree.prove(key)
        verify_map(tree.root(), proof, key=key, value=value)
        wrong = b"another value" if value is None else None
        assert is_refused(verify_map, tree.root(), proof, key=key, value=wrong)
        assert MAP_PROOF.decode(parse(encode(MAP_PROOF.encode(proof)))) == proof


def large_map() -> SparseMap:
    return SparseMap((bytes([n]), bytes([n])) for n in range(200))


def test_every_flipped_bit_of_a_proof_is_refused() -> None:
    tree = large_map()
    for key, value in ((b"\7", b"\7"), (b"absent", None)):
        proof = tree.prove(key)
        for number, sibling in enumerate(proof.siblings):
            bad = bytes([sibling[0] ^ 1]) + sibling[1:]
            path = (*proof.siblings[:number], bad, *proof.siblings[number + 1 :])
            altered = MapProof(siblings=path, other=proof.other)
            assert is_refused(verify_map, tree.root(), altered, key=key, value=value)


def test_a_longer_or_shorter_path_is_refused() -> None:
    tree = large_map()
    path = tree.prove(b"\7").siblings
    for siblings in (path[1:], path[:-1], (EMPTY, *path), (*path, EMPTY)):
        proof = MapProof(siblings=siblings)
        assert is_refused(verify_map, tree.root(), proof, key=b"\7", value=b"\7")


def test_another_leaf_must_be_another_and_belong_there() -> None:
    tree = large_map()
    leaf = OtherLeaf(key_hash=sha256(b"\7").digest(), value_hash=sha256(b"\7").digest())
    for key in (b"\7", b"\x08"):
        proof = MapProof(siblings=tree.prove(b"\7").siblings, other=leaf)
        assert is_refused(verify_map, tree.root(), proof, key=key, value=None)
    present = MapProof(siblings=tree.prove(b"\7").siblings, other=leaf)
    assert is_refused(verify_map, tree.root(), present, key=b"\7", value=b"\7")


def test_a_key_of_a_present_leaf_cannot_be_shown_absent() -> None:
    tree = SparseMap([(b"only", b"1")])
    assert is_refused(
        verify_map, tree.root(), MapProof(siblings=()), key=b"only", value=None
    )
    verify_map(tree.root(), tree.prove(b"other"), key=b"other", value=None)
    verify_map(EMPTY, SparseMap().prove(b"any"), key=b"any", value=None)


@pytest.mark.parametrize("shared", [1, 100, 255])
def test_keys_that_share_a_long_prefix_go_deep(
    shared: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No one can grind such keys; the tree is given their hashes instead."""
    low, high = 0, 1 << (255 - shared)
    names = {b"low": low, b"high": high}
    monkeypatch.setattr("incamera.protocol.smt._key_number", names.__getitem__)
    tree = SparseMap([(b"low", b"1"), (b"high", b"2")])
    proof = tree.prove(b"high")
    assert len(proof.siblings) == shared + 1
    verify_map(tree.root(), proof, key=b"high", value=b"2")


def run_vector(case: dict[str, Any]) -> dict[str, Any]:
    """Roots come from the model, proofs from the case."""
    names = [b"%d" % number for number in range(case["size"])]
    root = naive_root({b"key " + name: b"value " + name for name in names})
    other = case["other"] and OtherLeaf(
        key_hash=bytes.fromhex(case["other"][0]),
        value_hash=bytes.fromhex(case["other"][1]),
    )
    siblings = tuple(bytes.fromhex(item) for item in case["siblings"])
    value = None if case["value"] is None else bytes.fromhex(case["value"])
    proof = MapProof(siblings=siblings, other=other)
    verify_map(root, proof, key=bytes.fromhex(case["key"]), value=value)
    return {"root": root.hex()}


PUBLISHED = Path(__file__).parents[1] / "published" / "ics23" / "smt-existence.json"


def protobuf(data: bytes) -> list[tuple[int, bytes]]:
    """Length-delimited fields of a message that is shorter than 16 kB."""
    fields, at = [], 0
    while at < len(data):
        number, kind, at = data[at] >> 3, data[at] & 7, at + 1
        size, at = data[at], at + 1
        if size > 127 and kind == 2:
            size, at = size - 128 + 128 * data[at], at + 1
        if kind == 2:
            fields.append((number, data[at : at + size]))
            at += size
    return fields


@pytest.mark.parametrize("name", ["exist_left", "exist_middle", "exist_right"])
def test_published_ics23_proof(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """An InnerOp holds 01 and, before or behind the child, its sibling."""
    if name != "exist_right":  # the keys of the other two are given hashed
        as_number = partial(int.from_bytes, byteorder="big")
        monkeypatch.setattr("incamera.protocol.smt._key_number", as_number)
    case = json.loads(PUBLISHED.read_text())[name]
    ((_, existence),) = protobuf(bytes.fromhex(case["proof"]))
    path = [dict(protobuf(op)) for number, op in protobuf(existence) if number == 4]
    proof = MapProof(siblings=tuple(op.get(3) or op[2][1:] for op in path))
    key, value, root = (bytes.fromhex(case[n]) for n in ("key", "value", "root"))
    verify_map(root, proof, key=key, value=value)
    assert is_refused(verify_map, root, proof, key=key, value=value + b"x")


VECTORS = Path(__file__).parents[2] / "spec" / "vectors" / "map.json"


@pytest.mark.parametrize(
    "case", json.loads(VECTORS.read_text())["cases"], ids=lambda case: case["name"]
)
def test_vector(case: dict[str, Any]) -> None:
    if "error" not in case:
        assert case["expect"].items() <= run_vector(case).items()
        return
    with pytest.raises(PeerError) as caught:
        run_vector(case)
    assert caught.value.code.value == case["error"]

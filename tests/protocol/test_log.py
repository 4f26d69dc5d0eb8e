# SPDX-License-Identifier: Apache-2.0
"""The log against the published cases and against a model written from RFC 6962."""

import base64
import json
from collections.abc import Callable
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from incamera.errors import Code, PeerError
from incamera.protocol.log import (
    EMPTY_ROOT,
    Log,
    leaf_hash,
    root_of,
    verify_consistency,
    verify_inclusion,
    verify_subtree,
)

PUBLISHED = Path(__file__).parents[1] / "published" / "tlog"
CASES = json.loads((PUBLISHED / "transparency-dev-merkle-testdata.json").read_text())
SIZES = st.integers(1, 70)


def naive_root(leaves: list[bytes]) -> bytes:
    """MTH as RFC 6962, section 2.1 writes it."""
    if not leaves:
        return sha256(b"").digest()
    if len(leaves) == 1:
        return sha256(b"\0" + leaves[0]).digest()
    split = 1
    while split * 2 < len(leaves):
        split *= 2
    left, right = naive_root(leaves[:split]), naive_root(leaves[split:])
    return sha256(b"\1" + left + right).digest()


def leaves_of(size: int) -> list[bytes]:
    return [f"leaf {index}".encode() for index in range(size)]


def log_of(size: int) -> Log:
    log = Log()
    for leaf in leaves_of(size):
        log.append(leaf_hash(leaf))
    return log


def flip(value: bytes, at: int = 0) -> bytes:
    return value[:at] + bytes([value[at] ^ 1]) + value[at + 1 :]


def is_refused(check: Callable[..., None], *arguments: Any, **named: Any) -> bool:
    try:
        check(*arguments, **named)
    except PeerError as error:
        return error.code is Code.BAD_PROOF
    return False


def published_check(case: dict[str, object]) -> Callable[[], None]:
    def octets(name: str) -> bytes:
        return base64.b64decode(str(case[name] or ""))

    def number(name: str) -> int:
        return int(str(case[name]))

    path = [base64.b64decode(item) for item in case["proof"] or ()]  # type: ignore[attr-defined]  # a JSON list
    if "size1" in case:
        return lambda: verify_consistency(
            octets("root1"),
            octets("root2"),
            path,
            old_size=number("size1"),
            new_size=number("size2"),
        )
    if "leafIdx" not in case:
        span = (number("start"), number("end"))
        return lambda: verify_subtree(
            octets("root1"), octets("root2"), path, span=span, size=number("size")
        )
    return lambda: published_inclusion(case, path)


def published_inclusion(case: dict[str, object], path: list[bytes]) -> None:
    start, end = (int(str(case.get(n, 0))) for n in ("start", "end"))
    size = int(str(case.get("treeSize", end - start)))
    if start and (size < 1 or start % (1 << (size - 1).bit_length())):
        raise PeerError(Code.BAD_PROOF, "not a subtree")
    verify_inclusion(
        base64.b64decode(str(case["leafHash"] or "")),
        path,
        index=int(str(case["leafIdx"])) - start,
        size=size,
        root=base64.b64decode(str(case["root"] or "")),
    )


@pytest.mark.parametrize("name", sorted(CASES))
def test_published_case(name: str) -> None:
    assert is_refused(published_check(CASES[name])) == CASES[name]["wantErr"]


def test_all_published_cases_are_here_good_and_bad() -> None:
    assert len(CASES) == 518
    assert sum(not case["wantErr"] for case in CASES.values()) >= 20


@settings(deadline=None)  # other work may hold the machine
@given(st.integers(0, 70))
def test_root_equals_the_model(size: int) -> None:
    leaves = leaves_of(size)
    assert root_of(leaves) == naive_root(leaves) == log_of(size).root()


def test_empty_log_has_the_root_of_no_leaves() -> None:
    assert Log().root() == EMPTY_ROOT == naive_root([])


@settings(deadline=None)  # other work may hold the machine
@given(SIZES, st.data())
def test_old_roots_stay_available(size: int, data: st.DataObject) -> None:
    old = data.draw(st.integers(0, size))
    assert log_of(size).root(old) == naive_root(leaves_of(old))


@settings(deadline=None)  # other work may hold the machine
@given(SIZES, st.data())
def test_inclusion_holds_for_its_leaf_alone(size: int, data: st.DataObject) -> None:
    index = data.draw(st.integers(0, size - 1))
    log, leaf = log_of(size), leaf_hash(leaves_of(size)[index])
    path, root = log.prove_inclusion(index, size), log.root()
    verify_inclusion(leaf, path, index=index, size=size, root=root)
    for wrong in (index + 1, -1, size):
        other = {"index": wrong, "size": size, "root": root}
        assert is_refused(verify_inclusion, leaf, path, **other)
    here: dict[str, Any] = {"index": index, "size": size, "root": root}
    assert is_refused(verify_inclusion, flip(leaf), path, **here)
    assert is_refused(verify_inclusion, leaf, [*path, leaf], **here)
    assert is_refused(verify_inclusion, leaf[:31], path, **here)


@settings(deadline=None)  # other work may hold the machine
@given(SIZES, st.data())
def test_consistency_holds_for_its_sizes_alone(size: int, data: st.DataObject) -> None:
    old = data.draw(st.integers(1, size))
    log = log_of(size)
    roots, path = (log.root(old), log.root()), log.prove_consistency(old, size)
    verify_consistency(*roots, path, old_size=old, new_size=size)
    here: dict[str, Any] = {"old_size": old, "new_size": size}
    assert is_refused(verify_consistency, flip(roots[0]), roots[1], path, **here)
    assert is_refused(verify_consistency, roots[0], flip(roots[1]), path, **here)
    assert is_refused(verify_consistency, *roots, [*path, roots[0]], **here)
    assert is_refused(verify_consistency, *roots, path, old_size=0, new_size=size)
    assert is_refused(
        verify_consistency, *roots, path, old_size=size + 1, new_size=size
    )


@settings(deadline=None)  # other work may hold the machine
@given(SIZES, st.data())
def test_one_flipped_bit_in_a_path_is_refused(size: int, data: st.DataObject) -> None:
    index = data.draw(st.integers(0, size - 1))
    log, leaf = log_of(size), leaf_hash(leaves_of(size)[index])
    path = list(log.prove_inclusion(index, size))
    for position in range(len(path)):
        bad = [*path[:position], flip(path[position]), *path[position + 1 :]]
        here: dict[str, Any] = {"index": index, "size": size, "root": log.root()}
        assert is_refused(verify_inclusion, leaf, bad, **here)


def test_consistency_with_an_empty_log_proves_nothing() -> None:
    assert log_of(3).prove_consistency(0, 3) == ()
    assert log_of(3).prove_consistency(3, 3) == ()
    assert is_refused(
        verify_consistency, EMPTY_ROOT, log_of(3).root(), (), old_size=0, new_size=3
    )


def naive_subtree_proof(
    start: int, end: int, leaves: list[bytes], *, known: bool = True
) -> list[bytes]:
    """Recursion of the Merkle tree certificates draft, section on subtree proofs."""
    size = len(leaves)
    if (start, end) == (0, size):
        return [] if known else [naive_root(leaves)]
    split = 1
    while split * 2 < size:
        split *= 2
    left, right = leaves[:split], leaves[split:]
    if end <= split:
        return [*naive_subtree_proof(start, end, left, known=known), naive_root(right)]
    inner = max(start - split, 0)
    known = known and start >= split
    rest = naive_subtree_proof(inner, end - split, right, known=known)
    return [*rest, naive_root(left)]


@settings(deadline=None)  # other work may hold the machine
@given(SIZES, st.data())
def test_subtrees_hold_for_their_span_alone(size: int, data: st.DataObject) -> None:
    width = data.draw(st.integers(1, size))
    block = 1 << (width - 1).bit_length()
    start = block * data.draw(st.integers(0, (size - width) // block))
    leaves = leaves_of(size)
    path = naive_subtree_proof(start, start + width, leaves)
    part, root = naive_root(leaves[start : start + width]), naive_root(leaves)
    span = (start, start + width)
    verify_subtree(part, root, path, span=span, size=size)
    assert is_refused(verify_subtree, flip(part), root, path, span=span, size=size)
    assert is_refused(verify_subtree, part, flip(root), path, span=span, size=size)
    longer = [*path, part]
    assert is_refused(verify_subtree, part, root, longer, span=span, size=size)
    wrong = (start + 1, start + 1 + width)
    assert is_refused(verify_subtree, part, root, path, span=wrong, size=size)


def hashes(case: dict[str, Any]) -> list[bytes]:
    return [bytes.fromhex(item) for item in case["path"]]


def run_vector(case: dict[str, Any]) -> dict[str, Any]:
    """Roots come from the model, proofs from the case."""
    size, old_size = case["size"], case.get("old_size", 0)
    root, old_root = naive_root(leaves_of(size)), naive_root(leaves_of(old_size))
    if case["operation"] == "inclusion":
        index = case["index"]
        leaf = leaf_hash(b"leaf %d" % index)
        verify_inclusion(leaf, hashes(case), index=index, size=size, root=root)
    if case["operation"] == "consistency":
        known = bytes.fromhex(case["old_root"]) if "old_root" in case else old_root
        sizes = {"old_size": old_size, "new_size": size}
        verify_consistency(known, root, hashes(case), **sizes)
    return {"root": root.hex(), "old_root": old_root.hex()}


VECTORS = Path(__file__).parents[2] / "spec" / "vectors" / "log.json"


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

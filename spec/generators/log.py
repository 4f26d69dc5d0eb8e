# SPDX-License-Identifier: Apache-2.0
"""Vectors of the log: roots, inclusion and consistency (spec/ledger.md, section 5).

A log of `size` has the leaves "leaf 0", "leaf 1"... in ASCII.  `operation` is root,
inclusion (of leaf `index`) or consistency (of `old_size` within `size`); an error means
that the given `path` does not prove what the case says against the honest roots.
"""

from typing import Any

from incamera.errors import Code
from incamera.protocol.log import MAX_PATH, Log, leaf_hash

SIZES = (0, 1, 2, 3, 4, 5, 7, 8, 13, 64, 65)


def build() -> dict[str, object]:
    """Return the whole file."""
    cases = [*roots(), *inclusions(), *consistencies(), *faults()]
    return {
        "format": "incamera vectors 0",
        "about": "RFC 6962 log: spec/ledger.md, section 5",
        "cases": cases,
    }


def log_of(size: int) -> Log:
    """Return the log of `size` leaves."""
    log = Log()
    for number in range(size):
        log.append(leaf_hash(f"leaf {number}".encode()))
    return log


def roots() -> list[dict[str, Any]]:
    """Roots of all sizes."""
    return [
        {
            "name": f"root of {size}",
            "operation": "root",
            "size": size,
            "expect": {"root": log_of(size).root().hex()},
        }
        for size in SIZES
    ]


def inclusion(size: int, index: int) -> dict[str, Any]:
    """Return one inclusion case."""
    path = log_of(size).prove_inclusion(index, size)
    return {
        "name": f"leaf {index} of {size}",
        "operation": "inclusion",
        "size": size,
        "index": index,
        "path": [item.hex() for item in path],
        "expect": {"root": log_of(size).root().hex()},
    }


def consistency(size: int, old_size: int) -> dict[str, Any]:
    """Return one consistency case."""
    path = log_of(size).prove_consistency(old_size, size)
    return {
        "name": f"{old_size} within {size}",
        "operation": "consistency",
        "size": size,
        "old_size": old_size,
        "path": [item.hex() for item in path],
        "expect": {
            "root": log_of(size).root().hex(),
            "old_root": log_of(old_size).root().hex(),
        },
    }


def inclusions() -> list[dict[str, Any]]:
    """First, middle and last leaves."""
    places = [(size, {0, size // 2, size - 1}) for size in SIZES if size]
    return [inclusion(size, n) for size, some in places for n in sorted(some)]


def consistencies() -> list[dict[str, Any]]:
    """Every earlier log of two sizes, complete and ragged."""
    return [consistency(size, old) for size in (8, 13) for old in range(1, size + 1)]


def faults() -> list[dict[str, Any]]:
    """One fault each."""
    good, grown = inclusion(13, 5), consistency(13, 6)
    long = {"path": good["path"] * (MAX_PATH // len(good["path"]))}
    return [
        broken(good, "inclusion, other index", {"index": 6}),
        broken(good, "inclusion, index at the size", {"index": 13}),
        broken(good, "inclusion, path too short", {"path": good["path"][:-1]}),
        broken(good, "inclusion, path much too long", long),
        broken(good, "inclusion, one bit", {"path": flipped(good["path"])}),
        broken(grown, "consistency, other size", {"old_size": 5}),
        broken(grown, "consistency, old log larger", {"old_size": 14}),
        broken(grown, "consistency, empty old log", {"old_size": 0, "path": []}),
        broken(grown, "consistency, path too short", {"path": grown["path"][1:]}),
        broken(grown, "consistency, one bit", {"path": flipped(grown["path"])}),
    ]


def flipped(path: list[str]) -> list[str]:
    """Return the path with one bit of its first hash changed."""
    first = bytes.fromhex(path[0])
    return [(bytes([first[0] ^ 1]) + first[1:]).hex(), *path[1:]]


def broken(case: dict[str, Any], name: str, change: dict[str, Any]) -> dict[str, Any]:
    """Return `case` with one fault; the roots are still the honest ones."""
    given = {k: v for k, v in case.items() if k != "expect"}
    code = Code.BAD_PROOF.value
    return {**given, **case["expect"], **change, "name": name, "error": code}

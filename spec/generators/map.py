# SPDX-License-Identifier: Apache-2.0
"""Vectors of the map: roots, presence and absence (spec/ledger.md, section 4).

A map of `size` holds under the key "key N" (ASCII) the value "value N", for N from 0.
`siblings` run from the leaf to the root; `other` is the leaf found instead.
"""

from typing import Any

from incamera.errors import Code
from incamera.protocol.smt import MAX_DEPTH, MapProof, SparseMap

SIZES = (0, 1, 2, 3, 10, 100, 1000)


def build() -> dict[str, object]:
    """Return the whole file."""
    cases = [case for size in SIZES for case in proven(size)]
    return {
        "format": "incamera vectors 0",
        "about": "sparse Merkle map (ICS23 SmtSpec): spec/ledger.md, section 4",
        "cases": [*cases, *faults()],
    }


def map_of(size: int) -> SparseMap:
    """Return the map of `size` keys."""
    names = (str(number).encode() for number in range(size))
    return SparseMap((b"key " + name, b"value " + name) for name in names)


def case_of(size: int, number: int) -> dict[str, Any]:
    """Return the proof of one key, there or not."""
    key = f"key {number}"
    return {
        "name": f"{key} in {size}",
        "size": size,
        "key": key.encode().hex(),
        "value": f"value {number}".encode().hex() if number < size else None,
        **shown(map_of(size).prove(key.encode())),
        "expect": {"root": map_of(size).root().hex()},
    }


def shown(proof: MapProof) -> dict[str, Any]:
    """Return a proof's fields in hex."""
    other = proof.other
    return {
        "siblings": [item.hex() for item in proof.siblings],
        "other": other and [other.key_hash.hex(), other.value_hash.hex()],
    }


def proven(size: int) -> list[dict[str, Any]]:
    """First and last key, and keys that are not there."""
    numbers = {0, size - 1, size, size + 1, size + 2} - {-1}
    return [case_of(size, number) for number in sorted(numbers)]


def faults() -> list[dict[str, Any]]:
    """One fault each."""
    here, absent = case_of(10, 3), case_of(10, 11)
    assert absent["other"] is not None, "the case needs another leaf"
    siblings = here["siblings"]
    wrong = bytes([bytes.fromhex(siblings[0])[0] ^ 1]).hex() + siblings[0][2:]
    deep = [bytes(32).hex()] * (MAX_DEPTH - len(siblings))
    own = case_of(10, 3)["key"]
    return [
        broken(here, "other value", value=b"value 4".hex()),
        broken(here, "present key shown absent", value=None),
        broken(here, "one bit of a sibling", siblings=[wrong, *siblings[1:]]),
        broken(here, "a sibling less", siblings=siblings[1:]),
        broken(here, "as deep as a map can be", siblings=[*deep, *siblings]),
        broken(here, "presence with another leaf", other=absent["other"]),
        broken(absent, "absent key shown present", value=b"value 11".hex(), other=None),
        broken(absent, "absence of a key that is there", key=own),
        broken(absent, "absence without the leaf found", other=None),
    ]


def broken(case: dict[str, Any], name: str, **change: Any) -> dict[str, Any]:
    """Return `case` with one fault; the root is still the honest one."""
    given = {k: v for k, v in case.items() if k != "expect"}
    code = Code.BAD_PROOF.value
    return {**given, **case["expect"], **change, "name": name, "error": code}

# SPDX-License-Identifier: Apache-2.0
"""Claims about people: a verifier per kind, brought by whoever can check it."""

import ast
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from incamera.errors import Code, PeerError
from incamera.protocol import topic
from incamera.protocol.claims import (
    MAX_CLAIM_PROOF,
    PERSON_CLAIM,
    ClaimKind,
    PersonClaim,
    Vouched,
    verify_claim,
)
from incamera.protocol.encoding import Value
from incamera.protocol.ids import UserId

Refused = Callable[[Code], Any]
ADA = UserId(b"a" * 32)
CLAIM = PersonClaim(kind=ClaimKind.DNS, proof=b"ada.example" + ADA, until_ms=2000)


def zone(claim: PersonClaim, user: UserId, /) -> Vouched:
    """Stands for a resolver: the name is whatever precedes the user's id."""
    name, said = claim.proof[:-32], claim.proof[-32:]
    if said != user:
        raise PeerError(Code.BAD_STATEMENT, "the zone names somebody else")
    return Vouched(name.decode(), "the zone's key", 1500)


def directory(claim: PersonClaim, user: UserId, /) -> Vouched:
    """Stands for an organisation: knows everybody for ever."""
    return Vouched(f"number {user[0]}", "an organisation", 2**53)


VERIFIERS = {ClaimKind.DNS: zone, ClaimKind.ORGANISATION: directory}


def test_a_claim_says_who_by_whom_and_until_when() -> None:
    found = verify_claim(CLAIM, ADA, now_ms=1000, verifiers=VERIFIERS)
    assert found == Vouched("ada.example", "the zone's key", 1500)
    other = replace(CLAIM, kind=ClaimKind.ORGANISATION)
    found = verify_claim(other, ADA, now_ms=1000, verifiers=VERIFIERS)
    assert (found.by, found.until_ms) == ("an organisation", 2000)


@pytest.mark.parametrize("kind", [ClaimKind.CONTACT, ClaimKind.OIDC])
def test_what_nobody_can_check_vouches_for_nobody(
    kind: ClaimKind, refused: Refused
) -> None:
    with refused(Code.UNKNOWN_TYPE):
        verify_claim(replace(CLAIM, kind=kind), ADA, now_ms=1000, verifiers=VERIFIERS)


def test_claims_end(refused: Refused) -> None:
    with refused(Code.STALE_IDENTITY):
        verify_claim(CLAIM, ADA, now_ms=1500, verifiers=VERIFIERS)


def test_a_claim_about_somebody_else(refused: Refused) -> None:
    with refused(Code.BAD_STATEMENT):
        verify_claim(CLAIM, UserId(bytes(32)), now_ms=0, verifiers=VERIFIERS)


def test_the_wire_form(refused: Refused) -> None:
    largest = replace(CLAIM, proof=bytes(MAX_CLAIM_PROOF))
    assert PERSON_CLAIM.decode(PERSON_CLAIM.encode(largest)) == largest
    wrong: list[Value] = [[5, b"", 0], [2, bytes(MAX_CLAIM_PROOF + 1), 0], [2, b""]]
    for value in wrong:
        with refused(Code.SCHEMA):
            PERSON_CLAIM.decode(value)


def reached_from(name: str) -> set[str]:
    """The modules of the core that a module imports, in any number of steps."""
    home = Path(topic.__file__).parent
    seen: set[str] = set()
    rest = [name]
    while rest:
        tree = ast.parse((home / f"{rest.pop()}.py").read_text())
        nodes = [n for n in ast.walk(tree) if isinstance(n, ast.ImportFrom)]
        names = {str(n.module).removeprefix("incamera.protocol.") for n in nodes}
        names |= {a.name for n in nodes for a in n.names}
        new = {n for n in names if (home / f"{n}.py").exists()} - seen
        seen |= new
        rest += new
    return seen


def test_no_rule_reads_a_claim() -> None:
    reached = reached_from("topic")
    assert {"meeting_rules", "user"} <= reached
    assert not {"claims", "evidence", "identity"} & reached


def test_no_rule_reads_a_claim_control() -> None:
    assert "topic" in reached_from("identity")

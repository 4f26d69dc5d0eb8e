# SPDX-License-Identifier: Apache-2.0
"""Every acceptance row has its marked test and its control (spec/acceptance.md)."""

import ast
import re
from functools import cache
from pathlib import Path
from typing import NamedTuple

import pytest

HOME = Path(__file__).parents[1]
TEXT = (HOME / "spec/acceptance.md").read_text()
PAPER = (1, 2, 3, 4, 6, 7, 8, 9, 10, 16, 18)
ZOOM = (1, 3, 5, 6, 7, 8, 9, 10, 11, 13, 14, 16, 31, 33)
IDS = [f"D-{n:02}" for n in PAPER] + [f"Z1-{n:02}" for n in ZOOM]
ROW = re.compile(r"^\| ([DZ]\d?-\d\d) \| (.+?) \| (.+?) \| (.+?) \|$", re.MULTILINE)
CITED = re.compile(r"`([\w/]+\.py)::(\w+)`")


class Row(NamedTuple):
    """One row: our wording, the tests, the controls."""

    wording: str
    tests: frozenset[tuple[str, str]]
    controls: frozenset[tuple[str, str]]


def rows(text: str = TEXT) -> dict[str, Row]:
    return {
        number: Row(
            wording, frozenset(CITED.findall(tests)), frozenset(CITED.findall(controls))
        )
        for number, wording, tests, controls in ROW.findall(text)
    }


@cache
def marked() -> dict[tuple[str, str], frozenset[str]]:
    """Every test function below tests/ and the acceptance ids that it carries."""
    found = {}
    for path in sorted((HOME / "tests").rglob("test_*.py")):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                name = path.relative_to(HOME).as_posix(), node.name
                found[name] = frozenset(filter(None, map(_id, node.decorator_list)))
    return found


def _id(decorator: ast.expr) -> str | None:
    match decorator:
        case ast.Call(
            func=ast.Attribute(attr="acceptance"), args=[ast.Constant(value=str(found))]
        ):
            return found
    return None


def missing(number: str, row: Row) -> list[str]:
    """What the row of one id lacks."""
    lacks = []
    if not row.tests or not row.controls or row.tests & row.controls:
        lacks.append("needs a test and another test as its control")
    for cited in row.tests | row.controls:
        if cited not in marked():
            lacks.append(f"{cited} does not exist")
        elif cited in row.tests and number not in marked()[cited]:
            lacks.append(f"{cited} carries no marker")
    return lacks


def test_every_id_has_one_row() -> None:
    assert [number for number, *_ in ROW.findall(TEXT)] == IDS


@pytest.mark.parametrize("number", IDS)
def test_a_row_has_its_marked_test_and_its_control(number: str) -> None:
    assert missing(number, rows()[number]) == []


def test_every_marked_test_stands_in_its_row() -> None:
    for cited, numbers in marked().items():
        for number in numbers:
            row = rows().get(number)
            assert row, f"{cited} names {number}, which has no row"
            assert cited in row.tests | row.controls, f"{cited}: {number}"


def test_a_row_that_cites_nothing_real_is_noticed_control() -> None:
    row = "| D-01 | wording | `tests/a.py::test_b` | `tests/a.py::test_c` |"
    lacks = missing("D-01", rows(row)["D-01"])
    assert len(lacks) == 2
    empty = "| D-01 | wording | to come | to come |"
    assert missing("D-01", rows(empty)["D-01"])

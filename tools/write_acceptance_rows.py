# SPDX-License-Identifier: Apache-2.0
"""Write which tests hold each row of spec/acceptance.md, from the tests' markers.

A marked test whose name ends in `control` is a control, any other one is a test; the
claims are written by hand and stay.  tests/test_acceptance.py checks the result.
"""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

TOP = Path(__file__).parents[1]
PAGE = TOP / "spec" / "acceptance.md"
ROW = re.compile(r"^\| ([DZ]\d?-\d\d) \| (.+?) \| (.+?) \| (.+?) \|$", re.MULTILINE)


def marked() -> Iterator[tuple[str, str]]:
    """Yield the id and the citation of each marked test, in the order of files."""
    for path in sorted((TOP / "tests").rglob("test_*.py")):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                cited = f"`{path.relative_to(TOP).as_posix()}::{node.name}`"
                yield from ((row, cited) for row in _rows_of(node))


def _rows_of(node: ast.FunctionDef | ast.AsyncFunctionDef) -> Iterator[str]:
    for decorator in node.decorator_list:
        match decorator:
            case ast.Call(
                func=ast.Attribute(attr="acceptance"),
                args=[ast.Constant(value=str(row))],
            ):
                yield row


def _row(found: re.Match[str], tests: list[tuple[str, str]]) -> str:
    number, claim, *_, controls = found.groups()
    own = [cited for row, cited in tests if row == number]
    kept = [c for c in re.findall(r"`[^`]+`", controls) if c not in own]
    marked_controls = [cited for cited in own if cited.endswith("control`")]
    held = "<br>".join(sorted(set(own) - set(marked_controls))) or "-"
    shown = "<br>".join(sorted({*marked_controls, *kept})) or "-"
    return f"| {number} | {claim} | {held} | {shown} |"


def main() -> None:
    """Write the page again."""
    tests = list(marked())
    PAGE.write_text(ROW.sub(lambda found: _row(found, tests), PAGE.read_text()))
    print(f"docs: wrote {PAGE}")


if __name__ == "__main__":
    main()

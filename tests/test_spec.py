# SPDX-License-Identifier: Apache-2.0
"""The specification hangs together, and the code cites what is there."""

import re
from pathlib import Path

import pytest

from incamera.errors import Code
from incamera.protocol import labels

HOME = Path(__file__).parents[1]
SPEC = HOME / "spec"
DOCUMENTS = sorted(SPEC.glob("*.md"))
SOURCES = sorted((HOME / "src").rglob("*.py"))
HEADING = re.compile(r"^## (\d+)\. ", re.MULTILINE)
CITATION = re.compile(
    r"spec/([a-z-]+\.md)(?:, (?:sections? )?(\d+)(?:(?:,| and| to) (\d+))?)?"
)
MUST = re.compile(r"\*\*(M-([A-Z]+)-(\d+))\*\*")


def sections(document: str) -> set[str]:
    return set(HEADING.findall((SPEC / document).read_text()))


def cited(text: str) -> list[tuple[str, str]]:
    """Every (document, section) that a text cites; "" where it names no section."""
    joined = re.sub(r"\s*\n\s*(#\s*)?", " ", text)
    found = CITATION.findall(joined)
    return [(name, number) for name, *numbers in found for number in numbers if number]


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: path.stem)
def test_the_code_cites_sections_that_exist(path: Path) -> None:
    for document, section in cited(path.read_text()):
        assert section in sections(document), f"{document} has no section {section}"


def test_a_citation_of_nothing_is_noticed_control() -> None:
    assert cited("x (spec/keys.md,\n    section 77)") == [("keys.md", "77")]
    assert "77" not in sections("keys.md")


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: path.stem)
def test_a_document_opens_with_an_example_and_numbers_its_sections(path: Path) -> None:
    text = path.read_text()
    assert re.search(r"^## 1\. Example", text, re.MULTILINE)
    numbers = [int(number) for number in HEADING.findall(text)]
    assert numbers == list(range(1, len(numbers) + 1))


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: path.stem)
def test_requirements_are_numbered_without_a_gap(path: Path) -> None:
    found = [
        (group, int(number)) for _, group, number in MUST.findall(path.read_text())
    ]
    assert found == [(group, n) for n, (group, _) in enumerate(found, 1)]
    assert len({group for group, _ in found}) == 1


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: path.stem)
def test_links_lead_somewhere(path: Path) -> None:
    for target in re.findall(r"\]\(([^)#]+)\)", path.read_text()):
        assert (SPEC / target).exists(), target


def test_every_code_stands_in_the_table_once() -> None:
    text = (SPEC / "errors.md").read_text()
    listed = re.findall(r"^\| `([a-z-]+)` \|", text, re.MULTILINE)
    assert sorted(listed) == sorted(code.value for code in Code)


def test_every_label_stands_in_the_registry_once() -> None:
    text = (SPEC / "keys.md").read_text()
    listed = re.findall(r"^\| `(incamera/0 [a-z -]+(?:\\0)?)` \|", text, re.MULTILINE)
    known = [value for value in vars(labels).values() if isinstance(value, bytes)]
    assert sorted(name.replace("\\0", "\0").encode() for name in listed) == sorted(
        known
    )


def test_no_label_is_the_beginning_of_another() -> None:
    known = [value for value in vars(labels).values() if isinstance(value, bytes)]
    derivations = [value for value in known if value.endswith(b"\0")]
    for label in derivations:
        assert [other for other in known if other.startswith(label)] == [label]

# SPDX-License-Identifier: Apache-2.0
"""The vectors are what the reference code makes, and each is well formed."""

import importlib.util
import json
from pathlib import Path
from types import ModuleType

import pytest

from incamera.errors import Code

SPEC = Path(__file__).parents[1] / "spec"
FILES = sorted((SPEC / "vectors").glob("*.json"))
GENERATORS = sorted((SPEC / "generators").glob("[a-z]*.py"))
CODES = {code.value for code in Code}


@pytest.fixture(scope="module")
def make_vectors() -> ModuleType:
    path = SPEC / "make_vectors.py"
    spec = importlib.util.spec_from_file_location("make_vectors", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize("path", GENERATORS, ids=lambda path: path.stem)
def test_writing_the_vectors_again_changes_nothing(
    make_vectors: ModuleType, path: Path
) -> None:
    kept = SPEC / "vectors" / f"{path.stem}.json"
    assert make_vectors.render(path.stem) == kept.read_text()


def test_there_are_vectors() -> None:
    assert len(FILES) > 0
    assert {path.stem for path in FILES} >= {path.stem for path in GENERATORS}


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_a_vector_file_has_the_common_form(path: Path) -> None:
    content = json.loads(path.read_text())
    assert content["format"] == "incamera vectors 0"
    assert content["about"]
    names = [case["name"] for case in content["cases"]]
    assert len(names) == len(set(names)) > 0
    for case in content["cases"]:
        assert ("expect" in case) != ("error" in case), case["name"]
        assert case.get("error") in CODES | {None}, case["name"]

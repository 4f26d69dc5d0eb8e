# SPDX-License-Identifier: Apache-2.0
"""Sessions at the command line, as sessions/*.txt tell them."""

import re
import shlex
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest

SESSIONS = sorted((Path(__file__).parent / "sessions").glob("*.txt"))


def fill(text: str) -> str:
    """Replace {user:NAME} and its like by the ids that the daemon in memory uses."""

    def digest(name: str) -> str:
        return sha256(name.encode()).hexdigest()

    text = text.replace("{device}", digest("device")[:32])
    text = text.replace("{ledger}", digest("ledger"))
    text = re.sub(r"\{user:(\w+)\}", lambda match: digest(match[1]), text)
    return re.sub(r"\{short:(\w+)\}", lambda match: digest(match[1])[:12], text)


def steps(text: str) -> list[tuple[list[str], str, int]]:
    found = []
    for block in fill(text).strip().split("\n\n"):
        command, _, answer = block.partition("\n")
        match = re.fullmatch(r"(.*?)\n?(?:exit (\d+))?", answer, re.DOTALL)
        assert match is not None
        words = shlex.split(command.removeprefix("$ incamera "))
        found.append((words, match[1], int(match[2] or 0)))
    return found


@pytest.mark.parametrize("path", SESSIONS, ids=lambda path: path.stem)
def test_a_session_goes_as_written(path: Path, shell: Any, daemon: object) -> None:
    link = ""
    for words, answer, status in steps(path.read_text()):
        stdin = link if words[-1] == "<link" else ""
        got = shell.run(*[word for word in words if word != "<link"], stdin=stdin)
        assert (shell.out + shell.err).strip() == answer, words
        assert got == status, words
        link = (re.findall(r"incamera:\S+", shell.out) or [link])[0]


def test_a_session_goes_as_written_control(shell: Any, daemon: object) -> None:
    words, answer, status = steps("$ incamera meeting list\nno meeting\nexit 3")[0]
    assert shell.run(*words) != status
    assert shell.out.strip() != answer

# SPDX-License-Identifier: Apache-2.0
"""Thousands of strangers knock at a gateway; the meeting on it does not notice."""

import statistics
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

pytestmark = pytest.mark.xdist_group("meeting")
HERE = Path(__file__).parent


@pytest.fixture(scope="module")
def pair(kit: Any) -> tuple[Any, Any, str, str]:
    ada, bob = kit.people("Ada", "Bob")
    meeting, link = ada.leads("undisturbed")
    ada.lets_in(bob, link)
    return ada, bob, meeting, link


def latency(pair: tuple[Any, ...], count: int) -> float:
    """The median time in seconds of a chat message to the other member."""
    ada, bob, meeting, _ = pair
    took = []
    for number in range(count):
        took.append(ada.says(meeting, f"{time.time()} {number}", bob))
        time.sleep(0.05)
    return float(statistics.median(took))


def crowd(ada: Any, link: str, count: int) -> subprocess.Popen[str]:
    program = [sys.executable, str(HERE / "strangers.py"), str(count)]
    pipe = subprocess.PIPE
    target = (ada.wire / "target").read_text()
    process = subprocess.Popen([*program, target], stdin=pipe, stdout=pipe, text=True)
    assert process.stdin is not None
    process.stdin.write(link + "\n")
    process.stdin.close()
    return process


def result(process: subprocess.Popen[str]) -> tuple[int, int, float]:
    """How many were refused, how many let in, and how many ms a refusal took."""
    assert process.stdout is not None
    with process.stdout:
        refused, taken, slowest = process.stdout.read().split()
    assert process.wait(60) == 0
    return int(refused), int(taken), float(slowest)


@pytest.mark.parametrize("count", [1000, pytest.param(10_000, marks=pytest.mark.slow)])
def test_strangers_cost_the_others_nothing(pair: tuple[Any, ...], count: int) -> None:
    ada, _, meeting, link = pair
    quiet = latency(pair, 15)
    before = len(ada.files("gateway"))
    process = crowd(ada, link, count)
    time.sleep(1.5)
    assert process.poll() is None
    busy = latency(pair, 15)
    refused, taken, _ = result(process)
    assert busy <= 2 * quiet + 0.05
    assert (refused, taken) == (count, 0)
    assert ada.view(meeting)["requests"] == []
    assert len(ada.files("gateway")) < before + 200_000


def test_whoever_has_the_link_is_heard_control(pair: tuple[Any, ...], kit: Any) -> None:
    ada, _, meeting, link = pair
    process = crowd(ada, link, -1)
    assert result(process)[:2] == (0, 1)
    kit.until(lambda: ada.view(meeting)["status"] == "open", "an open meeting")

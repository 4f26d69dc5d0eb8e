# SPDX-License-Identifier: Apache-2.0
"""The command without its extras says what to install."""

import subprocess
import sys

import pytest

from incamera.cli.start import EXTRAS

PROGRAM = """
import sys
sys.modules.update(dict.fromkeys(sys.argv[1:]))
del sys.argv[1:]
sys.argv += ["--version"]
from incamera.cli.start import run
run()
"""


def start(*absent: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", PROGRAM, *absent],
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )


@pytest.mark.parametrize("absent", EXTRAS)
def test_a_missing_extra_is_told_in_a_sentence(absent: str) -> None:
    done = start(absent)
    assert done.returncode == 1
    assert f"the package {absent} is missing" in done.stderr
    assert "Traceback" not in done.stderr


def test_with_all_extras_it_runs() -> None:
    done = start()
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith("incamera ")


def test_who_stops_reading_is_no_bug() -> None:
    command = f"{sys.executable} -m incamera.cli.main --help | true; echo $PIPESTATUS"
    done = subprocess.run(
        ["bash", "-c", command], capture_output=True, text=True, check=True, timeout=60
    )
    assert (done.stdout, done.stderr) == ("141\n", "")

# SPDX-License-Identifier: Apache-2.0
"""What was acknowledged survives a kill at any moment, and was on disk before."""

import random
import re
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from incamera.ledger.engine import Setup
from incamera.ledger.sqlite import sqlite_ledger
from incamera.protocol.descriptor import (
    embedded_descriptor,
    encode_descriptor,
    ledger_id_of,
)
from incamera.protocol.proof import verify_proof
from incamera.protocol.secret import Secret
from incamera.protocol.signer import Ed25519Signer

CHILD = Path(__file__).with_name("child.py")
SEED = b"k" * 32
NORMAL, SLOW = range(20), range(20, 220)


@pytest.fixture(scope="module")
def crowd(meeting_on: Callable[..., Any]) -> list[Any]:
    """Meetings that are longer than most children live."""
    public = Ed25519Signer(Secret(bytearray(SEED))).public
    ledger_id = ledger_id_of(encode_descriptor(embedded_descriptor(public)))
    return [meeting_on(ledger_id, f"crowd {n}").busy(40) for n in range(12)]


def arguments(path: Path, meetings: list[Any], *options: str) -> list[str]:
    source = path.with_suffix(".entries")
    lines = (" ".join(entry.hex() for entry in m.entries) for m in meetings)
    source.write_text("\n".join(lines))
    return [sys.executable, str(CHILD), str(path), SEED.hex(), str(source), *options]


def killed_at_random(command: list[str], seed: int) -> list[str]:
    """Run the child, kill it some time after it is ready, return its last words."""
    with subprocess.Popen(command, stdout=subprocess.PIPE) as child:
        assert child.stdout is not None
        assert child.stdout.readline() == b"ready\n"
        time.sleep(random.Random(seed).uniform(0, 0.25))
        child.kill()
        said = child.stdout.read().decode()
    # A last line without its end was still being written.
    return said.split("\n")[:-1]


async def check_all_there(
    path: Path, setup: Setup, meetings: list[Any], acked: list[str]
) -> int:
    ledger, lost = sqlite_ledger(path, setup), 0
    for number, meeting in enumerate(meetings):
        proof = await ledger.prove(meeting.topic)
        assert verify_proof(proof, setup.descriptor).count == proof.count
        records = await ledger.read(meeting.topic)
        assert [r.entry for r in records] == meeting.entries[: proof.count]
        assert (await ledger.state(meeting.topic) is None) == (proof.count == 0)
        told = [int(a.split(".")[1]) for a in acked if a.startswith(f"{number}.")]
        lost += sum(index >= proof.count for index in told)
    await ledger.close()
    return lost


async def crash(seed: int, tmp_path: Path, setup: Setup, meetings: list[Any]) -> None:
    path = tmp_path / "ledger.db"
    acked = killed_at_random(arguments(path, meetings), seed)
    assert await check_all_there(path, setup, meetings, acked) == 0
    more = killed_at_random(arguments(path, meetings), seed + 1000)
    assert await check_all_there(path, setup, meetings, [*acked, *more]) == 0


@pytest.mark.parametrize("seed", NORMAL)
async def test_kill(seed: int, tmp_path: Path, setup: Setup, crowd: list[Any]) -> None:
    await crash(seed, tmp_path, setup, crowd)


@pytest.mark.slow
@pytest.mark.parametrize("seed", SLOW)
async def test_kill_often(
    seed: int, tmp_path: Path, setup: Setup, crowd: list[Any]
) -> None:
    await crash(seed, tmp_path, setup, crowd)


async def test_a_lost_entry_would_be_seen_control(
    tmp_path: Path, setup: Setup, crowd: list[Any]
) -> None:
    """One more acknowledgement than entries: the check must count it as lost."""
    path = tmp_path / "ledger.db"
    ledger = sqlite_ledger(path, setup)
    await ledger.append(crowd[0].entries[0])
    await ledger.close()
    assert await check_all_there(path, setup, crowd, ["0.0"]) == 0
    assert await check_all_there(path, setup, crowd, ["0.0", "0.1", "1.0"]) == 2


def synced_before_each(trace: str) -> list[bool]:
    """For each acknowledgement: was the write-ahead log synced since the one before?"""
    verdicts, synced = [], False
    for line in trace.splitlines():
        if re.search(
            r"f(data)?sync\(\d+<[^>]*-wal>\) += 0|f(data)?sync resumed.*= 0", line
        ):
            synced = True
        elif re.search(r'write\(1<.*"\d+\.\d+\\n"', line):
            verdicts.append(synced)
            synced = False
    return verdicts


def traced(path: Path, meetings: list[Any], *options: str) -> list[bool]:
    out = path.with_suffix(".trace")
    what = ["-f", "-y", "-e", "trace=fdatasync,fsync,write", "-o", str(out)]
    command = ["strace", *what, *arguments(path, meetings, *options)]
    subprocess.run(command, check=True, capture_output=True)
    return synced_before_each(out.read_text())


def test_every_acknowledgement_follows_a_sync(tmp_path: Path, crowd: list[Any]) -> None:
    verdicts = traced(tmp_path / "ledger.db", crowd[:1])
    assert len(verdicts) == len(crowd[0].entries)
    assert all(verdicts)


def test_every_acknowledgement_follows_a_sync_control(
    tmp_path: Path, crowd: list[Any]
) -> None:
    verdicts = traced(tmp_path / "ledger.db", crowd[:1], "--careless")
    assert len(verdicts) == len(crowd[0].entries)
    assert not all(verdicts)

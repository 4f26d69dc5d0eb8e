# SPDX-License-Identifier: Apache-2.0
"""No copy of a key stays in memory: another process looks, and finds them before."""

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from incamera.protocol import labels, schedule
from incamera.protocol.ids import EntryId, KeyId, LedgerId, MeetingId
from incamera.protocol.schedule import EpochContext
from incamera.protocol.secret import Secret

PROGRAM = Path(__file__).parent / "programs" / "erase.py"
MEETING = MeetingId(b"m" * 32)


def keys_of(drawn: bytes) -> dict[str, bytes]:
    """Every key that the program meets, derived from what it is given."""

    def context(epoch: int) -> EpochContext:
        return EpochContext(MEETING, EntryId(b"p" * 32), b"r" * 32, 0, epoch)

    entropy = Secret(bytearray(drawn[32:]))
    kek = schedule.ratchet_seed(entropy, context(100))
    seed = schedule.ratchet_seed(entropy, context(101))
    key = schedule.meeting_key(seed, context(1))
    group = schedule.group_key(key, KeyId(b"k" * 32))
    root = schedule.link_root(entropy)
    found = {
        "kem": Secret(bytearray(drawn[:32])),
        "entropy": entropy,
        "kek 0": kek,
        "kek 1": schedule.expand(kek, labels.KEK_STEP),
        "wrap": schedule.expand(kek, labels.WRAP + b"k" * 32 + b"i" * 32),
        "seed": seed,
        "mk": key,
        "stream": schedule.base_key(key, meeting=MEETING, epoch=1, slot=1, number=0),
        "group": group,
        "box": schedule.group_box_key(
            group, key_id=KeyId(b"k" * 32), slot=1, salt=b"s" * 16
        ),
        "root": root,
        "gate": schedule.gate_seed(root, LedgerId(b"l" * 32)),
        "next": schedule.ratchet_seed(key, context(2)),
    }
    return {name: bytes(secret.buffer[:32]) for name, secret in found.items()}


HELD = {
    "kem",
    "entropy",
    "kek 1",
    "seed",
    "mk",
    "stream",
    "group",
    "root",
    "gate",
    "next",
}


@contextmanager
def program(drawn: bytes, *arguments: str) -> Iterator[subprocess.Popen[bytes]]:
    """Run the program up to `during`."""
    command = [sys.executable, str(PROGRAM), *arguments]
    pipe = subprocess.PIPE
    with subprocess.Popen(command, stdin=pipe, stdout=pipe) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdin.write(drawn)
        process.stdin.flush()
        assert process.stdout.readline().startswith(b"during")
        yield process


def step(process: subprocess.Popen[bytes]) -> None:
    assert process.stdin is not None
    assert process.stdout is not None
    process.stdin.write(b".")
    process.stdin.flush()
    assert process.stdout.readline().startswith(b"after")


def copies(process: subprocess.Popen[bytes], keys: dict[str, bytes]) -> dict[str, int]:
    """Count each key's copies in all readable memory of the process."""
    counts = dict.fromkeys(keys, 0)
    with Path(f"/proc/{process.pid}/mem").open("rb", buffering=0) as memory:
        for line in Path(f"/proc/{process.pid}/maps").read_text().splitlines():
            span, rights, *rest = line.split()
            if not rights.startswith("rw") or rest[-1] in {"[vvar]", "[vsyscall]"}:
                continue
            start, end = (int(number, 16) for number in span.split("-"))
            memory.seek(start)
            content = memory.read(end - start) or b""
            for name, key in keys.items():
                counts[name] += content.count(key)
    return counts


@pytest.mark.acceptance("Z1-33")
def test_no_key_stays_after_wiping() -> None:
    drawn = os.urandom(64)
    keys = keys_of(drawn)
    with program(drawn) as process:
        step(process)
        after = copies(process, keys)
    assert after == dict.fromkeys(keys, 0)


@pytest.mark.acceptance("Z1-33")
def test_held_keys_are_found_and_passing_ones_are_not_control() -> None:
    drawn = os.urandom(64)
    keys = keys_of(drawn)
    with program(drawn) as process:
        during = copies(process, keys)
        step(process)
    assert {name for name, count in during.items() if count} == HELD


@pytest.mark.acceptance("Z1-33")
def test_a_careless_copy_is_found_control() -> None:
    drawn = os.urandom(64)
    keys = keys_of(drawn)
    with program(drawn, "leak") as process:
        step(process)
        after = copies(process, keys)
    assert after["mk"] == 1

# SPDX-License-Identifier: Apache-2.0
"""No copy of a stream's keys stays in memory: another process looks."""

import hmac
import os
import subprocess
import sys
from pathlib import Path

import pytest

PROGRAM = Path(__file__).parent / "programs" / "stream.py"
KID = 3 << 4 | 1 << 2 | 1


def keys_of(base: bytes) -> dict[str, bytes]:
    """What RFC 9605 derives from a base key, by HMAC alone."""
    root = hmac.digest(b"", base, "sha512")
    info = b"SFrame 1.0 Secret key " + KID.to_bytes(8, "big") + b"\0\5\1"
    return {"base": base, "root": root, "key": hmac.digest(root, info, "sha512")[:32]}


def copies(pid: int, keys: dict[str, bytes]) -> dict[str, int]:
    """Count each key's copies in all memory that the process can write."""
    counts = dict.fromkeys(keys, 0)
    with Path(f"/proc/{pid}/mem").open("rb", buffering=0) as memory:
        for line in Path(f"/proc/{pid}/maps").read_text().splitlines():
            span, rights, *_ = line.split()
            start, end = (int(number, 16) for number in span.split("-"))
            if rights.startswith("rw"):
                memory.seek(start)
                content = memory.read(end - start) or b""
                for name, key in keys.items():
                    counts[name] += content.count(key)
    return counts


@pytest.mark.acceptance("Z1-33")
def test_no_stream_key_stays_after_wiping() -> None:
    """The key is there while in use (the control: the search can find it)."""
    base = os.urandom(32)
    pipe = subprocess.PIPE
    command = [sys.executable, str(PROGRAM)]
    with subprocess.Popen(command, stdin=pipe, stdout=pipe, bufsize=0) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdin.write(base)
        assert process.stdout.readline() == b"during\n"
        during = copies(process.pid, keys_of(base))
        process.stdin.write(b".")
        assert process.stdout.readline() == b"after\n"
        after = copies(process.pid, keys_of(base))
    assert after == {"base": 0, "root": 0, "key": 0}
    assert during["key"] > 0
    assert during["base"] == during["root"] == 0

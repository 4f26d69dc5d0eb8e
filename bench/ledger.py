# SPDX-License-Identifier: Apache-2.0
"""How many entries a second does the embedded ledger take, and how soon is one safe?

Every entry is signed, judged by all rules, chained, put into the map and synced to the
disk; beside it, in the same run, what its two unavoidable parts cost alone: one Ed25519
verification per entry, and SQLite commits of the same bytes.  One core: the process is
bound to it, so a figure per second is also one per core.
"""

import asyncio
import contextlib
import json
import os
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from hashlib import sha256
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))  # people and meetings of the vectors
from spec.generators._scene import START_MS, Scene

from incamera.ledger.engine import Engine, Setup
from incamera.ledger.sqlite import connect, sqlite_ledger
from incamera.protocol.bodies import Device, DeviceKind, UserPolicy, UserRoot
from incamera.protocol.context import Context
from incamera.protocol.descriptor import embedded_descriptor
from incamera.protocol.entry import parse_entry, sign_entry
from incamera.protocol.ids import LedgerId
from incamera.protocol.labels import ENTRY
from incamera.protocol.secret import Secret
from incamera.protocol.signer import Ed25519Signer
from incamera.protocol.signing import device_id_of, verify_signature

ENTRIES = 6000
ROUNDS = 12
AT_ONCE = 256
ALONE = 300
TARGET_PER_S = 2500
TARGET_MS = 5.0
SIGNER = Ed25519Signer(Secret(bytearray(b"b" * 32)))


def root_entry(ledger: LedgerId, number: int) -> bytes:
    """Return a user's root: the first entry of a topic of its own."""
    device = Device(
        ivk=SIGNER.public,
        id=device_id_of(SIGNER.public),
        kind=DeviceKind.COMPUTER,
        name="bench",
    )
    body = UserRoot(
        rules=1,
        nonce=sha256(b"%d" % number).digest(),
        device=device,
        info=bytes(32),
        policy=UserPolicy(lockdown=False, recovery_wait_ms=0),
        gateways=(),
    )
    return sign_entry(SIGNER, body, place=ledger, seq=0, prev=None).data


class FixedClock:
    """Within the time of all meetings."""

    def now_ms(self) -> int:
        """Return the same millisecond for ever."""
        return START_MS


class Meeting(Scene):
    """A meeting on the ledger under test."""

    def __init__(self, ledger: LedgerId, name: str) -> None:
        """Publish it."""
        super().__init__()
        self.ledger = ledger
        nonce = sha256(name.encode()).digest()
        self.open(header={"place": ledger}, nonce=nonce)

    def context(self) -> Context:
        """Judge by the ledger under test."""
        return replace(super().context(), ledger_id=self.ledger)


def in_turn(columns: Sequence[Sequence[bytes]]) -> list[bytes]:
    """Return the first entry of every topic, then the second of every topic..."""
    return [entry for row in zip(*columns, strict=True) for entry in row]


def meeting_entries(ledger: LedgerId, kind: str) -> tuple[list[bytes], list[bytes]]:
    """Return the publishes of AT_ONCE meetings and what follows in them."""
    meetings = [Meeting(ledger, f"{kind} {n}") for n in range(AT_ONCE)]
    following = []
    for meeting in meetings:
        entries = []
        for number in range(ROUNDS):
            entry = (
                meeting.policy()
                if kind == "policies"
                else meeting.request(f"guest {number}")
            )
            meeting.land(entry)
            entries.append(entry.data)
        following.append(entries)
    return [m.history[0][1].data for m in meetings], in_turn(following)


def timed(job: Callable[[], object]) -> tuple[float, float]:
    """Return wall and CPU seconds of a job."""
    wall, cpu = time.perf_counter(), time.process_time()
    job()
    return time.perf_counter() - wall, time.process_time() - cpu


def bare_verify(entries: Sequence[bytes]) -> tuple[float, float]:
    """Time the verifications alone, without parsing."""
    parts = [parse_entry(entry).signed for entry in entries]
    ready = [(p.signature, p.sig_structure(ENTRY)) for p in parts]

    def job() -> None:
        for signature, message in ready:
            verify_signature(SIGNER.public, signature, message)

    return timed(job)


def bare_commits(entries: Sequence[bytes], path: Path) -> tuple[float, float]:
    """Time commits of the same bytes in the same batches, nothing judged or kept."""
    database = connect(path)
    database.execute("CREATE TABLE bare (place INTEGER PRIMARY KEY, entry BLOB)")

    def job() -> None:
        for start in range(0, len(entries), AT_ONCE):
            rows = [(entry,) for entry in entries[start : start + AT_ONCE]]
            database.execute("BEGIN")
            database.executemany("INSERT INTO bare (entry) VALUES (?)", rows)
            database.execute("COMMIT")

    found = timed(job)
    database.close()
    return found


async def appends(ledger: Engine, entries: Sequence[bytes]) -> tuple[float, float]:
    """Time appends by many callers at once."""
    wall, cpu = time.perf_counter(), time.process_time()
    for start in range(0, len(entries), AT_ONCE):
        some = entries[start : start + AT_ONCE]
        await asyncio.gather(*(ledger.append(entry) for entry in some))
    return time.perf_counter() - wall, time.process_time() - cpu


async def alone(ledger: Engine, entries: Sequence[bytes]) -> list[float]:
    """Return the milliseconds of appends one after the other, sorted."""
    found = []
    for entry in entries:
        start = time.perf_counter()
        await ledger.append(entry)
        found.append((time.perf_counter() - start) * 1000)
    return sorted(found)


async def measure(folder: Path) -> dict[str, float]:
    """Run everything once."""
    setup = Setup(SIGNER, FixedClock(), embedded_descriptor(SIGNER.public))
    ledger = sqlite_ledger(folder / "ledger.db", setup)
    entries = [root_entry(ledger.ledger_id, n) for n in range(ENTRIES + ALONE)]
    many, few = entries[:ENTRIES], entries[ENTRIES:]
    found = {"entry_bytes": float(len(many[0]))}
    note(found, "bare_verify", ENTRIES, bare_verify(many))
    note(found, "roots", ENTRIES, await appends(ledger, many))
    for kind in ("policies", "requests"):
        publishes, following = meeting_entries(ledger.ledger_id, kind)
        await appends(ledger, publishes)
        note(found, kind, len(following), await appends(ledger, following))
    note(found, "bare_commit", ENTRIES, bare_commits(many, folder / "bare.db"))
    latencies = await alone(ledger, few)
    await ledger.close()
    found["alone_p50_ms"] = statistics.median(latencies)
    found["alone_p99_ms"] = latencies[int(0.99 * len(latencies))]
    return found


def note(
    found: dict[str, float], name: str, count: int, times: tuple[float, float]
) -> None:
    """Note a rate by wall and by CPU time."""
    found[f"{name}_per_s"] = count / times[0]
    found[f"{name}_per_cpu_s"] = count / times[1]


def main() -> None:
    """Measure on one core and print."""
    with contextlib.suppress(OSError):
        os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})
    with tempfile.TemporaryDirectory(dir=Path.cwd()) as folder:
        found = asyncio.run(measure(Path(folder)))
    print(f"embedded ledger, {AT_ONCE} callers at once, one core")
    print("signed, judged by all rules, chained, in the map, synced:")
    rows = [
        ("first entries of user topics (1 signature)", "roots"),
        ("policies of 256 meetings (1 signature)", "policies"),
        ("requests to 256 meetings (2 signatures)", "requests"),
        ("beside them: Ed25519 verifications alone", "bare_verify"),
        ("beside them: SQLite commits of the bytes alone", "bare_commit"),
    ]
    for label, name in rows:
        per_s, per_cpu = found[f"{name}_per_s"], found[f"{name}_per_cpu_s"]
        print(f"  {label:48} {per_s:9,.0f}/s  {per_cpu:9,.0f} per CPU s")
    print(f"  target for one signature: {TARGET_PER_S:,}/s")
    p50, p99 = found["alone_p50_ms"], found["alone_p99_ms"]
    print(
        f"  one alone: p50 {p50:.2f} ms, p99 {p99:.2f} ms  (target p50 {TARGET_MS} ms)"
    )
    print(json.dumps({"bench": "ledger", **{k: round(v, 3) for k, v in found.items()}}))


if __name__ == "__main__":
    main()

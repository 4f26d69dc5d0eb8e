# SPDX-License-Identifier: Apache-2.0
"""SFrame per frame beside the bare AESGCM call of the same run.

Claims: at 1.2 kB at most 3 us more than the bare call, both ways; at most 5 % of a core
at 10,000 frames/s; at most 20 bytes more per audio frame in a meeting of up to 16
members, 22 above.  Prints a table, then one line of JSON; leaves with 1 if a claim
fails.
"""

import json
import os
import sys
from collections.abc import Callable
from dataclasses import asdict, dataclass
from statistics import median
from time import perf_counter, process_time
from typing import Final

from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from incamera.protocol.frames import StreamId, StreamReceiver, StreamSender
from incamera.protocol.ids import MeetingId
from incamera.protocol.secret import Secret

SIZES: Final = (100, 1200, 5000, 20_000)
CLAIMED_SIZE: Final = 1200
CLAIMED_US: Final = 3.0
CLAIMED_SHARE: Final = 0.05
CLAIMED_OVERHEAD: Final = {15: 20, 16: 22, 4095: 22}
FRAMES: Final = 200
"""Frames of one run: few, so that bare call and SFrame meet the same machine."""
RUNS: Final = 300
RATE: Final = 10_000
KEY_LIFE: Final = 45_000
"""Audio frames of 20 ms in 15 minutes, the longest life of a key."""
MEETING: Final = MeetingId(bytes(32))


@dataclass(frozen=True, slots=True)
class Row:
    """Median microseconds per frame of `size` bytes, and medians of the differences."""

    size: int
    bare_seal: float
    seal: float
    seal_more: float
    bare_open: float
    open: float
    open_more: float


def pair(slot: int = 3) -> tuple[StreamSender, StreamReceiver]:
    """Return the two ends of a new stream."""
    base = Secret(bytearray(os.urandom(32)))
    sender, receiver = (
        StreamSender(MEETING, StreamId(slot, 1)),
        StreamReceiver(MEETING, slot),
    )
    sender.install(1, base)
    sender.switch(1)
    receiver.announce(1)
    receiver.install(1, 1, base)
    return sender, receiver


def timed(run: Callable[[], object]) -> float:
    """Return microseconds per frame of a run over FRAMES frames."""
    start = perf_counter()
    run()
    return (perf_counter() - start) / FRAMES * 1e6


def one_run(size: int) -> tuple[float, float, float, float]:
    """Return bare seal, seal, bare open and open of one run."""
    plain, nonce, aad = os.urandom(size), os.urandom(12), os.urandom(25)
    bare = AESGCM(os.urandom(32))
    sender, receiver = pair()
    sealed: list[bytes] = []
    frames: list[bytes] = []

    def bare_seal() -> None:
        sealed.extend([bare.encrypt(nonce, plain, aad) for _ in range(FRAMES)])

    def seal() -> None:
        frames.extend([sender.protect(plain) for _ in range(FRAMES)])

    def bare_open() -> None:
        for frame in sealed:
            bare.decrypt(nonce, frame, aad)

    def open_all() -> None:
        for frame in frames:
            receiver.open(frame)

    return timed(bare_seal), timed(seal), timed(bare_open), timed(open_all)


def row(size: int) -> Row:
    """Return the medians over RUNS runs."""
    runs = [one_run(size) for _ in range(RUNS)]
    bare_seal, seal, bare_open, open_ = (
        median(run[part] for run in runs) for part in range(4)
    )
    return Row(
        size=size,
        bare_seal=round(bare_seal, 2),
        seal=round(seal, 2),
        seal_more=round(median(run[1] - run[0] for run in runs), 2),
        bare_open=round(bare_open, 2),
        open=round(open_, 2),
        open_more=round(median(run[3] - run[2] for run in runs), 2),
    )


def cpu_shares() -> tuple[float, float]:
    """Return the shares of a core that RATE frames/s take to seal and to open."""
    shares: list[tuple[float, float]] = []
    for _ in range(5):
        sender, receiver = pair()
        plain = os.urandom(CLAIMED_SIZE)
        start = process_time()
        frames = [sender.protect(plain) for _ in range(RATE)]
        middle = process_time()
        for frame in frames:
            receiver.open(frame)
        shares.append((middle - start, process_time() - middle))
    seal, open_ = (median(share[part] for share in shares) for part in range(2))
    return round(seal, 4), round(open_, 4)


def overhead(slot: int) -> int:
    """Return the most bytes that a frame grows by within one key's life."""
    sender, _ = pair(slot)
    return max(len(sender.protect(b"")) for _ in range(KEY_LIFE))


def failures(
    rows: list[Row], shares: tuple[float, float], sizes: dict[int, int]
) -> list[str]:
    """Name the claims that do not hold."""
    claimed = next(row for row in rows if row.size == CLAIMED_SIZE)
    checks = {
        "seal": claimed.seal_more <= CLAIMED_US,
        "open": claimed.open_more <= CLAIMED_US,
        "cpu": max(shares) <= CLAIMED_SHARE,
        "overhead": all(sizes[slot] <= most for slot, most in CLAIMED_OVERHEAD.items()),
    }
    return [name for name, holds in checks.items() if not holds]


def table(rows: list[Row]) -> str:
    """Return the rows as text, microseconds per frame."""
    names = list(asdict(rows[0]))
    lines = [[str(value) for value in asdict(row).values()] for row in rows]
    return "\n".join(
        "".join(f"{cell:>11}" for cell in line) for line in [names, *lines]
    )


def main() -> int:
    """Measure, print, and say whether the claims hold."""
    rows = [row(size) for size in SIZES]
    shares = cpu_shares()
    sizes = {slot: overhead(slot) for slot in CLAIMED_OVERHEAD}
    failed = failures(rows, shares, sizes)
    print(f"SFrame beside bare AESGCM, us per frame, medians of {RUNS} runs")
    print(table(rows))
    seal, open_ = shares
    print(f"{RATE} frames/s of {CLAIMED_SIZE} B: seal {seal:.1%}, open {open_:.1%} CPU")
    print(f"most bytes more per audio frame, by highest slot: {sizes}")
    print("all claims hold" if not failed else f"claims that fail: {failed}")
    summary = {
        "bench": "sframe",
        "unit": "us per frame",
        "rows": [asdict(row) for row in rows],
        "cpu_share": {"frames_per_s": RATE, "seal": seal, "open": open_},
        "overhead_bytes": sizes,
        "failed": failed,
    }
    print(json.dumps(summary))
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())

# SPDX-License-Identifier: Apache-2.0
"""How steady is this machine just now?  Printed beside what is measured on it."""

import os
import statistics
import time
from hashlib import sha256

ROUNDS = 25
WORK = bytes(4_000_000)


def machine_noise() -> dict[str, float]:
    """Return the load, and how much the same few milliseconds of work vary.

    `spread`: (90th - 10th percentile) / median of the wall time; 0.1 is a quiet
    machine, above 0.5 wall times mean little.
    """
    found = []
    for _ in range(ROUNDS):
        start = time.perf_counter()
        sha256(WORK).digest()
        found.append(time.perf_counter() - start)
    found.sort()
    tenth = len(found) // 10
    spread = (found[-1 - tenth] - found[tenth]) / statistics.median(found)
    load = os.getloadavg()[0]
    return {"cores": os.cpu_count() or 0, "load": load, "spread": round(spread, 3)}


def noise_line(noise: dict[str, float]) -> str:
    """Return it in words."""
    return (
        f"machine: {noise['cores']:.0f} cores, load {noise['load']:.1f}, the same work"
        f" varies by {100 * noise['spread']:.0f} %"
    )

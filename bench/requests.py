# SPDX-License-Identifier: Apache-2.0
"""How long does a leader take to admit a thousand people who ask at once?

All steps of the leader's machine: each request's entry with its two signatures, its
sealed box, the statement inside and the proof of the user's topic; then the epochs, a
sealed pairwise key and a wrap for each, and the leader's own proof key for all.  Beside
it, in the same run, the bare primitives that these contain, called as often and nothing
else.  CPU time of one core; the disk and the network are not in it.  All users are on
one identity ledger, each with a proof of its own.
"""

import argparse
import json
import statistics
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Final

sys.path.insert(0, str(Path(__file__).parents[1]))  # the other benches
from bench._crowd import NOW_MS, Crowd, Laps, accounts
from bench._noise import machine_noise, noise_line
from bench._primitives import primitives

from incamera.protocol import leader_moves, people
from incamera.protocol.leading import Leading
from incamera.protocol.seat import Account

REQUESTS: Final = 999
"""With the leader a thousand: the policy's limit."""
RUNS: Final = 3
TARGET_S: Final = 2.0
STEPS: Final = {
    "entries": "entries: parsed, 2 signatures, judged",
    "messages": "boxes: parsed, matched with their request",
    "open": "boxes opened (X-Wing)",
    "identity": "identities: statement, topic, proof",
    "admit": "admitted by the person, epochs drafted",
    "epochs": "epochs judged and installed",
    "keks": "pairwise keys sealed (X-Wing), signed",
    "wraps": "seed wrapped for each, posts made",
    "proof keys": "our proof key given to all, signed, sealed",
}
BARE: Final = {
    "verify": (5, "Ed25519 verification"),
    "sign": (1, "Ed25519 signature"),
    "open": (1, "X-Wing HPKE open"),
    "seal": (1, "X-Wing HPKE seal"),
    "aes": (1, "AES-256-GCM seal"),
}
"""How often each is needed per request, and what it is.  Verified: request, gate,
statement, user root, checkpoint; signed: the pairwise key; sealed: the wrap."""


def watch(laps: Laps) -> None:
    """Count the parts of the leader's work."""
    laps.watch(leader_moves, "open_join_secret", "open")
    laps.watch(people, "verify_identity", "identity")
    laps.watch(Leading, "_share_kek", "keks")
    laps.watch(Leading, "wrap_for", "wraps")
    laps.watch(leader_moves, "give_keys", "proof keys")


def one_run(
    founder: Account, guests: Sequence[Account], laps: Laps
) -> dict[str, float]:
    """Admit everybody to a new meeting; return CPU seconds by step, and of saving."""
    crowd = Crowd(founder)
    asked = crowd.ask(guests)
    laps.take()
    for entry, _ in asked:
        laps.run("entries", lambda entry=entry: crowd.give(entry))  # type: ignore[misc]  # bound at once
    for _, box in asked:
        laps.run("messages", lambda box=box: crowd.leader.got_message(box, NOW_MS))  # type: ignore[misc]  # bound at once
    effects = []
    for request in crowd.waiting():
        effects += laps.run(
            "admit",
            lambda who=request: crowd.leader.admit(who, NOW_MS),  # type: ignore[misc]  # bound at once
        )
    laps.run("epochs", lambda: crowd.land(effects))
    found = laps.take()
    inside = len(crowd.leader.room.inside())
    assert inside == len(guests) + 1, "not everybody came in"
    assert len(crowd.leader.room.leading.keks) == len(guests)  # type: ignore[union-attr]  # the leader's
    start = time.thread_time()
    crowd.leader.save()
    found["save"] = time.thread_time() - start
    return found


def report(runs: Sequence[dict[str, float]], guests: int) -> None:
    """Print the table and one line of JSON."""
    steps = {step: statistics.median(run[step] for run in runs) for step in STEPS}
    totals = [sum(run[step] for step in STEPS) for run in runs]
    total, save = statistics.median(totals), statistics.median(r["save"] for r in runs)
    per_call = primitives()
    floor = sum(count * per_call[name] * guests for name, (count, _) in BARE.items())
    print(f"a leader admits {guests} people at once (median of {len(runs)} runs)")
    for step, cpu_s in steps.items():
        each = cpu_s / guests * 1e6
        print(f"  {STEPS[step]:46} {cpu_s * 1000:8.0f} ms  {each:7.0f} us each")
    print(f"  {'all':46} {total * 1000:8.0f} ms  target {TARGET_S * 1000:.0f} ms")
    print("beside it, the bare primitives of the same work:")
    for name, (count, words) in BARE.items():
        cpu_us = per_call[name] * 1e6
        print(f"  {count} x {words:42} {count * cpu_us * guests / 1000:8.0f} ms")
    print(f"  {'all':46} {floor * 1000:8.0f} ms  ratio {total / floor:.2f}")
    print(f"not in it: one snapshot of the leader's state {save * 1000:.1f} ms")
    noise = machine_noise()
    print(noise_line(noise))
    result = {
        "bench": "requests",
        "guests": guests,
        "runs": len(runs),
        "total_cpu_s": round(total, 4),
        "total_cpu_s_range": [round(min(totals), 4), round(max(totals), 4)],
        "steps_cpu_s": {step: round(value, 4) for step, value in steps.items()},
        "bare_cpu_s": round(floor, 4),
        "bare_us": {name: round(value * 1e6, 2) for name, value in per_call.items()},
        "snapshot_s": round(save, 5),
        "noise": noise,
    }
    print(json.dumps(result))


def main(arguments: Sequence[str]) -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--requests", type=int, default=REQUESTS)
    given = parser.parse_args(arguments)
    names = [f"guest {number}" for number in range(given.requests)]
    founder, *guests = accounts(["leader", *names], NOW_MS)
    laps, runs = Laps(), []
    watch(laps)
    for number in range(RUNS):
        print(f"requests: run {number + 1} of {RUNS}", file=sys.stderr, flush=True)
        runs.append(one_run(founder, guests, laps))
    report(runs, given.requests)


if __name__ == "__main__":
    main(sys.argv[1:])

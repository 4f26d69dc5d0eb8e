# SPDX-License-Identifier: Apache-2.0
"""How long does a headless member take from the link to its first decrypted frame?

Each pair is a whole join of a new meeting, and the bare WebRTC set-up between the same
two processes without any of it; which comes first alternates.  The joiner lives in this
process, the leader in a child, and each of the two daemons has its own gateway process,
as in life.  The leader lets the joiner in as soon as its machine has checked the
request: no person's time is in the figures, and neither is the start of a program.

Every step is seen from outside (`_daemons.py` wraps the product's functions).
"""

import argparse
import asyncio
import json
import random
import statistics
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from typing import Any, Final, TypeAlias

sys.path.insert(0, str(Path(__file__).parents[1]))  # the other benches
from bench._daemons import NOISE, Marks, running
from bench._noise import machine_noise, noise_line
from bench._plain import Plain

from incamera.node.service import Service

JOINS: Final = 30
WARM_UP: Final = 2
WAIT_S: Final = 30.0
PAUSE_S: Final = 0.3
"""Between two set-ups, so that the end of one is not measured in the next."""
PHASE_S: Final = 0.2
"""Five of the slower frames' periods."""
TARGET_S: Final = 1.0
RESAMPLES: Final = 4000
LEADERS: Final = ("asked", "admitted", "switched")
"""Steps that are noted in the leader's process; both read the same clock."""
STEPS: Final = {
    "link": "link parsed",
    "tls": "gateway reached by TLS, its key is the link's",
    "descriptor": "connected again under that key, descriptor read",
    "topic": "meeting's topic read and verified",
    "leader": "leader's card opened, identity verified",
    "proven": "own topic proven at the home ledger",
    "signed": "keys made, request signed, box sealed",
    "saved": "state saved: the request may leave",
    "ordered": "request on the ledger, receipt verified",
    "asked": "leader: box opened, identity checked",
    "admitted": "leader: epoch that admits us on the ledger",
    "seen": "that epoch verified by us",
    "keyed": "wrap opened, key matches its commitment",
    "offer": "media begun, offer made and signed",
    "answer": "answer received and verified",
    "switched": "leader sends under the new key",
    "connected": "ICE and DTLS connected",
    "frame": "first decrypted frame delivered",
}
Ask: TypeAlias = Callable[..., Awaitable[dict[str, Any]]]
Join: TypeAlias = dict[str, float]
"""Seconds since the start of the join, by step."""


async def whole_join(service: Service, ask: Ask, marks: Marks) -> Join:
    """Join a new meeting; return when each step was done."""
    new = await ask(do="lead")
    # The leader's frames have begun: a join must not always meet them in one phase.
    await asyncio.sleep(PAUSE_S + random.uniform(0, PHASE_S))
    marks.take()
    start = time.monotonic()
    await service.meeting_join(link=new["link"], public=False, play=NOISE, record=None)
    async with asyncio.timeout(WAIT_S):
        await marks.until("sound", "picture")
    found = marks.take()
    await service.meeting_leave(meeting=new["meeting"])
    theirs = await ask(do="end", meeting=new["meeting"])
    found |= {step: theirs[step] for step in LEADERS if step in theirs}
    found["frame"] = min(found["sound"], found["picture"])
    return {step: at - start for step, at in found.items()}


async def bare_setup(ask: Ask) -> Join:
    """Connect without any of it; return when it was connected and the first frame."""
    marks = Marks()
    start = time.monotonic()
    plain = Plain(marks.note)
    answer = await ask(do="answer", offer=await plain.offer())
    await plain.accept(answer["answer"])
    async with asyncio.timeout(WAIT_S):
        found = {**marks.at, "frame": await plain.framed} | marks.at
    await plain.close()
    await ask(do="hang up")
    return {step: at - start for step, at in found.items()}


async def measure(folder: Path, joins: int) -> tuple[list[Join], list[Join]]:
    """Return whole joins and bare set-ups, paired."""
    for name in ("leader", "joiner"):
        (folder / name).mkdir(mode=0o700)
    child = await asyncio.create_subprocess_exec(
        sys.executable,
        str(Path(__file__).with_name("_daemons.py")),
        str(folder / "leader"),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        limit=2**20,
    )
    assert child.stdin is not None
    assert child.stdout is not None
    stdin, stdout = child.stdin, child.stdout

    async def ask(**order: object) -> dict[str, Any]:
        stdin.write(json.dumps(order).encode() + b"\n")
        answer: dict[str, Any] = json.loads(await stdout.readline())
        return answer

    marks = Marks()
    async with running(folder / "joiner", "Joiner", marks) as service:
        await stdout.readline()
        found = await pairs(service, ask, marks=marks, joins=joins)
    stdin.close()
    await child.wait()
    return found


async def pairs(
    service: Service, ask: Ask, *, marks: Marks, joins: int
) -> tuple[list[Join], list[Join]]:
    """Run the pairs; each kind comes first as often."""
    whole, bare = list[Join](), list[Join]()
    for pair in range(WARM_UP + joins):
        for kind in (pair % 2, 1 - pair % 2):
            await asyncio.sleep(PAUSE_S)
            if kind:
                whole.append(await whole_join(service, ask, marks))
            else:
                bare.append(await bare_setup(ask))
        told = f"join {whole[-1]['frame']:.3f} s, bare {bare[-1]['frame']:.3f} s"
        print(f"pair {pair + 1 - WARM_UP} of {joins}: {told}", file=sys.stderr)
    return whole[WARM_UP:], bare[WARM_UP:]


def interval(values: Sequence[float]) -> tuple[float, float]:
    """Return a 95 % interval of the median, by bootstrap."""
    chance = random.Random(1)
    medians = sorted(
        statistics.median(chance.choices(values, k=len(values)))
        for _ in range(RESAMPLES)
    )
    return medians[RESAMPLES // 40], medians[-RESAMPLES // 40]


def percentile(values: Sequence[float], share: float) -> float:
    """Return the value below which that share of the values lies."""
    return sorted(values)[min(len(values) - 1, int(share * len(values)))]


def steps_of(whole: Sequence[Join]) -> list[tuple[str, float, float]]:
    """Return the steps in order: name, median time reached, median time it took.

    A step's time counts from the end of all that had ended before it in the same join;
    steps that run side by side share theirs.
    """
    reached = {
        step: statistics.median(join[step] for join in whole if step in join)
        for step in STEPS
        if any(step in join for join in whole)
    }
    order = sorted(reached, key=lambda step: reached[step])
    found, before = [], [0.0] * len(whole)
    for step in order:
        took = []
        for number, join in enumerate(whole):
            at = max(before[number], join.get(step, 0.0))
            took.append(at - before[number])
            before[number] = at
        found.append((step, reached[step], statistics.median(took)))
    return found


def report(
    whole: Sequence[Join], bare: Sequence[Join], noise: dict[str, float]
) -> None:
    """Print the table and one line of JSON."""
    joined = [join["frame"] for join in whole]
    plain = [join["frame"] for join in bare]
    extra = [one - two for one, two in zip(joined, plain, strict=True)]
    low, high = interval(extra)
    steps = steps_of(whole)
    print(f"{len(whole)} joins, from the link to the first decrypted frame (medians)")
    print(f"  {'step':46} {'took ms':>9} {'at ms':>9}")
    for step, at, took in steps:
        print(f"  {STEPS[step]:46} {took * 1000:9.1f} {at * 1000:9.1f}")
    for name, values in (("whole join", joined), ("bare WebRTC set-up", plain)):
        p90 = percentile(values, 0.9)
        print(f"{name:20} p50 {statistics.median(values):.3f} s  p90 {p90:.3f} s")
    under = sum(value < TARGET_S for value in extra)
    print(
        f"{'paired difference':20} p50 {statistics.median(extra):.3f} s"
        f"  (95 %: {low:.3f} to {high:.3f})  target {TARGET_S} s;"
        f" {under} of {len(extra)} below it"
    )
    print(noise_line(noise))
    result = {
        "bench": "join",
        "joins": len(whole),
        "join_p50_s": round(statistics.median(joined), 4),
        "join_p90_s": round(percentile(joined, 0.9), 4),
        "bare_p50_s": round(statistics.median(plain), 4),
        "bare_p90_s": round(percentile(plain, 0.9), 4),
        "difference_p50_s": round(statistics.median(extra), 4),
        "difference_95": [round(low, 4), round(high, 4)],
        "below_target": under,
        "steps_ms": {
            s: [round(1000 * took, 2), round(1000 * at, 2)] for s, at, took in steps
        },
        "noise": noise,
    }
    print(json.dumps(result))


def main(arguments: Sequence[str]) -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--joins", type=int, default=JOINS)
    given = parser.parse_args(arguments)
    noise = machine_noise()
    with tempfile.TemporaryDirectory(prefix="incamera-join-") as folder:
        whole, bare = asyncio.run(measure(Path(folder), given.joins))
    report(whole, bare, noise)


if __name__ == "__main__":
    main(sys.argv[1:])

# SPDX-License-Identifier: Apache-2.0
"""Kill -9 at numbered points: the meeting goes on, and nothing acknowledged is lost.

A point is before each save and before each effect.  Cleo comes and is removed again
while somebody dies; whoever died is started again with the same home, and nobody does
anything else about it.
"""

import os
import random
import signal
import time
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from threading import Thread
from typing import Any

import pytest

pytestmark = pytest.mark.xdist_group("meeting")
LAST = {"leader": 30, "member": 22}
"""No more points than these are passed while Cleo comes and goes."""
SEEDED = random.Random("points at which to die")
SAMPLE = [(who, SEEDED.randint(1, 20)) for who in ("leader", "member", "leader")]
ALL = [(who, point) for who, last in LAST.items() for point in range(1, last + 1)]


@pytest.fixture(scope="module")
def trio(kit: Any) -> tuple[Any, ...]:
    ada, bob, cleo = kit.people("Ada", "Bob", "Cleo")
    meeting, link = ada.leads("crashes")
    ada.lets_in(bob, link)
    return ada, bob, cleo, meeting, link


def insist(person: Any, fact: Callable[[], Any]) -> Any:
    """Ask until there is an answer; start the person again when it died."""
    end = time.monotonic() + 60
    while time.monotonic() < end:
        if person.process.poll() is not None:
            person.died()
            person.start()
        with suppress(OSError, ValueError, KeyError, RuntimeError):
            if found := fact():
                return found
        time.sleep(0.05)
    raise AssertionError("it did not go on")


def entries(person: Any, meeting: str) -> list[tuple[int, str, int]]:
    """The verified record, as one person reads it."""
    audit = person.call("audit", meeting=meeting, export=None)["entries"]
    return [(line["index"], line["type"], line["time_ms"]) for line in audit]


def come_and_go(trio: tuple[Any, ...], victim: Any) -> None:
    """Cleo asks, is let in and removed again, whatever happens to the victim."""
    ada, _, cleo, meeting, link = trio
    heard = len(cleo.events)
    join = {"link": link, "public": False}
    asking = Thread(target=cleo.call, args=("meeting.join",), kwargs=join)
    asking.start()

    def seated() -> int | None:
        view = ada.view(meeting)
        for request in view["requests"]:
            if request["checked"]:
                ada.call("meeting.admit", meeting=meeting, request=request["request"])
        return next((m["slot"] for m in view["members"] if m["name"] == "Cleo"), None)

    slot = insist(victim, seated)
    insist(victim, lambda: [e for e in cleo.events[heard:] if "sending" in e["text"]])
    asking.join()

    def removed() -> bool:
        if all(m["slot"] != slot for m in ada.view(meeting)["members"]):
            return True
        ada.call("meeting.remove", meeting=meeting, slot=slot)
        return False

    insist(victim, removed)
    insist(victim, lambda: [e for e in cleo.events[heard:] if e["kind"] == "ended"])


def agree(trio: tuple[Any, ...]) -> bool:
    """Whether both see one roster and one epoch."""
    ada, bob, _, meeting, _ = trio
    hers, his = ada.view(meeting), bob.view(meeting)
    slots = [[m["slot"] for m in view["members"]] for view in (hers, his)]
    return slots == [[0, 1], [0, 1]] and hers["epoch"] == his["epoch"]


def die_and_go_on(trio: tuple[Any, ...], who: str, point: int) -> None:
    ada, bob, _, meeting, _ = trio
    victim = ada if who == "leader" else bob
    before = entries(bob, meeting)
    process = victim.process
    victim.tell(f"die {point}")
    come_and_go(trio, victim)
    if victim.process is process:  # fewer points than that were passed
        victim.tell("die 0")
    insist(victim, lambda: agree(trio))
    for speaker, hearer in ((ada, bob), (bob, ada)):
        insist(victim, partial(speaker.says, meeting, f"{time.time()}", hearer))
    after = entries(ada, meeting)
    assert after[: len(before)] == before
    assert entries(bob, meeting) == after
    assert victim.process is not process or point > 10


@pytest.mark.parametrize(("who", "point"), SAMPLE)
def test_the_meeting_goes_on_after_a_kill(
    trio: tuple[Any, ...], who: str, point: int
) -> None:
    die_and_go_on(trio, who, point)


@pytest.mark.slow
@pytest.mark.parametrize(("who", "point"), ALL)
def test_the_meeting_goes_on_after_a_kill_at_each_point(
    trio: tuple[Any, ...], who: str, point: int
) -> None:
    die_and_go_on(trio, who, point)


def test_the_meeting_goes_on_after_its_gateway_was_killed(
    trio: tuple[Any, ...], kit: Any
) -> None:
    ada, bob, _, meeting, _ = trio
    before = entries(bob, meeting)
    os.kill(ada.gateway, signal.SIGKILL)
    kit.until(lambda: not kit.alive(ada.gateway), "the gateway's end")
    for speaker, hearer in ((ada, bob), (bob, ada)):
        speaker.says(meeting, f"{time.time()}", hearer)
    assert entries(bob, meeting) == before


def test_what_is_lost_would_be_noticed_control(trio: tuple[Any, ...], kit: Any) -> None:
    """A gateway that comes back with an older ledger is found out."""
    ada, bob, _, meeting, _ = trio
    folder = ada.home / "gateway"
    ada.kill()
    old = {path: path.read_bytes() for path in folder.glob("ledger.db*")}
    ada.start()
    come_and_go(trio, ada)
    assert len(entries(bob, meeting)) > 2  # what Bob has seen, nobody takes back
    ada.kill()
    for path in folder.glob("ledger.db*"):
        path.unlink()
    for path, data in old.items():
        path.write_bytes(data)
    ada.start()
    with kit.refused("rolled-back"):
        entries(bob, meeting)

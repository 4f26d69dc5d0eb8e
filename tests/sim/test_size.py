# SPDX-License-Identifier: Apache-2.0
"""Large meetings: every member a real machine, and what it costs."""

import time
from collections.abc import Callable

import pytest
from tests.sim.people import START_MS, accounts
from tests.sim.watch import faults
from tests.sim.world import Weather, World

from incamera.protocol.ids import EntryId, KeyId


class _Nowhere(dict[str, bytes]):
    """A gateway that stores no proofs."""

    def __setitem__(self, name: str, data: bytes) -> None:
        """Drop it."""


class Large:
    """A meeting of `count`; only the first `awake` guests are followed after asking.

    Of the others it is the leader's part that is done: requests, proofs and wraps.
    Stored proofs are not fetched.  `cpu` has the seconds that each part took.
    """

    def __init__(self, count: int, awake: int) -> None:
        self.count = count
        self.cpu: dict[str, float] = {}
        self.world = World(1, Weather(delay_ms=(1, 2)))
        self.world.blobs = _Nowhere()
        self.leader = self.world.founder()
        self.world.until(lambda: self.world.one_room("leader"))
        self.names = [f"guest{number}" for number in range(count - 1)]
        self.awake = self.names[:awake]
        self.timed("ask", self.ask)
        self.timed("order", lambda: self.world.pass_ms(500))
        self.timed("check", self.check)
        self.timed("admit", self.admit)
        self.timed("join", lambda: self.meet(count))
        self.timed("remove", self.remove)
        self.timed("rekey", lambda: self.meet(count - 1))

    def timed(self, what: str, job: Callable[[], None]) -> None:
        started = time.process_time()
        job()
        self.cpu[what] = time.process_time() - started

    def ask(self) -> None:
        found = accounts(self.names, START_MS)
        for name, account in zip(self.names, found, strict=True):
            self.world.asker(name, account)
        for name in self.names[len(self.awake) :]:
            self.world.nodes[name].over = True

    def check(self) -> None:
        """The leader opens and checks what everybody sealed to it."""
        for name in self.names:
            node = self.world.nodes[name]
            box = node.room.request_box
            if box is not None and node.id not in self.world.asked():
                self.world.deliver(self.leader.kid, box)
        assert {self.world.nodes[name].id for name in self.names} <= self.world.asked()

    def admit(self) -> None:
        """Admit all in one epoch."""
        ids: list[EntryId] = [self.world.nodes[name].id for name in self.names]
        assert self.leader.room.leading is not None
        self.leader.room.leading.admit.extend(ids[1:])
        self.leader.do(lambda m: m.admit(ids[0], self.world.now_ms))

    def remove(self) -> None:
        gone = self.world.nodes[self.awake.pop()].id
        self.leader.do(lambda m: m.remove(gone, self.world.now_ms))

    def meet(self, count: int) -> None:
        """Wait until so many are inside, and those awake send under the newest key."""
        nodes = [self.leader, *[self.world.nodes[name] for name in self.awake]]

        def in_step() -> bool:
            assert self.world.state is not None
            last = KeyId(self.world.state.last)
            return len(self.world.state.roster) == count and all(
                node.room.keyring.sending == last for node in nodes
            )

        self.world.until(in_step, 60_000)
        assert len({node.key() for node in nodes}) == 1


def test_a_hundred_meet() -> None:
    large = Large(100, 20)
    assert faults(large.world) == []
    assert sum(large.cpu.values()) < 20, large.cpu


@pytest.mark.slow
def test_a_hundred_machines_meet() -> None:
    assert faults(Large(100, 99).world) == []


@pytest.mark.slow
def test_a_thousand_meet(capsys: pytest.CaptureFixture[str]) -> None:
    cpu = Large(1000, 10).cpu
    told = ", ".join(f"{what} {seconds:.2f}" for what, seconds in cpu.items())
    with capsys.disabled():
        print(f"\n1000 members, 11 machines, CPU seconds: {told}")  # noqa: T201  # figures
    assert sum(cpu.values()) < 300

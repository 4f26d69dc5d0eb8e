# SPDX-License-Identifier: Apache-2.0
"""A meeting of a thousand machines in one process, without disk, ledger or network.

The leader and those who join are the package's own `Member`; what they append is
ordered at once, and what they post is kept for whoever measures.
"""

import sys
import time
from collections.abc import Callable, Iterable
from functools import wraps
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[1]))  # people of the simulator's tests
from tests.sim.people import POLICY, START_MS, TOOLS, accounts, plan_of

from incamera.protocol import effects as fx
from incamera.protocol.arrival import Invitation
from incamera.protocol.bodies import Publish
from incamera.protocol.entry import parse_entry
from incamera.protocol.ids import EntryId, LedgerId
from incamera.protocol.member import Asking, Member
from incamera.protocol.proof import Record
from incamera.protocol.seat import Account

LEDGER = LedgerId(b"L" * 32)
NOW_MS = START_MS
__all__ = ["NOW_MS", "Crowd", "Laps", "accounts"]


class Laps:
    """CPU seconds spent inside chosen functions, without those chosen inside them."""

    def __init__(self) -> None:
        self.cpu_s: dict[str, float] = {}
        self.calls: dict[str, int] = {}
        self._inner = [0.0]

    def watch(self, owner: Any, name: str, step: str) -> None:
        """Count what that function spends to `step`."""
        inner = getattr(owner, name)

        @wraps(inner)
        def counted(*args: Any, **given: Any) -> Any:
            return self.run(step, lambda: inner(*args, **given))

        setattr(owner, name, counted)

    def run(self, step: str, job: Callable[[], Any]) -> Any:
        """Do something, counted to `step`."""
        self._inner.append(0.0)
        start = time.thread_time()
        try:
            return job()
        finally:
            spent, inside = time.thread_time() - start, self._inner.pop()
            self._inner[-1] += spent
            self.cpu_s[step] = self.cpu_s.get(step, 0.0) + spent - inside
            self.calls[step] = self.calls.get(step, 0) + 1

    def take(self) -> dict[str, float]:
        """Return all counts, and begin anew."""
        found, self.cpu_s = self.cpu_s, {}
        return found


class Crowd:
    """One leader, its meeting's records, and those who asked."""

    def __init__(self, founder: Account) -> None:
        """Publish the meeting and bring its first epoch onto the ledger."""
        plan = plan_of(POLICY, NOW_MS)
        self.leader, first = Member.lead(founder, TOOLS, plan=plan, ledger_id=LEDGER)
        self.records: list[Record] = []
        self.joiners: list[Member] = []
        self.now_ms = NOW_MS
        self.land(first)

    @property
    def asking(self) -> Asking:
        """What somebody with the link verified before asking."""
        room = self.leader.room
        publish = parse_entry(self.records[0].entry).body
        assert isinstance(publish, Publish)
        invitation = Invitation(
            meeting=room.seat.meeting,
            ledger_id=LEDGER,
            publish=publish,
            secret=room.seat.link_secret,
        )
        return Asking(invitation, room.seat.kems.current.public)

    def ask(self, accounts: Iterable[Account]) -> list[tuple[bytes, bytes]]:
        """Let people ask; return each one's request entry and sealed box."""
        found, asking = [], self.asking
        for account in accounts:
            member, effects = Member.ask(account, TOOLS, asking=asking, now_ms=NOW_MS)
            (append,) = (e for e in effects if isinstance(e, fx.Append))
            box = member.room.request_box
            assert box is not None
            self.joiners.append(member)
            found.append((append.entry, box))
        return found

    def give(self, entry: bytes) -> list[fx.Effect]:
        """Order an entry and let the leader take it."""
        record = Record(time_ms=self.now_ms, entry=entry)
        effects = self.leader.got_record(record, self.now_ms)
        self.records.append(record)
        return effects

    def land(self, effects: list[fx.Effect]) -> list[fx.Post]:
        """Order whatever is to be appended, and what follows; return all posts."""
        posts, line = [e for e in effects if isinstance(e, fx.Post)], list(effects)
        while line:
            effect = line.pop(0)
            if isinstance(effect, fx.Append):
                following = self.give(effect.entry)
                posts += [e for e in following if isinstance(e, fx.Post)]
                line += following
        return posts

    def waiting(self) -> list[EntryId]:
        """Return the requests of those who asked, in order."""
        return [member.room.seat.entry for member in self.joiners]

# SPDX-License-Identifier: Apache-2.0
"""A world for members' machines: one ledger, a hostile relay, a clock, crashes.

Every member is the real `Member`; the ledger's rules are the real `apply`, identities
lie on a real embedded engine in memory.  What the world adds is delay, loss, repeats,
reorder and death, all from one seed.
"""

import heapq
import random
from collections.abc import Callable
from dataclasses import dataclass

from tests.sim.film import Film, film
from tests.sim.node import Crash, Node, Step
from tests.sim.people import POLICY, START_MS, TOOLS, accounts, plan_of

from incamera.errors import IncameraError, PeerError
from incamera.protocol import effects as fx
from incamera.protocol.arrival import Invitation
from incamera.protocol.bodies import Publish
from incamera.protocol.context import RULES, Context
from incamera.protocol.entry import parse_entry
from incamera.protocol.identity import Identified
from incamera.protocol.ids import EntryId, KeyId, Kid, LedgerId
from incamera.protocol.keyring import EpochKey
from incamera.protocol.meeting_state import MeetingState
from incamera.protocol.member import Asking, Member
from incamera.protocol.message import (
    encode_unsigned,
    parse_message,
    parse_wrap_batch,
    split_batch,
)
from incamera.protocol.policy import Policy
from incamera.protocol.proof import Record
from incamera.protocol.room import Phase
from incamera.protocol.seat import Account
from incamera.protocol.signing import kid_of
from incamera.protocol.topic import apply, state_hash

RESTART_MS = 50


@dataclass
class Weather:
    """What the relay does to a message; chances from 0 to 1, times in ms."""

    lost: float = 0.0
    doubled: float = 0.0
    delay_ms: tuple[int, int] = (1, 5)
    in_order: bool = True


@dataclass
class Sent:
    """A message as the relay got it."""

    sender: Kid
    to: Kid | None
    data: bytes


class World:
    """Time, ledger and relay, and the nodes on them."""

    def __init__(self, seed: int = 1, weather: Weather | None = None) -> None:
        self.random = random.Random(seed)
        self.weather = weather or Weather()
        self.now_ms = START_MS
        self.ledger_id = LedgerId(b"L" * 32)
        self.state: MeetingState | None = None
        self.records: list[Record] = []
        self.offered: list[bytes] = []
        self.refused: list[PeerError] = []
        self.suspects: list[IncameraError] = []
        self.blobs: dict[str, bytes] = {}
        self.nodes: dict[str, Node] = {}
        self.dies: dict[str, int] = {}
        self.wire: list[Sent] = []
        self.films: list[Film] = []
        self._agenda: list[tuple[int, int, Callable[[], None]]] = []
        self._count = 0
        self._last: dict[tuple[Kid, Kid], int] = {}

    # ------------------------------------------------------------------- people

    def founder(
        self, name: str = "leader", policy: Policy = POLICY, *, public: bool = False
    ) -> Node:
        """Let somebody found the meeting."""
        (account,) = accounts([name], self.now_ms)
        plan = plan_of(policy, self.now_ms, public=public)

        def birth() -> tuple[Member, list[fx.Effect]]:
            return Member.lead(account, TOOLS, plan=plan, ledger_id=self.ledger_id)

        return self._begin(Node(self, name, birth))

    def asker(self, name: str, account: Account | None = None) -> Node:
        """Let somebody ask to come in."""
        account = account or accounts([name], self.now_ms)[0]

        def birth() -> tuple[Member, list[fx.Effect]]:
            asking = self.asking()
            return Member.ask(account, TOOLS, asking=asking, now_ms=self.now_ms)

        return self._begin(Node(self, name, birth))

    def asking(self) -> Asking:
        """Return what somebody with the present link verified before asking."""
        room = self.nodes["leader"].room
        publish = parse_entry(self.records[0].entry).body
        assert isinstance(publish, Publish)
        invitation = Invitation(
            meeting=room.seat.meeting,
            ledger_id=self.ledger_id,
            publish=publish,
            secret=room.seat.link_secret.copy(),
        )
        return Asking(invitation, room.seat.kems.current.public)

    def _begin(self, node: Node) -> Node:
        self.nodes[node.name] = node
        node.dies_at = self.dies.get(node.name)
        self._start(node)
        return node

    def _start(self, node: Node) -> None:
        try:
            node.start()
        except Crash:
            self._restart(node)
        else:
            self.wake(node)

    def _restart(self, node: Node) -> None:
        self.at(self.now_ms + RESTART_MS, lambda: self._start(node))

    # ------------------------------------------------------------------ carrying out

    def run(self, node: Node, effect: fx.Effect) -> None:
        match effect:
            case fx.Append():
                self.later(lambda: self.append(effect.entry))
            case fx.Post():
                self._post(node, effect)
            case fx.StoreBlob():
                self.blobs[effect.name] = effect.data
            case fx.FetchBlob():
                self.later(lambda: self._fetched(node, effect.name))
            case fx.WakeAt():
                self._wake_at(node, max(effect.at_ms, self.now_ms + 1))
            case fx.Tell():
                node.told.append(effect.event)
            case fx.Erase():
                node.erase()
            case _:
                pass

    def _wake_at(self, node: Node, at_ms: int) -> None:
        if at_ms not in node.alarms:
            node.alarms.add(at_ms)
            self.at(at_ms, lambda: self._tick(node, at_ms))

    def _tick(self, node: Node, at_ms: int) -> None:
        node.alarms.discard(at_ms)
        self.give(node, lambda m: m.tick(self.now_ms))

    def _fetched(self, node: Node, name: str) -> None:
        data = self.blobs.get(name)
        self.give(node, lambda m: m.got_blob(name, data, self.now_ms))

    def append(self, data: bytes) -> None:
        """Order an entry if it is legal and new; everybody alive reads it."""
        self.offered.append(data)
        if any(record.entry == data for record in self.records):
            return
        try:
            entry = parse_entry(data)
            context = Context(self.ledger_id, RULES, len(self.records), self.now_ms)
            state = apply(self.state, entry, context)
        except PeerError as error:
            self.refused.append(error)
            return
        assert isinstance(state, MeetingState)
        self.state = state
        self.records.append(Record(time_ms=self.now_ms, entry=data))
        for node in list(self.nodes.values()):
            self.later(lambda node=node: self.wake(node))  # type: ignore[misc]  # bound now

    def wake(self, node: Node) -> None:
        """Give a node the records that it has not read."""
        while node.alive and node.room.phase is not Phase.OVER:
            count = node.room.count
            if count >= len(self.records) or not self._read(node, self.records[count]):
                return

    def _read(self, node: Node, record: Record) -> bool:
        return self.give(node, lambda m: m.got_record(record, self.now_ms))

    def _post(self, node: Node, post: fx.Post) -> None:
        self.wire.append(Sent(node.kid, post.to, post.message))
        assert self.state is not None
        seats = {kid_of(m.mvk): m.slot for m in self.state.roster.values()}
        others = [kid for kid in seats if kid != node.kid]
        receivers = others if post.to is None else [post.to]
        shares = shares_of(post.message)
        for kid in receivers:
            if shares is None:
                self._carry(node.kid, kid, post.message)
            elif seats.get(kid) in shares:
                self._carry(node.kid, kid, shares[seats[kid]])

    def _carry(self, sender: Kid, receiver: Kid, message: bytes) -> None:
        copies = 1 + (self.random.random() < self.weather.doubled)
        for _ in range(copies):
            if self.random.random() < self.weather.lost:
                continue
            at = self.now_ms + self.random.randint(*self.weather.delay_ms)
            if self.weather.in_order:
                at = max(at, self._last.get((sender, receiver), 0))
                self._last[sender, receiver] = at
            self.at(at, lambda: self.deliver(receiver, message))

    def deliver(self, receiver: Kid, message: bytes) -> None:
        for node in self.nodes.values():
            if node.alive and node.kid == receiver:
                self.give(node, lambda m: m.got_message(message, self.now_ms))
                return

    def give(self, node: Node, step: Step) -> bool:
        """Let a node take an input; a refused one changes nothing."""
        if not node.alive:
            return False
        try:
            node.do(step)
        except IncameraError as error:
            self.suspects.append(error)
            return False
        except Crash:
            self._restart(node)
            return False
        return True

    def give_stream(self, node: Node) -> None:
        """Let a node start a stream, should it be there."""
        if node.alive:
            try:
                node.start_stream()
            except Crash:
                self._restart(node)

    def film(self, name: str) -> None:
        """Let somebody send a picture under the key in use."""
        node = self.nodes[name]
        node.start_stream()
        self.films.append(film(node, 4 * node.generations[-1]))

    # ------------------------------------------------------------------------ time

    def at(self, when_ms: int, job: Callable[[], object]) -> None:
        self._count += 1
        heapq.heappush(self._agenda, (when_ms, self._count, lambda: void(job)))

    def later(self, job: Callable[[], object]) -> None:
        self.at(self.now_ms + self.random.randint(*self.weather.delay_ms), job)

    def pass_ms(self, duration_ms: int) -> None:
        """Let time pass."""
        end = self.now_ms + duration_ms
        while self._agenda and self._agenda[0][0] <= end:
            self.now_ms, _, job = heapq.heappop(self._agenda)
            job()
        self.now_ms = end

    def until(self, fact: Callable[[], bool], limit_ms: int = 30_000) -> None:
        """Let time pass until something holds; fail if it does not."""
        end = self.now_ms + limit_ms
        while not fact():
            due = self._agenda[0][0] if self._agenda else end + 1
            assert due <= end, "it never came to pass"
            self.now_ms, _, job = heapq.heappop(self._agenda)
            job()

    def insist(self, name: str, wish: Step, fact: Callable[[], bool]) -> None:
        """Do as a person does whose process may die: wish again until it is so."""
        for _ in range(10):
            if fact():
                return
            self.give(self.nodes[name], wish)
            for _ in range(30):
                if not fact():
                    self.pass_ms(100)
        assert fact(), "it never came to pass, whatever the person did"

    # ------------------------------------------------------------------------ views

    def one_room(self, *names: str) -> bool:
        """True when these, and only these, are in one roster with one key, sending."""
        nodes = [self.nodes[name] for name in names]
        if self.state is None or not all(node.alive for node in nodes):
            return False
        inside = {member.id for member in self.state.roster.values()}
        if inside != {node.id for node in nodes}:
            return False
        return all(self._in_step(node) for node in nodes) and (
            len({node.key() for node in nodes}) == 1
        )

    def _in_step(self, node: Node) -> bool:
        room, state = node.room, self.state
        assert state is not None
        newest = room.keyring.newest
        return (
            room.state is not None
            and state_hash(room.state) == state_hash(state)
            and newest is not None
            and newest.key_id == KeyId(state.last)
            and room.keyring.sending == newest.key_id
            and not room.keyring.stopped
        )

    def all_checked(self, *names: str) -> bool:
        """True when each of these has checked each other one."""
        ids = {name: self.nodes[name].id for name in names}
        return all(self.nodes[name].alive for name in names) and all(
            isinstance(self.nodes[a].room.people.find(ids[b]).result, Identified)
            for a in names
            for b in names
            if a != b
        )

    @property
    def keys(self) -> dict[KeyId, EpochKey]:
        """Every meeting key that anybody ever held."""
        return {k: v for node in self.nodes.values() for k, v in node.keys.items()}

    def asked(self) -> set[EntryId]:
        """Return whose requests the leader's machine has checked."""
        return {
            event.request
            for event in self.nodes["leader"].told
            if isinstance(event, fx.Asked)
        }


def void(job: Callable[[], object]) -> None:
    job()


def shares_of(message: bytes) -> dict[int, bytes] | None:
    """Do as the relay does with a batch of wraps: to each slot its own."""
    try:
        batch = parse_wrap_batch(message)
    except PeerError:
        parse_message(message)
        return None
    return {slot: encode_unsigned(one) for slot, one in split_batch(batch).items()}

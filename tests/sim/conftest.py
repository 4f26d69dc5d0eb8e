# SPDX-License-Identifier: Apache-2.0
"""A world for members' machines: one ledger, a hostile relay, a clock, crashes.

Every member is the real `Member`; the ledger's rules are the real `apply`, identities
lie on a real embedded engine in memory.  What the world adds is delay, loss, repeats,
reorder and death, all from one seed.
"""

import asyncio
import heapq
import random
from collections.abc import Callable
from dataclasses import dataclass, field

import pytest

from incamera.errors import IncameraError, PeerError
from incamera.ledger.engine import Setup
from incamera.ledger.memory import memory_ledger
from incamera.node.ports import HpkeSealer, SystemEntropy
from incamera.protocol import effects as fx
from incamera.protocol.account import UserPlan, new_user
from incamera.protocol.arrival import Invitation, MeetingPlan
from incamera.protocol.bodies import Publish
from incamera.protocol.context import RULES, Context
from incamera.protocol.descriptor import embedded_descriptor, encode_descriptor
from incamera.protocol.entry import parse_entry
from incamera.protocol.ids import EntryId, Head, Kid, LedgerId, TopicId
from incamera.protocol.meeting_state import MeetingState
from incamera.protocol.member import Asking, Member
from incamera.protocol.message import (
    encode_unsigned,
    parse_message,
    parse_wrap_batch,
    split_batch,
)
from incamera.protocol.policy import (
    Doors,
    Follow,
    Identities,
    Limits,
    Policy,
    Succession,
)
from incamera.protocol.proof import EMPTY_HEAD, Record, encode_proof, fold_head
from incamera.protocol.schedule import commitment
from incamera.protocol.seat import Account, Tools
from incamera.protocol.secret import Secret
from incamera.protocol.signer import Ed25519Signer
from incamera.protocol.signing import device_id_of, kid_of
from incamera.protocol.statement import OrderedEntry, TopicProof, UserHead
from incamera.protocol.topic import apply

START_MS = 1_800_000_000_000
TOOLS = Tools(SystemEntropy(), HpkeSealer(SystemEntropy()))
POLICY = Policy(
    doors=Doors.OPEN,
    strict=False,
    verify_first=False,
    identities=Identities.EVERYONE,
    succession=Succession.TIME_ORDER,
    grants=(),
    limits=Limits(
        members=1000,
        unreachable_s=600,
        identity_stale_s=600,
        leaderless_s=600,
        before_host_s=0,
    ),
    minimum_strength=0,
    before_host=False,
    follow=Follow.FINAL,
)


@dataclass
class Weather:
    """What the relay does to a message; chances from 0 to 1, times in ms."""

    lost: float = 0.0
    doubled: float = 0.0
    delay_ms: tuple[int, int] = (1, 5)
    in_order: bool = True


@dataclass
class _Clock:
    world: "World"

    def now_ms(self) -> int:
        return self.world.now_ms


class Crash(BaseException):
    """The process dies here."""


@dataclass
class Node:
    """One member's process: its machine, and what is on its disk."""

    world: "World"
    name: str
    member: Member | None
    disk: bytes = b""
    points: int = 0
    dies_at: int | None = None
    told: list[fx.Event] = field(default_factory=list)
    done: list[fx.Effect] = field(default_factory=list)

    @property
    def id(self) -> EntryId:
        assert self.member is not None
        return self.member.room.seat.entry

    @property
    def kid(self) -> Kid:
        assert self.member is not None
        return kid_of(self.member.room.seat.signer.public)

    def _point(self) -> None:
        self.points += 1
        if self.dies_at == self.points:
            self.dies_at = None
            self.member = None
            raise Crash

    def do(self, step: Callable[[Member], list[fx.Effect]]) -> None:
        """Save, then send; a crash may fall before the save or between any effects."""
        assert self.member is not None
        effects = step(self.member)
        self._point()
        self.disk = bytes(self.member.save())
        for effect in effects:
            self._point()
            self.done.append(effect)
            self.world.run(self, effect)

    def restart(self) -> None:
        """Come back from what was saved."""
        self.member = Member.restore(bytearray(self.disk), TOOLS)
        for record in self.world.records[: self.member.room.replay_until]:
            self.member.replay(record)
        self.do(lambda member: member.resume(self.world.now_ms))
        self.world.wake(self)

    def key(self) -> bytes:
        """Return the commitment to the newest key: equal keys, equal commitments."""
        assert self.member is not None
        newest = self.member.room.keyring.newest
        assert newest is not None
        return commitment(newest.key)

    def heard(self, kind: type[fx.Event]) -> list[fx.Event]:
        return [event for event in self.told if isinstance(event, kind)]


class World:
    """Time, ledger and relay, and the nodes on them."""

    def __init__(self, seed: int, weather: Weather) -> None:
        self.random = random.Random(seed)
        self.weather = weather
        self.now_ms = START_MS
        self.descriptor = embedded_descriptor(Ed25519Signer(_seed(99)).public)
        self.ledger_id = LedgerId(b"L" * 32)
        self.state: MeetingState | None = None
        self.records: list[Record] = []
        self.head = Head(EMPTY_HEAD)
        self.refused: list[PeerError] = []
        self.suspects: list[IncameraError] = []
        self.blobs: dict[str, bytes] = {}
        self.nodes: dict[str, Node] = {}
        self.wire: list[bytes] = []
        self._agenda: list[tuple[int, int, Callable[[], None]]] = []
        self._count = 0
        self._last: dict[tuple[Kid, Kid], int] = {}

    # ------------------------------------------------------------------- people

    def account(self, name: str) -> Account:
        """Return a user with its root on an identity ledger, freshly proven."""
        return asyncio.run(self._account(name))

    async def _account(self, name: str) -> Account:
        signer = Ed25519Signer(_seed(99))
        setup = Setup(signer=signer, clock=_Clock(self), descriptor=self.descriptor)
        ledger = memory_ledger(setup)
        plan = UserPlan(name=name, clear=False, device_name="laptop")
        user = new_user(TOOLS, plan, ledger_id=ledger.ledger_id)
        receipt = await ledger.append(user.entry.data)
        proof = await ledger.prove(receipt.topic)
        await ledger.close()
        ordered = OrderedEntry(time_ms=receipt.time_ms, entry=user.entry.data)
        device = Ed25519Signer(user.seed)
        return Account(
            signer=device,
            user_id=user.user_id,
            device_id=device_id_of(device.public),
            user_secret=user.user_secret,
            head=UserHead(
                ledger=ledger.ledger_id, topic=receipt.topic, head=receipt.head, count=1
            ),
            topic=TopicProof(
                descriptor=encode_descriptor(self.descriptor),
                records=(ordered,),
                proof=encode_proof(proof),
            ),
            info=user.info,
        )

    def founder(self, name: str = "leader", policy: Policy = POLICY) -> Node:
        """Let somebody found the meeting."""
        plan = MeetingPlan(
            info="a meeting",
            public=False,
            policy=policy,
            gateways=(),
            opens_ms=self.now_ms,
            ends_ms=self.now_ms + 86_400_000,
        )
        member, effects = Member.lead(
            self.account(name), TOOLS, plan=plan, ledger_id=self.ledger_id
        )
        return self._start(name, member, effects)

    def asker(self, name: str, account: Account | None = None) -> Node:
        """Let somebody ask to come in."""
        leader = self.nodes["leader"].member
        assert leader is not None
        publish = parse_entry(self.records[0].entry).body
        assert isinstance(publish, Publish)
        invitation = Invitation(
            meeting=leader.room.seat.meeting,
            ledger_id=self.ledger_id,
            publish=publish,
            secret=leader.room.seat.link_secret.copy(),
        )
        asking = Asking(invitation, leader.room.seat.kems.current.public)
        member, effects = Member.ask(
            account or self.account(name), TOOLS, asking=asking, now_ms=self.now_ms
        )
        return self._start(name, member, effects)

    def _start(self, name: str, member: Member, effects: list[fx.Effect]) -> Node:
        node = Node(self, name, member)
        self.nodes[name] = node
        node.do(lambda _: effects)
        self.wake(node)
        return node

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
                name = effect.name
                self.later(
                    lambda: self.give(
                        node,
                        lambda m: m.got_blob(name, self.blobs.get(name), self.now_ms),
                    )
                )
            case fx.WakeAt():
                at = max(effect.at_ms, self.now_ms + 1)
                self.at(at, lambda: self.give(node, lambda m: m.tick(self.now_ms)))
            case fx.Tell():
                node.told.append(effect.event)
            case fx.Erase():
                node.disk = b""
            case _:
                pass

    def append(self, data: bytes) -> None:
        """Order an entry if it is legal and new; everybody alive reads it."""
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
        self.head = fold_head(self.head, data, self.now_ms)
        for node in list(self.nodes.values()):
            self.later(lambda node=node: self.wake(node))

    def wake(self, node: Node) -> None:
        """Give a node the records that it has not read."""
        while node.member is not None and node.disk:
            count = node.member.room.count
            if count >= len(self.records):
                return
            record = self.records[count]
            if not self.give(node, lambda m, r=record: m.got_record(r, self.now_ms)):
                return

    def _post(self, node: Node, post: fx.Post) -> None:
        self.wire.append(post.message)
        assert self.state is not None
        seats = {kid_of(m.mvk): m.slot for m in self.state.roster.values()}
        others = [kid for kid in seats if kid != node.kid]
        receivers = others if post.to is None else [post.to]
        for kid in receivers:
            message = _for_slot(post.message, seats.get(kid))
            if message is not None:
                self._carry(node.kid, kid, message)

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
            if node.member is not None and node.disk and node.kid == receiver:
                self.give(node, lambda m: m.got_message(message, self.now_ms))
                return

    def give(self, node: Node, step: Callable[[Member], list[fx.Effect]]) -> bool:
        """Let a node take an input; a refused one changes nothing."""
        if node.member is None or not node.disk:
            return False
        try:
            node.do(step)
        except IncameraError as error:
            self.suspects.append(error)
        except Crash:
            self.at(self.now_ms + 50, node.restart)
            return False
        return True

    # ------------------------------------------------------------------------ time

    def at(self, when_ms: int, job: Callable[[], None]) -> None:
        self._count += 1
        heapq.heappush(self._agenda, (when_ms, self._count, job))

    def later(self, job: Callable[[], None]) -> None:
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
            assert self._agenda and self._agenda[0][0] <= end, "it never came to pass"
            self.now_ms, _, job = heapq.heappop(self._agenda)
            job()

    # ------------------------------------------------------------------------ views

    def one_room(self, *names: str) -> bool:
        """True when these, and only these, are in one roster with one key, sending."""
        nodes = [self.nodes[name] for name in names]
        if self.state is None or any(node.member is None for node in nodes):
            return False
        inside = {member.id for member in self.state.roster.values()}
        if inside != {node.id for node in nodes}:
            return False
        rooms = [node.member.room for node in nodes if node.member is not None]
        return (
            all(
                room.count == len(self.records)
                and room.keyring.newest is not None
                and bytes(room.keyring.newest.key_id) == self.state.last
                and room.keyring.sending == room.keyring.newest.key_id
                for room in rooms
            )
            and len({node.key() for node in nodes}) == 1
        )

    def all_checked(self, *names: str) -> bool:
        """True when each of these has checked each other one."""
        for name in names:
            node = self.nodes[name]
            assert node.member is not None
            others = {self.nodes[other].id for other in names if other != name}
            people = node.member.room.people
            if any(isinstance(people.find(o).result, (type(None),)) for o in others):
                return False
        return True


def _for_slot(message: bytes, slot: int | None) -> bytes | None:
    """Do as the relay does: from a batch of wraps each gets its own."""
    try:
        parse_message(message)
    except PeerError:
        pass
    else:
        if not _is_batch(message):
            return message
    wraps = split_batch(parse_wrap_batch(message))
    return encode_unsigned(wraps[slot]) if slot in wraps else None


def _is_batch(message: bytes) -> bool:
    try:
        parse_wrap_batch(message)
    except PeerError:
        return False
    return True


def _seed(byte: int) -> Secret:
    return Secret(bytearray([byte]) * 32)


@pytest.fixture
def world() -> World:
    """A world with a calm relay."""
    return World(1, Weather())


@pytest.fixture
def new_world() -> Callable[[int, Weather], World]:
    """Make a world of one's own."""
    return World


@pytest.fixture
def meeting(world: World) -> World:
    """A meeting of leader, bob and carol, all inside and checked."""
    gather(world, "bob", "carol")
    return world


@pytest.fixture(name="gather")
def _gather() -> Callable[..., None]:
    """Let people meet in a world."""
    return gather


@pytest.fixture
def weather() -> type[Weather]:
    """Describe what the relay does."""
    return Weather


def gather(world: World, *names: str) -> None:
    leader = world.founder()
    world.until(lambda: world.one_room("leader"))
    for name in names:
        node = world.asker(name)
        world.until(lambda node=node: node.id in asked(leader))
        leader.do(lambda m, node=node: m.admit(node.id, world.now_ms))
    world.until(lambda: world.one_room("leader", *names))
    world.until(lambda: world.all_checked("leader", *names))


def asked(leader: Node) -> set[EntryId]:
    return {e.request for e in leader.told if isinstance(e, fx.Asked)}

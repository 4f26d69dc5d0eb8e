# SPDX-License-Identifier: Apache-2.0
"""One member's process: the real machine, its disk, and where it may die."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Protocol, TypeAlias

from tests.sim.people import TOOLS

from incamera.protocol import effects as fx
from incamera.protocol.ids import EntryId, KeyId, Kid
from incamera.protocol.keyring import EpochKey
from incamera.protocol.member import Member
from incamera.protocol.proof import Record
from incamera.protocol.room import Room
from incamera.protocol.schedule import commitment
from incamera.protocol.seat import Seat
from incamera.protocol.secret import Secret
from incamera.protocol.signing import kid_of

Step: TypeAlias = Callable[[Member], list[fx.Effect]]
Birth: TypeAlias = Callable[[], tuple[Member, list[fx.Effect]]]


class Crash(BaseException):
    """The process dies here."""


class Around(Protocol):
    """What a node needs of the world."""

    now_ms: int
    records: list[Record]

    def run(self, node: "Node", effect: fx.Effect) -> None:
        """Carry out an effect."""


@dataclass
class Node:
    """A process that saves before it sends; it dies at the numbered point."""

    world: Around
    name: str
    birth: Birth
    member: Member | None = None
    disk: bytes = b""
    over: bool = False
    points: int = 0
    dies_at: int | None = None
    told: list[fx.Event] = field(default_factory=list)
    done: list[fx.Effect] = field(default_factory=list)
    alarms: set[int] = field(default_factory=set)
    generations: list[int] = field(default_factory=list)
    hoard: dict[bytes, Secret] = field(default_factory=dict)
    """Its KEM keys, kept against the rules: by public key."""
    keys: dict[KeyId, EpochKey] = field(default_factory=dict)
    """Its meeting keys, kept against the rules."""
    _seat: Seat | None = None

    @property
    def room(self) -> Room:
        assert self.member is not None
        return self.member.room

    @property
    def id(self) -> EntryId:
        """Its publish or request, which it keeps through its restarts."""
        return self.seat.entry

    @property
    def kid(self) -> Kid:
        return kid_of(self.seat.signer.public)

    @property
    def seat(self) -> Seat:
        assert self._seat is not None
        return self._seat

    @property
    def alive(self) -> bool:
        """True while the process runs and its meeting is not over."""
        return self.member is not None and not self.over

    def _point(self) -> None:
        self.points += 1
        if self.dies_at == self.points:
            self.dies_at = None
            self.member = None
            raise Crash

    def do(self, step: Step) -> None:
        """Save, then send; a crash may fall before the save or between any effects."""
        assert self.member is not None
        effects = step(self.member)
        self._point()
        self.disk = bytes(self.member.save())
        self._hoard(self.member)
        self._send(effects)

    def _hoard(self, member: Member) -> None:
        """Keep what an honest member erases: somebody may."""
        for pair in (member.room.seat.kems.current, member.room.seat.kems.spare):
            if pair.public not in self.hoard:
                self.hoard[pair.public] = pair.seed.copy()
        for key in member.room.keyring.live():
            if key.key_id not in self.keys:
                self.keys[key.key_id] = replace(key, key=key.key.copy())

    def _send(self, effects: Sequence[fx.Effect]) -> None:
        for effect in effects:
            self._point()
            self.done.append(effect)
            self.world.run(self, effect)

    def start(self) -> None:
        """Begin, or come back from what was saved."""
        if not self.disk:
            self.member, effects = self.birth()
            self._seat = self.room.seat
            self.do(lambda _: effects)
            return
        self.member = Member.restore(bytearray(self.disk), TOOLS)
        self._seat = self.room.seat
        for record in self.world.records[: self.room.replay_until]:
            self.member.replay(record)
        self.do(lambda member: member.resume(self.world.now_ms))

    def erase(self) -> None:
        """The meeting is over for us."""
        self.disk, self.over = b"", True

    def start_stream(self) -> None:
        """Take a stream generation; it counts as used once it is saved."""
        taken: list[int] = []

        def step(member: Member) -> list[fx.Effect]:
            taken.append(member.next_generation())
            return []

        self.do(step)
        self.generations += taken

    def key(self) -> bytes:
        """Return the commitment to the newest key: equal keys, equal commitments."""
        newest = self.room.keyring.newest
        assert newest is not None
        return commitment(newest.key)

    def heard(self, kind: type[fx.Event]) -> list[fx.Event]:
        return [event for event in self.told if isinstance(event, kind)]

# SPDX-License-Identifier: Apache-2.0
"""Somebody who records everything and tries every secret on all of it.

A spy has the whole wire, the whole ledger and every frame, besides the secrets that it
is given; it knows the protocol and all that is public.  Nothing here asks the honest
machine: what a spy opens, it opened itself.
"""

from dataclasses import dataclass, field

from tests.sim.film import PICTURE, show
from tests.sim.node import Node
from tests.sim.watch import batch_of, read_box, states
from tests.sim.world import World

from incamera.errors import PeerError
from incamera.protocol.bodies import Epoch, EpochKind
from incamera.protocol.box import GroupBox
from incamera.protocol.entry import parse_entry
from incamera.protocol.ids import EntryId, KeyId, VerifyKey
from incamera.protocol.kem import kem_key_hash, open_sealed
from incamera.protocol.keyring import EpochKey
from incamera.protocol.message import Message, parse_message
from incamera.protocol.message_bodies import KekMessage, WrapBatch
from incamera.protocol.schedule import EpochContext, committed_key, ratchet_seed
from incamera.protocol.secret import Secret
from incamera.protocol.wraps import MemberKek, Pair, Wrap, WrapContext, kek_info


@dataclass
class Spy:
    """What it holds: KEM seeds by public key, pairwise keys, meeting keys."""

    world: World
    seeds: dict[bytes, Secret] = field(default_factory=dict)
    keys: dict[KeyId, EpochKey] = field(default_factory=dict)
    keks: list[tuple[Pair, Secret]] = field(default_factory=list)

    def work(self) -> "Spy":
        """Derive all that can be derived."""
        known = -1
        while known < len(self.keys):
            known = len(self.keys)
            self._try_keks()
            for sent in self.world.wire:
                batch = batch_of(sent.data)
                if batch is not None:
                    self._try_batch(batch)
            self._try_steps()
        return self

    def _try_keks(self) -> None:
        self.keks.clear()
        leader, mvks = self.world.nodes["leader"].seat.signer.public, _mvks(self.world)
        for message in _messages(self.world):
            body = message.body
            if isinstance(body, KekMessage):
                pair = Pair(
                    meeting=message.header.meeting,
                    leader=leader,
                    member=mvks[body.receiver],
                    kek_id=body.kek_id,
                    generation=0,
                )
                self._try_kek(body, pair, message.header.term)

    def _try_kek(self, body: KekMessage, pair: Pair, term: int) -> None:
        for public, seed in self.seeds.items():
            info = kek_info(
                pair, prev_epoch=body.prev_epoch, term=term, member_kem_key=public
            )
            assert len(kem_key_hash(public)) == len(body.kem_key_hash)
            try:
                self.keks.append((pair, open_sealed(seed, body.sealed, info)))
            except PeerError:
                continue

    def _try_batch(self, batch: WrapBatch) -> None:
        context = contexts(self.world)[batch.key_id]
        for wrap in batch.wraps:
            for pair, kek in self.keks:
                place = WrapContext(context[0].prev_epoch, batch.key_id, wrap.slot)
                self._try_wrap(wrap, pair, kek, place)

    def _try_wrap(
        self, wrap: Wrap, pair: Pair, kek: Secret, place: WrapContext
    ) -> None:
        said = Pair(
            pair.meeting, pair.leader, pair.member, pair.kek_id, wrap.generation
        )
        try:
            self.learn(place.key_id, MemberKek(said, kek.copy()).open(wrap, place))
        except PeerError:
            return

    def _try_steps(self) -> None:
        for key_id, (context, _, kind) in contexts(self.world).items():
            previous = self.keys.get(KeyId(context.prev_epoch))
            if previous is not None and kind is EpochKind.RATCHET:
                self.learn(key_id, ratchet_seed(previous.key, context))

    def learn(self, key_id: KeyId, seed: Secret) -> None:
        """Keep the key of a seed, if it is the committed one."""
        context, commitment, _ = contexts(self.world)[key_id]
        key = committed_key(seed, context, commitment)
        self.keys.setdefault(key_id, EpochKey(key_id, context, key, 0))

    # ---------------------------------------------------------------- what it reads

    def epochs(self) -> set[int]:
        """Return the numbers of the epochs whose keys it has."""
        return {key.epoch for key in self.keys.values()}

    def words(self) -> set[int]:
        """Return the epochs of which it reads some message, with any key it has."""
        read = set()
        for sent in self.world.wire:
            box = None if batch_of(sent.data) else parse_message(sent.data)
            for key in self.keys.values():
                if isinstance(box, GroupBox) and _reads(box, key):
                    read.add(contexts(self.world)[box.key_id][0].epoch)
        return read

    def pictures(self) -> set[int]:
        """Return the epochs of which it sees some picture, with any key it has."""
        seen = set()
        for film in self.world.films:
            for key in self.keys.values():
                try:
                    if show(film, key.key) == PICTURE:
                        seen.add(film.epoch)
                except PeerError:
                    continue
        return seen


def spy_of(node: Node, world: World) -> Spy:
    """Return a member that kept every key it ever held."""
    return Spy(world, dict(node.hoard), dict(node.keys)).work()


def contexts(world: World) -> dict[KeyId, tuple[EpochContext, bytes, EpochKind]]:
    """Return what the ledger says of every key."""
    found = {}
    for record in world.records:
        entry = parse_entry(record.entry)
        body = entry.body
        if isinstance(body, Epoch):
            context = EpochContext(
                meeting=world.nodes["leader"].seat.meeting,
                prev_epoch=body.prev_epoch,
                roster_root=body.roster_root,
                term=body.term,
                epoch=body.number,
            )
            found[KeyId(entry.id)] = context, body.commitment, body.kind
    return found


def _mvks(world: World) -> dict[EntryId, VerifyKey]:
    rosters = [state.roster.values() for state in states(world).values()]
    return {member.id: member.mvk for roster in rosters for member in roster}


def _messages(world: World) -> list[Message]:
    clear = [s.data for s in world.wire if batch_of(s.data) is None]
    parsed = [parse_message(data) for data in clear]
    return [message for message in parsed if isinstance(message, Message)]


def _reads(box: GroupBox, key: EpochKey) -> bool:
    try:
        read_box(box, key)
    except PeerError:
        return False
    return True

# SPDX-License-Identifier: Apache-2.0
"""How a member comes by the key of an epoch that landed (spec/keys.md, section 6).

Own epoch: the key is at hand.  Ratchet: everybody steps it from the last one.  Fresh,
or a ratchet that lets us in: it comes in a wrap, under a pairwise key that the leader
sealed to us once.  Whatever the way, the key counts only if it matches the commitment.
"""

from incamera.errors import Code, PeerError
from incamera.protocol.box import PROOF_BOX, seal_proof
from incamera.protocol.effects import Effect, StoreBlob, Suspect, Tell
from incamera.protocol.encoding import encode
from incamera.protocol.epoch_secret import Stepped, Wrapped
from incamera.protocol.ids import KeyId
from incamera.protocol.kem import open_sealed
from incamera.protocol.leader_moves import advance, hand_out
from incamera.protocol.message_bodies import (
    IdentityKeys,
    IdentityMessage,
    KekMessage,
    ProofKey,
    WrapAsk,
    WrapOne,
)
from incamera.protocol.room import MAX_EARLY_WRAPS, Room
from incamera.protocol.schedule import SALT_BYTES, committed_key
from incamera.protocol.secret import Secret
from incamera.protocol.signing import kid_of
from incamera.protocol.statement import encode_opening
from incamera.protocol.wraps import MemberKek, Pair, kek_info

NO_KEK = bytes(32)
"""In a wrap-ask: we share no pairwise key with the leader; seal us a new one."""
WRAP_RETRY_MS = 1_000
"""The leader answers one wrap-ask a second."""


def take_key(room: Room, key_id: KeyId, now_ms: int) -> list[Effect]:
    """Get the key of an epoch that has just landed, as far as it can be had now."""
    pending = room.leading.pending if room.leading else None
    if pending is not None and pending.key_id == key_id:
        effects = _hold(room, key_id, pending.key, now_ms)
        return effects + hand_out(room, pending, now_ms)
    previous = KeyId(room.wanted[key_id].context.prev_epoch)
    if room.wanted[key_id].ratchet and previous in room.keyring:
        effects = _step(room, previous, key_id, now_ms)
    else:
        effects = try_wrap(room, key_id, now_ms)
    # Our own epoch is missing only if a disk was lost: a fresh one follows.
    return effects + advance(room) if room.leads else effects


def _step(room: Room, previous: KeyId, key_id: KeyId, now_ms: int) -> list[Effect]:
    context = room.wanted[key_id].context
    seed = Stepped(room.keyring.find(previous).key)(context)
    return _confirm(room, key_id, seed, now_ms)


def got_kek(room: Room, body: KekMessage, now_ms: int) -> list[Effect]:
    """Take a pairwise key from the leader, who signed it; then try what waits for it.

    Raises PeerError: WRONG_RECEIVER, MISSING_KEY, BAD_BOX.
    """
    if body.receiver != room.seat.entry:
        raise PeerError(Code.WRONG_RECEIVER, "pairwise key for another member")
    kem = room.seat.kems.find(body.kem_key_hash)
    pair = Pair(
        meeting=room.seat.meeting,
        leader=room.leader.mvk,
        member=room.seat.signer.public,
        kek_id=body.kek_id,
        generation=room.seat.kems.generation,
    )
    info = kek_info(
        pair,
        prev_epoch=body.prev_epoch,
        term=room.meeting_state.term,
        member_kem_key=kem.public,
    )
    kek = open_sealed(kem.seed, body.sealed, info)
    if room.kek is not None:
        room.kek.wipe()
    room.kek, room.kek_confirmed = MemberKek(pair, kek), False
    effects: list[Effect] = []
    for key_id in list(room.wanted):
        effects += try_wrap(room, key_id, now_ms)
    return effects


def got_wrap(room: Room, wrap: WrapOne, now_ms: int) -> list[Effect]:
    """Keep a wrap and use it if its epoch has landed; nothing else is done with it."""
    if wrap.key_id in room.keyring:
        return []
    room.early[wrap.key_id] = wrap.wrap
    while len(room.early) > MAX_EARLY_WRAPS:
        del room.early[next(iter(room.early))]
    return try_wrap(room, wrap.key_id, now_ms)


def try_wrap(room: Room, key_id: KeyId, now_ms: int) -> list[Effect]:
    """Open the wrap of a landed epoch, if entry, wrap and pairwise key are there."""
    wanted, wrap, me = room.wanted.get(key_id), room.early.get(key_id), room.me
    if wanted is None or wrap is None or room.kek is None or me is None:
        return []
    try:
        seed = Wrapped(room.kek, wrap, key_id, me.slot)(wanted.context)
    except PeerError as error:
        del room.early[key_id]
        wanted.failed = True
        return [Tell(Suspect(error.code, "a wrapped key"))]
    effects = _confirm(room, key_id, seed, now_ms)
    if key_id in room.keyring and not room.kek_confirmed:
        room.kek_confirmed = True
        room.seat.kems = room.seat.kems.renewed(room.tools.sealer)
        effects.append(room.clear(room.seat.kems.body(), room.leader))
    return effects


def ask_for_wrap(room: Room, key_id: KeyId, now_ms: int) -> list[Effect]:
    """Return the question for a wrap that has not come.

    Our newest KEM keys come first: should the message that told them be lost, the
    leader would seal a new pairwise key to one that is erased, for ever.
    """
    wanted = room.wanted[key_id]
    wanted.ask_at_ms = now_ms + WRAP_RETRY_MS
    kek = None if wanted.failed else room.kek
    wanted.failed = False
    body = WrapAsk(
        key_id=key_id,
        kek_id=kek.pair.kek_id if kek else NO_KEK,
        step=kek.step if kek else 0,
    )
    effects: list[Effect] = []
    if room.seat.kems.generation:
        effects.append(room.clear(room.seat.kems.body(), room.leader))
    return [*effects, room.clear(body, room.leader)]


def _confirm(room: Room, key_id: KeyId, seed: Secret, now_ms: int) -> list[Effect]:
    """Hold the key that follows from `seed` if it is the committed one."""
    wanted = room.wanted[key_id]
    try:
        key = committed_key(seed, wanted.context, wanted.commitment)
    except PeerError as error:
        # The leader committed to another key than it handed out: nobody uses it.
        return [Tell(Suspect(error.code, "the leader's commitment to the key"))]
    finally:
        seed.wipe()
    return _hold(room, key_id, key, now_ms)


def _hold(room: Room, key_id: KeyId, key: Secret, now_ms: int) -> list[Effect]:
    effects = room.install(key_id, key, now_ms)
    if not room.proof_given:
        room.proof_given = True
        effects += give_proof(room)
    # An epoch that landed while this key was under way may be one step further.
    for later, wanted in list(room.wanted.items()):
        if wanted.ratchet and KeyId(wanted.context.prev_epoch) == key_id:
            effects += _step(room, key_id, later, now_ms)
    return effects


def give_proof(room: Room) -> list[Effect]:
    """Store our identity message under our own key, and give that key to the group."""
    seat, me = room.seat, room.me
    assert me is not None
    body = IdentityMessage(opening=encode_opening(seat.opening))
    box = seal_proof(
        seat.proof_key,
        room.voice.sign(body, room.meeting_state.term).data,
        meeting=seat.meeting,
        owner=seat.signer.public,
        salt=bytes(room.tools.entropy.draw(SALT_BYTES)),
    )
    name = kid_of(seat.signer.public).hex()
    own = ProofKey(slot=me.slot, key=bytes(seat.proof_key.buffer))
    give = room.group(IdentityKeys(keys=(own,)))
    return [StoreBlob(name, encode(PROOF_BOX.encode(box))), *give]

# SPDX-License-Identifier: Apache-2.0
"""How a member's knowledge is saved and found again (local, not wire).

The public state is not saved: it is read again from the ledger and verified.  Saved is
what only this member knows, and what it must not forget: keys, the steps of pairwise
keys, removals seen, entries signed, counters and stream generations.
"""

from incamera.errors import Code, UsageError
from incamera.protocol.encoding import Value
from incamera.protocol.entry import parse_entry
from incamera.protocol.ids import EntryId, KeyId, MeetingId, VerifyKey
from incamera.protocol.keyring import Keyring
from incamera.protocol.leading import Current, Leading, Pending
from incamera.protocol.message_bodies import MemberKeys
from incamera.protocol.people import People
from incamera.protocol.room import Phase, Pushed, Room, Wanted
from incamera.protocol.schedule import EpochContext
from incamera.protocol.schema import MapOf
from incamera.protocol.seat import Seat, Tools
from incamera.protocol.snapshot import SnapshotReader, SnapshotWriter
from incamera.protocol.voice import Voice
from incamera.protocol.wraps import LeaderKek, MemberKek, Pair

FORMAT = 1
_MEMBER_KEYS = MapOf(MemberKeys)


def save_room(room: Room) -> bytearray:
    """Return the snapshot of a room."""
    writer = SnapshotWriter()
    value: Value = [
        FORMAT,
        room.seat.save(writer),
        room.keyring.save(writer),
        room.people.save(writer),
        room.voice.guard.save(),
        [room.count, room.phase.value, room.voice.boot, room.generation],
        None if room.kek is None else _save_kek(room.kek, writer),
        None if room.leading is None else _save_leading(room.leading, writer),
        [
            list[Value](sorted(room.removed)),
            room.proof_given,
            room.kek_confirmed,
            room.request_box,
        ],
        [_save_push(push) for push in room.pushed.values()],
        [_save_wanted(key_id, wanted) for key_id, wanted in room.wanted.items()],
    ]
    return writer.finish(value)


def restore_room(snapshot: bytearray, tools: Tools) -> Room:
    """Return the room that was saved, one boot later.

    Raises UsageError(STORAGE) for a snapshot of another format.
    """
    reader = SnapshotReader(snapshot)
    match reader.value:
        case [
            1,
            seat,
            ring,
            people,
            guard,
            numbers,
            kek,
            leading,
            seen,
            pushed,
            list() as wanted,
        ]:
            room = _open(Seat.load(seat, reader), tools, numbers)
            room.keyring = Keyring.load(ring, reader)
            room.proof_keys = People.load(people, reader)
            room.voice.guard = type(room.voice.guard).load(guard)
            room.kek = None if kek is None else _load_member_kek(kek, reader)
            room.leading = None if leading is None else _load_leading(leading, reader)
            _load_seen(room, seen, pushed)
            room.wanted = dict(map(_wanted, wanted))
            reader.wipe()
            return room
    raise UsageError(Code.STORAGE, "saved state of another version")


def _open(seat: Seat, tools: Tools, numbers: Value) -> Room:
    match numbers:
        case [int() as count, str() as phase, int() as boot, int() as generation]:
            voice = Voice(
                seat.signer,
                meeting=seat.meeting,
                boot=boot + 1,
                entropy=tools.entropy,
            )
            people = People(seat.meeting)
            room = Room(seat=seat, tools=tools, voice=voice, people=people)
            room.replay_until = count
            room.phase, room.generation = Phase(phase), generation
            return room
    raise UsageError(Code.STORAGE, "saved state is damaged")


def _load_seen(room: Room, seen: Value, pushed: Value) -> None:
    match seen, pushed:
        case [
            list() as removed,
            bool() as given,
            bool() as confirmed,
            box,
        ], list() as entries:
            room.removed = {EntryId(e) for e in removed if isinstance(e, bytes)}
            room.proof_given, room.kek_confirmed = given, confirmed
            room.request_box = box if isinstance(box, bytes) else None
            room.request_at_ms = 0 if room.phase is Phase.ASKING else None
            for push in map(_push, entries):
                room.pushed[parse_entry(push.entry).id] = push
        case _:
            raise UsageError(Code.STORAGE, "saved state is damaged")


def _save_push(push: Pushed) -> Value:
    removed = list[Value](sorted(push.removed))
    return [push.entry, push.append_at_ms, push.prev, removed]


def _push(value: Value) -> Pushed:
    match value:
        case [bytes() as entry, int() as at, bytes() as prev, list() as removed]:
            gone = frozenset(EntryId(who) for who in removed if isinstance(who, bytes))
            return Pushed(entry, at, EntryId(prev), gone)
    raise UsageError(Code.STORAGE, "saved state is damaged")


def _save_kek(kek: MemberKek | LeaderKek, writer: SnapshotWriter) -> Value:
    pair = kek.pair
    return [
        [pair.meeting, pair.leader, pair.member, pair.kek_id, pair.generation],
        kek.step,
        writer.put(kek.key),
    ]


def _pair(value: Value) -> Pair:
    match value:
        case [
            bytes() as meeting,
            bytes() as leader,
            bytes() as member,
            bytes() as kek_id,
            int() as generation,
        ]:
            return Pair(
                meeting=MeetingId(meeting),
                leader=VerifyKey(leader),
                member=VerifyKey(member),
                kek_id=kek_id,
                generation=generation,
            )
    raise UsageError(Code.STORAGE, "saved state is damaged")


def _load_member_kek(value: Value, reader: SnapshotReader) -> MemberKek:
    match value:
        case [pair, int() as step, secret]:
            return MemberKek(_pair(pair), reader.take(secret), step)
    raise UsageError(Code.STORAGE, "saved state is damaged")


def _load_leader_kek(value: Value, reader: SnapshotReader) -> LeaderKek:
    match value:
        case [pair, int() as step, secret]:
            return LeaderKek(_pair(pair), reader.take(secret), step)
    raise UsageError(Code.STORAGE, "saved state is damaged")


def _save_context(context: EpochContext) -> Value:
    return [
        context.meeting,
        context.prev_epoch,
        context.roster_root,
        context.term,
        context.epoch,
    ]


def _context(value: Value) -> EpochContext:
    match value:
        case [
            bytes() as meeting,
            bytes() as prev,
            bytes() as root,
            int() as term,
            int() as epoch,
        ]:
            return EpochContext(
                meeting=MeetingId(meeting),
                prev_epoch=EntryId(prev),
                roster_root=root,
                term=term,
                epoch=epoch,
            )
    raise UsageError(Code.STORAGE, "saved state is damaged")


def _save_wanted(key_id: KeyId, wanted: Wanted) -> Value:
    context = _save_context(wanted.context)
    return [key_id, context, wanted.commitment, wanted.ratchet]


def _wanted(value: Value) -> tuple[KeyId, Wanted]:
    match value:
        case [bytes() as key_id, context, bytes() as committed, bool() as ratchet]:
            return KeyId(key_id), Wanted(_context(context), committed, 0, ratchet)
    raise UsageError(Code.STORAGE, "saved state is damaged")


def _save_leading(leading: Leading, writer: SnapshotWriter) -> Value:
    pending, current = leading.pending, leading.current
    return [
        [
            list[Value](leading.admit),
            list[Value](sorted(leading.remove)),
            leading.ratchets,
        ],
        [[who, _MEMBER_KEYS.encode(keys)] for who, keys in leading.kems.items()],
        [[who, _save_kek(kek, writer)] for who, kek in leading.keks.items()],
        None if pending is None else _save_pending(pending, writer),
        None if current is None else _save_current(current, writer),
        writer.put(leading.link_secret),
    ]


def _save_pending(pending: Pending, writer: SnapshotWriter) -> Value:
    return [
        pending.entry,
        pending.key_id,
        _save_context(pending.context),
        [writer.put(pending.seed), writer.put(pending.key), pending.fresh],
    ]


def _save_current(current: Current, writer: SnapshotWriter) -> Value:
    return [
        current.key_id,
        _save_context(current.context),
        writer.put(current.seed),
    ]


def _load_leading(value: Value, reader: SnapshotReader) -> Leading:
    match value:
        case [
            [list() as admit, list() as remove, int() as ratchets],
            list() as kems,
            list() as keks,
            pending,
            current,
            link_secret,
        ]:
            leading = Leading(ratchets=ratchets)
            leading.admit = [EntryId(who) for who in admit if isinstance(who, bytes)]
            leading.remove = {EntryId(w) for w in remove if isinstance(w, bytes)}
            for item in kems:
                match item:
                    case [bytes() as who, keys]:
                        leading.kems[EntryId(who)] = _MEMBER_KEYS.decode(keys)
            for item in keks:
                match item:
                    case [bytes() as who, kek]:
                        leading.keks[EntryId(who)] = _load_leader_kek(kek, reader)
            leading.pending = _load_pending(pending, reader)
            leading.current = _load_current(current, reader)
            if link_secret is not None:
                leading.link_secret = reader.take(link_secret)
            return leading
    raise UsageError(Code.STORAGE, "saved state is damaged")


def _load_pending(value: Value, reader: SnapshotReader) -> Pending | None:
    match value:
        case [
            bytes() as entry,
            bytes() as key_id,
            context,
            [seed, key, bool() as fresh],
        ]:
            return Pending(
                entry=entry,
                key_id=KeyId(key_id),
                context=_context(context),
                seed=reader.take(seed),
                key=reader.take(key),
                fresh=fresh,
            )
    return None


def _load_current(value: Value, reader: SnapshotReader) -> Current | None:
    match value:
        case [bytes() as key_id, context, seed]:
            return Current(KeyId(key_id), _context(context), reader.take(seed))
    return None

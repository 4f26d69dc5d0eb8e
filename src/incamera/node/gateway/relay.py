# SPDX-License-Identifier: Apache-2.0
"""How do messages get from one member of a meeting to another (spec/relay.md, 4)?

A `Room` follows its meeting's topic on the ledger, so who may post to whom is always
what the newest entry says: a member that an epoch drops is cut off when it lands.  The
room reads no message; it only takes batches of wraps apart, one wrap for each member.
"""

import asyncio
import contextlib
import time
from dataclasses import dataclass, field
from typing import Final

from incamera.errors import Code, LedgerError, PeerError
from incamera.ledger.base import Appended, Ledger
from incamera.node.gateway.access import Access, Role
from incamera.node.gateway.blobs import BlobStore
from incamera.node.gateway.closing import (
    CLOSE_FAILED,
    CLOSE_MALFORMED,
    CLOSE_NORMAL,
    CLOSE_NOT_ALLOWED,
    CLOSE_OVER,
    CLOSE_REPLACED,
    Socket,
)
from incamera.node.gateway.limits import Buckets, Limits
from incamera.node.gateway.queues import Parcel, Queue, Space, find_batch, pack
from incamera.node.relay_frames import (
    Answer,
    Delivered,
    Delivery,
    Post,
    Posted,
    Ready,
    Refused,
    encode_frame,
    parse_frame,
    verify_gate,
)
from incamera.protocol.entry import parse_entry
from incamera.protocol.ids import Kid, MeetingId, TopicId, VerifyKey
from incamera.protocol.meeting_state import MeetingState
from incamera.protocol.message import encode_unsigned, split_batch
from incamera.protocol.proof import Record
from incamera.protocol.signing import kid_of
from incamera.protocol.topic import RULES, Context, TopicState, apply

_RETRY_S: Final = 0.1


@dataclass(slots=True)
class Shared:
    """What all rooms of a gateway have in common."""

    ledger: Ledger
    limits: Limits
    pin: bytes
    blobs: BlobStore
    space: Space = field(default_factory=Space)
    posts: Buckets = field(init=False)
    requester_posts: Buckets = field(init=False)

    def __post_init__(self) -> None:
        self.posts = Buckets(self.limits.posts)
        self.requester_posts = Buckets(self.limits.requester_posts)


def monotonic_ms() -> int:
    """Milliseconds of a clock that never goes back."""
    return int(time.monotonic() * 1000)


class Room:
    """The relay of one meeting."""

    def __init__(self, meeting: MeetingId, shared: Shared) -> None:
        self.meeting = meeting
        self._shared = shared
        self._topic = TopicId(meeting)
        self._count = 0
        self._access: Access | None = None
        self._queues: dict[VerifyKey, Queue] = {}
        self._sessions: dict[VerifyKey, Session] = {}
        self._follower: asyncio.Task[None] | None = None
        self.has_failed = False
        self.was_idle = False

    @property
    def access(self) -> Access:
        """Who may do what; only after `open`."""
        assert self._access is not None
        return self._access

    @property
    def is_idle(self) -> bool:
        """True if nobody is connected and nothing waits."""
        return not self._sessions and not any(map(len, self._queues.values()))

    async def open(self) -> None:
        """Read the topic up to now, then follow it.

        Raises PeerError(UNKNOWN_TOPIC) unless it is a meeting's topic on our ledger.
        """
        state: TopicState | None = None
        while records := await self._shared.ledger.read(self._topic, start=self._count):
            for record in records:
                state = self._apply(state, record)
        if not isinstance(state, MeetingState):
            raise PeerError(Code.UNKNOWN_TOPIC, "no such meeting on this ledger")
        self._access = Access(state)
        await self._drop_blobs()
        self._follower = asyncio.create_task(self._follow())

    async def close(self) -> None:
        """Close every connection and forget every message."""
        if self._follower is not None:
            self._follower.cancel()
            await asyncio.gather(self._follower, return_exceptions=True)
        for session in list(self._sessions.values()):
            session.end(CLOSE_OVER)
        self._clear()

    def admit(self, answer: Answer, challenge: bytes) -> Role:
        """Return the role of a key whose signature was verified.

        Raises PeerError: ENDED, NO_GATE for a stranger, NOT_ALLOWED for a dropped one.
        """
        access = self.access
        if access.is_over:
            raise PeerError(Code.ENDED, "the meeting is over")
        if access.role(answer.mvk) is None:
            verify_gate(
                answer,
                challenge,
                pin=self._shared.pin,
                meeting=self.meeting,
                gate=access.state.gate,
            )
            access.vouch(answer.mvk)
        role = access.role(answer.mvk)
        assert role is not None
        return role

    async def serve(self, mvk: VerifyKey, socket: Socket) -> None:
        """Relay for an admitted key until its socket closes."""
        session = Session(self, mvk, socket)
        older = self._sessions.get(mvk)
        self._sessions[mvk] = session
        if older is not None:
            older.end(CLOSE_REPLACED)
        try:
            await session.run()
        finally:
            if self._sessions.get(mvk) is session:
                del self._sessions[mvk]
                self.access.forget(mvk)

    def queue(self, mvk: VerifyKey) -> Queue:
        """Return the queue of a receiver."""
        if mvk not in self._queues:
            self._queues[mvk] = Queue(self._shared.limits, self._shared.space)
        return self._queues[mvk]

    def post(self, sender: VerifyKey, post: Post) -> Posted | Refused:
        """Queue a post; everything that can go wrong is an answer to the sender."""
        try:
            full = self._queue_all(sender, post)
        except (PeerError, LedgerError) as error:
            return Refused(number=post.number, code=error.code.value)
        return Posted(number=post.number, full=tuple(full) or None)

    def expire(self) -> None:
        """Forget what is too old; called once in a while."""
        now = monotonic_ms()
        for mvk, queue in list(self._queues.items()):
            queue.expire(now)
            if not len(queue) and mvk not in self._sessions:
                del self._queues[mvk]

    def _queue_all(self, sender: VerifyKey, post: Post) -> list[Kid]:
        role = self.access.role(sender)
        receivers = self.access.receivers(sender, post.to)
        self._take_token(sender, role)
        batch = self._split(sender, post)
        if batch is not None:
            return self._put(batch)
        parcel = pack(sender, post.message, requester=role is Role.REQUESTER)
        full = self._put([(mvk, parcel) for mvk in receivers])
        if post.to is not None and full:
            raise LedgerError(Code.QUEUE_FULL, "the receiver's queue is full")
        return full

    def _take_token(self, sender: VerifyKey, role: Role | None) -> None:
        shared = self._shared
        member = role is Role.MEMBER
        buckets = shared.posts if member else shared.requester_posts
        buckets.take((self.meeting, sender), time.monotonic())

    def _put(self, parcels: list[tuple[VerifyKey, Parcel]]) -> list[Kid]:
        full, now = [], monotonic_ms()
        for mvk, parcel in parcels:
            try:
                self.queue(mvk).put(parcel, now)
            except LedgerError:
                full.append(kid_of(mvk))
        return full

    def _split(
        self, sender: VerifyKey, post: Post
    ) -> list[tuple[VerifyKey, Parcel]] | None:
        """Return one parcel per wrap if the post is the leader's batch of wraps."""
        if post.to is not None or sender != self.access.leader:
            return None
        batch = find_batch(post.message)
        if batch is None:
            return None
        wraps = split_batch(batch).items()
        found = [(self.access.in_slot(slot), one) for slot, one in wraps]
        return [
            (mvk, pack(sender, encode_unsigned(one)))
            for mvk, one in found
            if mvk is not None
        ]

    async def _follow(self) -> None:
        try:
            while True:
                with contextlib.suppress(LedgerError):
                    await self._watch()
                await asyncio.sleep(_RETRY_S)
        finally:
            # A room that no longer follows does not know who was dropped: nobody stays.
            self.has_failed = True
            for session in list(self._sessions.values()):
                session.end(CLOSE_FAILED)

    async def _watch(self) -> None:
        # Ends with QUEUE_FULL when we fall behind; then it begins where we are.
        events = self._shared.ledger.watch(self._topic, start=self._count)
        async for event in events:
            if isinstance(event, Appended):
                await self._landed(event.record)

    async def _landed(self, record: Record) -> None:
        state = self._apply(self.access.state, record)
        assert isinstance(state, MeetingState)
        change = self.access.follow(state)
        if change is None:
            return
        # Cut off first, tidy up after: the disk may be slow.
        for session in list(self._sessions.values()):
            session.role_changed()
        for mvk in change.dropped:
            self.queue(mvk).clear()
            del self._queues[mvk]
        if self.access.is_over:
            self._clear()
        await self._drop_blobs()

    def _apply(self, state: TopicState | None, record: Record) -> TopicState:
        context = Context(
            ledger_id=self._shared.ledger.ledger_id,
            rules=RULES,
            index=self._count,
            time_ms=record.time_ms,
        )
        after = apply(state, parse_entry(record.entry), context)
        self._count += 1
        return after

    async def _drop_blobs(self) -> None:
        kids = () if self.access.is_over else self.access.members
        await self._shared.blobs.keep_only(self.meeting, kids)

    def _clear(self) -> None:
        for queue in self._queues.values():
            queue.clear()
        self._queues.clear()


class Session:
    """One connection of one key."""

    def __init__(self, room: Room, mvk: VerifyKey, socket: Socket) -> None:
        self._socket = socket
        self._room = room
        self._mvk = mvk
        self._told: Role | None = None
        self._over: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._code = CLOSE_NORMAL

    async def run(self) -> None:
        """Deliver and take posts until the socket closes or `end` is called."""
        work = [asyncio.create_task(self._pump()), asyncio.create_task(self._take())]
        await asyncio.wait([*work, self._over], return_when=asyncio.FIRST_COMPLETED)
        for task in work:
            task.cancel()
        results = await asyncio.gather(*work, return_exceptions=True)
        if any(isinstance(result, PeerError) for result in results):
            self.end(CLOSE_MALFORMED)
        await self._socket.close(self._code)

    def end(self, code: int) -> None:
        """Have the connection closed with `code`; never waits for the client."""
        if not self._over.done():
            self._code = code
            self._over.set_result(None)

    def role_changed(self) -> None:
        """Have the client told its new role, or closed if it has none any more."""
        room = self._room
        if room.access.role(self._mvk) is None:
            self.end(CLOSE_OVER if room.access.is_over else CLOSE_NOT_ALLOWED)
        else:
            room.queue(self._mvk).arrived.set()

    async def _take(self) -> None:
        while (data := await self._socket.receive()) is not None:
            match parse_frame(data):
                case Post() as post:
                    reply = self._room.post(self._mvk, post)
                    await self._socket.send(encode_frame(reply))
                case Delivered(number=number):
                    self._room.queue(self._mvk).delivered(number)
                case _:
                    raise PeerError(Code.SCHEMA, "not a client's frame")

    async def _pump(self) -> None:
        queue, sent = self._room.queue(self._mvk), 0
        while True:
            queue.arrived.clear()
            await self._tell_role()
            while (item := queue.after(sent, monotonic_ms())) is not None:
                sent, parcel = item.number, item.parcel
                frame = Delivery(number=sent, sender=parcel.kid, message=parcel.message)
                await self._socket.send(encode_frame(frame))
            await queue.arrived.wait()

    async def _tell_role(self) -> None:
        role = self._room.access.role(self._mvk)
        if role is not None and role is not self._told:
            self._told = role
            ready = Ready(role=int(role), kid=kid_of(self._mvk))
            await self._socket.send(encode_frame(ready))

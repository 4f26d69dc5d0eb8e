# SPDX-License-Identifier: Apache-2.0
"""How a session's keys and connections reach media (spec/media.md, sections 3 and 7).

The machine says which epochs exist and which one to send under; media seals and opens
frames.  Here each stream gets its base key of each epoch, a newcomer offers to everyone
present, and descriptions travel inside the members' signed messages.
"""

import asyncio
import logging
from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from incamera.errors import Code, IncameraError, MediaError, PeerError
from incamera.media.description import Description, Stream
from incamera.media.encoded import EncodedFrame
from incamera.media.mesh import Mesh, MeshPorts, Remote
from incamera.media.outgoing import FrameSource
from incamera.media.peer import FrameSink
from incamera.media.recorder import Recorder
from incamera.media.statistics import StreamStatistics
from incamera.node.session import Session
from incamera.node.stream_keys import SessionKeys
from incamera.protocol import effects as fx
from incamera.protocol.frames import StreamKind
from incamera.protocol.ids import EntryId
from incamera.protocol.member import Member
from incamera.protocol.message_bodies import Answer, Offer, Role
from incamera.protocol.message_bodies import Stream as StreamBody

CONNECT_S: Final = 8.0
"""A link that is not up by then is offered again."""
CONNECTION_ID_BYTES: Final = 16
_CODECS: Final = {
    StreamKind.AUDIO: 1,
    StreamKind.VIDEO: 2,
    StreamKind.SCREEN: 2,
    StreamKind.SCREEN_AUDIO: 1,
}
"""1 Opus, 2 VP8 (spec/media.md, section 3)."""

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class StudioSettings:
    """What a headless member sends and keeps.

    `record` is a folder: one WebM file per member.  `addresses`: ours to offer, None
    for all of this machine.
    """

    sources: tuple[FrameSource, ...]
    record: Path | None
    addresses: tuple[str, ...] | None = None


@dataclass(slots=True)
class _Call:
    """One connection under way: its id and whose certificate it was made with."""

    connection: bytes
    fingerprint: bytes
    timer: asyncio.TimerHandle | None = None


class Studio:
    """Media of one session; implements the session's `Media`."""

    def __init__(
        self,
        session: Session,
        settings: StudioSettings,
        on_media: Callable[[EntryId, str], None],
    ) -> None:
        """`on_media` hears the state of each member's connection."""
        self._session = session
        self._settings = settings
        self._on_media = on_media
        self._mesh: Mesh | None = None
        self._keys = SessionKeys(session.member)
        self._calls: dict[EntryId, _Call] = {}
        self._tasks: set[asyncio.Task[None]] = set()

    # ------------------------------------------------------------ what the machine asks

    def run(self, effect: fx.Effect) -> None:
        """Carry out one effect of the machine."""
        match effect:
            case fx.KeysInstalled(epoch=epoch):
                self._install(epoch)
            case fx.SendUnder(epoch=epoch):
                self._keys.switch(epoch)
            case fx.StopSending():
                self._keys.stop()
            case fx.KeysDropped(epoch=epoch):
                self._keys.drop(epoch)
            case fx.Cut(member=member):
                self._cut(member)
            case fx.Signal(member=member, body=body):
                self._spawn(self._signalled(member, body))
            case _:
                pass

    async def close(self) -> None:
        """End all streams and connections, and forget all keys."""
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        for call in self._calls.values():
            if call.timer is not None:
                call.timer.cancel()
        if self._mesh is not None:
            await self._mesh.close()
        self._keys.wipe()

    def statistics(self) -> tuple[StreamStatistics, ...]:
        """Return the counts of all streams."""
        return () if self._mesh is None else self._mesh.statistics()

    def _install(self, epoch: int) -> None:
        if self._mesh is None:
            self._open_mesh()
            self._spawn(self._offer_to_all())
            return
        self._keys.install(epoch)
        self._mesh.keys_changed()

    # ---------------------------------------------------------------------- connections

    def _open_mesh(self) -> None:
        """Take new stream numbers, saved before use, and start our sources."""
        generation = 0

        def take(machine: Member) -> list[fx.Effect]:
            nonlocal generation
            generation = machine.next_generation()
            return []

        self._session.do(take)
        kinds = [source.kind for source in self._settings.sources]
        self._keys.open_streams(kinds, generation)
        ports = MeshPorts(
            open_sink=self._open_sink,
            source_ended=self._source_ended,
            link_changed=self._link_changed,
            addresses=self._settings.addresses,
        )
        self._mesh = Mesh(self._keys, self._settings.sources, ports)
        self._mesh.start()

    async def _offer_to_all(self) -> None:
        """The newcomer offers to everybody present; later ones offer to us."""
        member = self._session.member
        me = member.room.seat.entry
        for other in member.room.inside():
            if other != me and other not in self._calls:
                await self._offer(other)

    async def _offer(self, other: EntryId) -> None:
        remote = self._remote(other)
        if remote is None or self._mesh is None:
            return
        description = await self._mesh.offer(remote)
        tools = self._session.member.room.tools
        connection = bytes(tools.entropy.draw(CONNECTION_ID_BYTES))
        self._remember(other, connection, description.fingerprint, again=True)
        body = Offer(
            sender=self._session.member.room.seat.entry,
            receiver=other,
            connection=connection,
            role=Role.OFFERER,
            fingerprint=description.fingerprint,
            sdp=description.sdp,
            streams=_bodies(description),
        )
        self._signal(other, body)

    def _remember(
        self, other: EntryId, connection: bytes, fingerprint: bytes, *, again: bool
    ) -> None:
        before = self._calls.get(other)
        if before is not None and before.timer is not None:
            before.timer.cancel()
        call = _Call(connection, fingerprint)
        if again:
            loop = asyncio.get_running_loop()
            call.timer = loop.call_later(CONNECT_S, self._offer_again, other)
        self._calls[other] = call

    def _offer_again(self, other: EntryId) -> None:
        mesh = self._mesh
        if mesh is None or self._remote(other) is None:
            return
        if other not in mesh.members or mesh.link(other).state != "connected":
            self._spawn(self._offer(other))

    async def _signalled(self, other: EntryId, body: Offer | Answer) -> None:
        remote = self._remote(other)
        if remote is None or self._mesh is None:
            return
        if isinstance(body, Offer):
            await self._accept_offer(remote, body)
        else:
            await self._accept_answer(remote, body)

    async def _accept_offer(self, remote: Remote, body: Offer) -> None:
        assert self._mesh is not None
        mine = self._calls.get(remote.member)
        crossed = mine is not None and mine.timer is not None
        if crossed and self._session.member.room.seat.entry < remote.member:
            return  # crossing offers: the smaller id's offer stands
        answer = await self._mesh.accept_offer(remote, _description(body))
        self._keys_for(remote)
        fingerprint = self._mesh.link(remote.member).fingerprint
        self._remember(remote.member, body.connection, fingerprint, again=False)
        self._signal(
            remote.member,
            Answer(
                sender=self._session.member.room.seat.entry,
                receiver=remote.member,
                connection=body.connection,
                role=Role.ANSWERER,
                fingerprint=answer.fingerprint,
                peer_fingerprint=body.fingerprint,
                sdp=answer.sdp,
                streams=_bodies(answer),
            ),
        )

    async def _accept_answer(self, remote: Remote, body: Answer) -> None:
        assert self._mesh is not None
        call = self._calls.get(remote.member)
        if call is None or body.connection != call.connection:
            raise PeerError(Code.WRONG_RECEIVER, "an answer to no offer of ours")
        if body.peer_fingerprint != call.fingerprint:
            raise PeerError(Code.BAD_FINGERPRINT, "an answer to another certificate")
        await self._mesh.accept_answer(remote.member, _description(body))
        self._keys_for(remote)

    def _keys_for(self, remote: Remote) -> None:
        self._keys.announced(remote.slot)
        if self._mesh is not None:
            self._mesh.keys_changed()

    def _cut(self, member: EntryId) -> None:
        call = self._calls.pop(member, None)
        if call is not None and call.timer is not None:
            call.timer.cancel()
        if self._mesh is not None:
            self._mesh.remove(member)
        self._keys.forget(member)

    def _remote(self, member: EntryId) -> Remote | None:
        roster = self._session.member.room.meeting_state.roster
        for slot, seated in roster.items():
            if seated.id == member:
                return Remote(member, slot)
        return None

    def _signal(self, to: EntryId, body: Offer | Answer) -> None:
        now_ms = self._session.now_ms()
        self._session.try_do(lambda member: member.signal(to, body, now_ms))

    # --------------------------------------------------------------------------- sinks

    def _open_sink(self, remote: Remote, kinds: frozenset[StreamKind]) -> FrameSink:
        folder = self._settings.record
        if folder is None:
            return _Nowhere()
        folder.mkdir(parents=True, exist_ok=True)
        name = f"member-{remote.slot}-{remote.member.hex()[:8]}"
        path, number = folder / f"{name}.webm", 1
        while path.exists():  # a connection that was made again
            number += 1
            path = folder / f"{name}-{number}.webm"
        return Recorder(path, kinds)

    def _source_ended(self, kind: StreamKind, error: MediaError | None) -> None:
        state = "ended" if error is None else str(error)
        me = self._session.member.room.seat.entry
        self._on_media(me, f"our {kind.name.lower()} {state}")

    def _link_changed(self, remote: Remote, state: str) -> None:
        self._on_media(remote.member, state)

    def _spawn(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._finished)

    def _finished(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if task.cancelled() or task.exception() is None:
            return
        error = task.exception()
        me = self._session.member.room.seat.entry
        if isinstance(error, IncameraError):
            self._on_media(me, f"a connection was refused: {error.code.value}")
        else:
            _log.error("media broke", exc_info=error)


class _Nowhere:
    """Takes frames and keeps none."""

    def write(self, frame: EncodedFrame) -> None:
        """Forget the frame."""

    def close(self) -> None:
        """Nothing to close."""


def _bodies(description: Description) -> tuple[StreamBody, ...]:
    return tuple(
        StreamBody(
            number=stream.number,
            kind=int(stream.kind),
            instance=stream.mid,
            codec=_CODECS[stream.kind],
        )
        for stream in description.streams
    )


def _description(body: Offer | Answer) -> Description:
    streams = tuple(
        Stream(number=s.number, kind=StreamKind(s.kind), mid=s.instance)
        for s in body.streams
    )
    return Description(body.sdp, body.fingerprint, streams)

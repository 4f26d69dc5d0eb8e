# SPDX-License-Identifier: Apache-2.0
"""One meeting as it runs: the machine, its ledger, its relay (spec/meeting.md, 7).

Receive, let the machine think, *save, then send*.  Every input passes through `do`:
what it changed is on the disk before any of its effects leaves.  Sending goes through
queues, so that a slow gateway never holds up the next input.
"""

import asyncio
import logging
from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from typing import Any, Final, Protocol

from incamera.errors import Code, IncameraError, LedgerError, PeerError
from incamera.ledger.base import Appended
from incamera.ledger.remote import RemoteLedger
from incamera.node.courier import Courier, Pauses
from incamera.node.gateway_client import GatewayClient
from incamera.node.path import OpenPath, Path
from incamera.protocol import effects as fx
from incamera.protocol.arrival import gate_signer
from incamera.protocol.ids import TopicId
from incamera.protocol.member import Member
from incamera.protocol.ports import Clock
from incamera.protocol.room import Phase
from incamera.protocol.secret import wipe

_PASSING: Final = frozenset({Code.UNREACHABLE, Code.STALE, Code.QUOTA, Code.QUEUE_FULL})

_log = logging.getLogger(__name__)


class Listener(Protocol):
    """Hears what people should know of one session."""

    def told(self, event: fx.Event) -> None:
        """Something happened in the meeting."""

    def troubled(self, error: IncameraError) -> None:
        """The ledger or the relay is in trouble; the session goes on trying."""

    def recovered(self) -> None:
        """The relay answers again."""

    def over(self) -> None:
        """The session has ended; nothing more comes."""


class Media(Protocol):
    """Does what the machine asks of media."""

    def run(self, effect: fx.Effect) -> None:
        """Carry out one effect that concerns keys or connections."""

    async def close(self) -> None:
        """End all streams and connections."""


@dataclass(frozen=True, slots=True)
class Desk:
    """What a session works with.

    `save` makes a snapshot durable; `destroy` erases it with its key.  `on_point` is
    called before each save and before each effect: tests let the process die there.
    """

    ledger: RemoteLedger
    client: GatewayClient
    open_path: OpenPath
    clock: Clock
    save: Callable[[bytearray], None]
    destroy: Callable[[], None]
    on_point: Callable[[str], None] = lambda point: None  # noqa: ARG005


class Session:
    """Runs one member until its meeting is over or `close`."""

    def __init__(self, member: Member, desk: Desk, listener: Listener) -> None:
        self.member = member
        self.media: Media | None = None
        self._desk = desk
        self._listener = listener
        self._courier = Courier(
            self._open_path, heard=self._heard, answers=self._answers
        )
        self._tasks: set[asyncio.Task[None]] = set()
        self._timer: asyncio.TimerHandle | None = None
        self._away = False
        self._over = False

    # ----------------------------------------------------------------------- running

    async def start(self, first: list[fx.Effect]) -> None:
        """Read again what was dealt with, do `first`, then follow ledger and relay."""
        room = self.member.room
        topic = TopicId(room.seat.meeting)
        while room.count < room.replay_until:
            records = await self._desk.ledger.read(topic, start=room.count)
            if not records:
                raise LedgerError(Code.ROLLED_BACK, "the meeting's record is gone")
            for record in records[: room.replay_until - room.count]:
                self.member.replay(record)
        self.do(lambda _: first)
        self._spawn(self._follow_ledger(topic))
        self._spawn(self._courier.run())

    def resume(self) -> list[fx.Effect]:
        """Return what a restart may have interrupted; call it after `start([])`."""
        return self.do(lambda member: member.resume(self.now_ms()))

    def do(self, step: Callable[[Member], list[fx.Effect]]) -> list[fx.Effect]:
        """Give the machine one input; save, then send.

        Raises what the machine raises; it has changed nothing then.
        """
        effects = step(self.member)
        self._desk.on_point("save")
        self._save()
        for effect in effects:
            self._desk.on_point(type(effect).__name__)
            self._run(effect)
        return effects

    def try_do(self, step: Callable[[Member], list[fx.Effect]]) -> None:
        """As `do`, for inputs from outside: what is refused is told and dropped."""
        try:
            self.do(step)
        except IncameraError as error:
            _log.info("refused: %s", error.code.value)
            self._listener.told(fx.Suspect(error.code, "something that was sent to us"))

    async def close(self) -> None:
        """Stop without ending the meeting; everything is saved."""
        self._over = True
        if self._timer is not None:
            self._timer.cancel()
        current = asyncio.current_task()
        tasks = [task for task in self._tasks if task is not current]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        if self.media is not None:
            await self.media.close()
        await self._desk.ledger.close()
        await self._desk.client.close()

    def _save(self) -> None:
        if self.member.room.phase is Phase.OVER:
            return
        snapshot = self.member.save()
        try:
            self._desk.save(snapshot)
        finally:
            wipe(snapshot)

    def now_ms(self) -> int:
        """Return the time in ms since 1970."""
        return self._desk.clock.now_ms()

    def _spawn(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._finished)

    def _finished(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if task.cancelled() or task.exception() is None:
            return
        error = task.exception()
        if isinstance(error, IncameraError):
            self._listener.troubled(error)
        else:
            _log.error("a task of the session broke", exc_info=error)

    # ----------------------------------------------------------------------- effects

    def _run(self, effect: fx.Effect) -> None:
        match effect:
            case fx.Append():
                self._spawn(self._append(effect.entry))
            case fx.Post():
                self._courier.post(effect)
            case fx.StoreBlob():
                self._spawn(self._store_blob(effect))
            case fx.FetchBlob():
                self._spawn(self._fetch_blob(effect.name))
            case fx.WakeAt():
                self._wake_at(effect.at_ms)
            case fx.Tell():
                self._listener.told(effect.event)
            case fx.Erase():
                self._erase()
            case _:
                if self.media is not None:
                    self.media.run(effect)

    def _wake_at(self, at_ms: int) -> None:
        if self._timer is not None:
            self._timer.cancel()
        delay_s = max(0.0, (at_ms - self.now_ms()) / 1000)
        loop = asyncio.get_running_loop()
        self._timer = loop.call_later(delay_s, self._tick)

    def _tick(self) -> None:
        if not self._over:
            self.try_do(lambda member: member.tick(self.now_ms()))

    def _erase(self) -> None:
        """The meeting is over for us: nothing of it stays here."""
        self._over = True
        self._desk.destroy()
        self._spawn(self._finish())

    async def _finish(self) -> None:
        # Give the queue a moment: our last words may still be under way.
        await asyncio.sleep(0)
        await self.close()
        self._listener.over()

    async def _append(self, entry: bytes) -> None:
        for pause_s in Pauses():
            try:
                await self._desk.ledger.append(entry)
            except LedgerError as error:
                if error.code not in _PASSING:
                    raise
                self._listener.troubled(error)
            except PeerError as error:
                self._append_refused(entry, error)
                return
            else:
                return
            await asyncio.sleep(pause_s)

    def _append_refused(self, entry: bytes, error: PeerError) -> None:
        """Our request was refused: we are out.  All else was overtaken: go on."""
        seat, phase = self.member.room.seat, self.member.room.phase
        if entry == seat.entry_bytes and phase in (Phase.ASKING, Phase.STARTING):
            self._listener.troubled(error)
            self.member.room.wipe()
            self._listener.told(fx.Ended("refused"))
            self._erase()
        elif error.code not in (Code.DUPLICATE, Code.OUT_OF_SEQUENCE):
            self._listener.troubled(error)

    async def _store_blob(self, blob: fx.StoreBlob) -> None:
        seat = self.member.room.seat
        for pause_s in Pauses():
            try:
                await self._desk.client.blob_put(
                    seat.meeting, blob.name, blob.data, seat.signer
                )
            except IncameraError as error:
                _log.info("blob not stored yet: %s", error.code.value)
            else:
                return
            await asyncio.sleep(pause_s)

    async def _fetch_blob(self, name: str) -> None:
        meeting = self.member.room.seat.meeting
        try:
            data = await self._desk.client.blob_get(meeting, name)
        except IncameraError:
            data = None
        if not self._over:
            self.try_do(lambda member: member.got_blob(name, data, self.now_ms()))

    # --------------------------------------------------------------- ledger and relay

    async def _follow_ledger(self, topic: TopicId) -> None:
        """Give the machine every record of the meeting, in order."""
        start = self.member.room.count
        watch = self._desk.ledger.watch(topic, start=start)
        async for event in watch:
            if self._over:
                return
            if isinstance(event, Appended) and event.index == self.member.room.count:
                record = event.record
                self.try_do(lambda m, r=record: m.got_record(r, self.now_ms()))  # type: ignore[misc]  # bound at once

    def _answers(self, error: LedgerError | None) -> None:
        """Tell once that the relay is away, and once that it is back."""
        if error is not None and not self._away and not self._over:
            self._listener.troubled(error)
        elif error is None and self._away:
            self._listener.recovered()
        self._away = error is not None

    async def _open_path(self) -> Path:
        seat = self.member.room.seat
        gate = None
        if self.member.room.phase in (Phase.ASKING, Phase.STARTING):
            gate = gate_signer(seat.link_secret, seat.ledger_id)
        return await self._desk.open_path(seat, gate)

    def _heard(self, data: bytes) -> None:
        if not self._over:
            self.try_do(lambda member: member.got_message(data, self.now_ms()))

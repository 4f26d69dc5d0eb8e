# SPDX-License-Identifier: Apache-2.0
"""Which meetings run in this home, and how each comes to run (spec/local-api.md).

A meeting's note is kept before its first entry leaves, its state before anything that
follows from it; so every meeting that was begun is found again after a crash.
"""

import asyncio
import logging
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any, Final

from incamera.errors import Code, IncameraError, LedgerError, UsageError
from incamera.ledger.remote import RemoteLedger
from incamera.node.gateway_client import GatewayClient, Opener
from incamera.node.hosted import Hosted
from incamera.node.own_gateway import Reachable
from incamera.node.places import Note, Places
from incamera.node.programs import DaemonSettings
from incamera.node.relay_connection import relay_of
from incamera.node.service import Event
from incamera.node.session import Desk, Media, Session
from incamera.node.store import Store, meeting_item
from incamera.protocol import effects as fx
from incamera.protocol.ids import MeetingId
from incamera.protocol.link import Link
from incamera.protocol.member import Member
from incamera.protocol.ports import Clock
from incamera.protocol.seat import Tools
from incamera.protocol.secret import wipe

RESUME_PAUSE_S: Final = 3.0
"""Between attempts to reach the gateway of a meeting that is to go on."""
OnPoint = Callable[[str], None]

_log = logging.getLogger(__name__)


class Keeper:
    """Runs a session per meeting and resumes them all after a restart."""

    def __init__(
        self,
        settings: DaemonSettings,
        store: Store,
        *,
        clock: Clock,
        tools: Tools,
        tell: Callable[[Event], None],
        on_point: OnPoint,
    ) -> None:
        self.places = Places(store, clock)
        self._settings = settings
        self._store = store
        self._clock = clock
        self._tools = tools
        self._tell = tell
        self._on_point = on_point
        self._hosted: dict[MeetingId, Hosted] = {}
        self._tasks: set[asyncio.Task[None]] = set()

    def all(self) -> list[Hosted]:
        """Return every meeting that this home knows."""
        return list(self._hosted.values())

    def find(self, meeting: str) -> Hosted:
        """Return the meeting with that id, or the only one that begins so.

        Raises UsageError(NO_MEETING).
        """
        found = [h for m, h in self._hosted.items() if m.hex().startswith(meeting)]
        if len(found) != 1 or not meeting:
            raise UsageError(Code.NO_MEETING, "no meeting of that id here")
        return found[0]

    def refuse_second(self, meeting: MeetingId) -> None:
        """Raise UsageError(WRONG_STATE) if that meeting runs here already."""
        if meeting in self._hosted and not self._hosted[meeting].note.over:
            raise UsageError(Code.WRONG_STATE, "you are in that meeting already")

    async def close(self) -> None:
        """Stop everything; meetings go on at the next start."""
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        for hosted in self._hosted.values():
            if hosted.session is not None and hosted.ended is None:
                await hosted.session.close()
        self.places.remember()

    def resume_all(self, own: Reachable | None, opener: Opener | None) -> None:
        """Begin to resume every meeting that is not over.

        `own` is our gateway, which may have come back at another port.
        """
        for meeting in self.places.noted():
            hosted = Hosted(meeting, self.places.find(meeting), self._tell)
            self._hosted[meeting] = hosted
            if own is not None and own.ledger_id == hosted.note.place.ledger_id:
                hosted.note.place = own
            if meeting in self._store.meetings():
                self._spawn(self._resume(hosted, opener))

    async def reach(self, link: Link) -> tuple[Reachable, RemoteLedger, GatewayClient]:
        """Connect to the first of the link's gateways that answers."""
        error: IncameraError = UsageError(Code.BAD_LINK, "the link names no gateway")
        for gateway in link.gateways:
            place = Reachable(gateway.address, gateway.pin, link.ledger_id)
            try:
                return place, *await self.places.open(place)
            except LedgerError as refused:
                error = refused
        raise error

    async def host(
        self,
        member: Member,
        first: list[fx.Effect],
        note: Note,
        *,
        ledger: RemoteLedger,
        client: GatewayClient,
    ) -> Hosted:
        """Run a member; its note is kept before its first entry leaves."""
        meeting = member.room.seat.meeting
        hosted = Hosted(meeting, note, self._tell)
        self.places.note(meeting, note)
        self._hosted[meeting] = hosted
        session = self._session(hosted, member, ledger=ledger, client=client)
        await session.start(first)
        return hosted

    def _session(
        self,
        hosted: Hosted,
        member: Member,
        *,
        ledger: RemoteLedger,
        client: GatewayClient,
    ) -> Session:
        item = meeting_item(hosted.meeting)

        def save(snapshot: bytearray) -> None:
            self._store.save(item, snapshot)
            self.places.remember()

        def destroy() -> None:
            self._store.destroy(item)
            hosted.note.over = True
            self.places.note(hosted.meeting, hosted.note)

        desk = Desk(
            ledger=ledger,
            client=client,
            open_path=relay_of(client),
            clock=self._clock,
            save=save,
            destroy=destroy,
            on_point=self._on_point,
        )
        session = Session(member, desk, hosted)
        hosted.session = session
        note = hosted.note
        if note.play is not None or note.record is not None:
            session.media = self._media(hosted, session)
        return session

    def _media(self, hosted: Hosted, session: Session) -> Media:
        # Imported here: a daemon without media does not need aiortc.
        from incamera.media.reader import MediaInput
        from incamera.media.source import Source, open_sources
        from incamera.node.studio import Studio, StudioSettings

        note = hosted.note
        sources: tuple[Source, ...] = ()
        if note.play is not None:
            sources = open_sources(MediaInput(note.play, loop=True))
        settings = StudioSettings(
            sources=sources,
            record=None if note.record is None else Path(note.record),
            addresses=("127.0.0.1",) if self._settings.loopback else None,
        )
        return Studio(session, settings, hosted.media_changed)

    async def _resume(self, hosted: Hosted, opener: Opener | None) -> None:
        """Go on with a meeting after a restart, once its gateway answers."""
        place = hosted.note.place
        while True:
            try:
                ledger, client = await self.places.open(place, opener=opener)
                break
            except LedgerError as error:
                hosted.troubled(error)
                await asyncio.sleep(RESUME_PAUSE_S)
        snapshot = self._store.load(meeting_item(hosted.meeting))
        member = Member.restore(snapshot, self._tools)
        wipe(snapshot)
        session = self._session(hosted, member, ledger=ledger, client=client)
        await session.start([])
        session.resume()

    def _spawn(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._finished)

    def _finished(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and task.exception() is not None:
            _log.error("a task of the daemon broke", exc_info=task.exception())

# SPDX-License-Identifier: Apache-2.0
"""The programs that run until they are told to stop: daemon, bot and gateway.

This file says what they do with a `Service`; `Programs` is the seam to the parts that
make one, put together in composition.py.
"""

import asyncio
import signal
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol, TypeAlias

from incamera.errors import Code, UsageError
from incamera.node.control import ControlServer
from incamera.node.service import Audit, Event, Reply, Service
from incamera.protocol.secret import Secret

Announce: TypeAlias = Callable[[Reply], None]
"""Tells the person or program that started us one thing."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DaemonSettings:
    """How a daemon runs."""

    home: Path
    passphrase: Secret | None = None
    """None keeps the keys in the system's keyring."""
    gateway: bool = True
    """Start a gateway process for the meetings that we publish."""
    host: str = "127.0.0.1"
    """Where that gateway listens."""
    port: int = 0
    """TCP port; 0 takes a free one."""
    loopback: bool = False
    """Offer 127.0.0.1 for media, for members on one machine."""


@dataclass(frozen=True, slots=True, kw_only=True)
class BotSettings:
    """What a headless member does, once its daemon runs."""

    name: str
    public: bool = False
    play: str | None = None
    """Absolute path of the file it sends."""
    record: str | None = None
    """Absolute path of the folder or file for what it receives."""
    link: str | None = None
    """The meeting to join; None leads one of its own."""
    title: str = ""
    seconds: float | None = None
    """How long it stays; None until the meeting ends."""


@dataclass(frozen=True, slots=True, kw_only=True)
class GatewaySettings:
    """How a gateway runs."""

    home: Path
    host: str
    port: int
    address: str | None = None
    """host:port as members reach it, if not the one where it listens."""
    owners: tuple[bytes, ...] = ()
    """Verify keys that may open meetings and sign invitations."""
    parent: bool = False
    """Stop when standard input closes."""


@dataclass(frozen=True, slots=True)
class Running:
    """A daemon that runs; it wants to end when `stopped` is set."""

    service: Service
    stopped: asyncio.Event


class Programs(Protocol):
    """Makes what the programs need."""

    def daemon(self, settings: DaemonSettings) -> AbstractAsyncContextManager[Running]:
        """Open the home, take its lock, resume its meetings; undo all on exit."""

    async def gateway(self, settings: GatewaySettings, announce: Announce) -> None:
        """Run a gateway; announces {"address", "pin", "ledger_id"} once it listens."""

    async def audit_file(self, path: Path) -> Audit:
        """Verify an exported record without any daemon or network."""


async def run_daemon(
    programs: Programs, settings: DaemonSettings, announce: Announce
) -> None:
    """Run a daemon until somebody stops it."""
    async with _serve(programs, settings) as running:
        announce({"home": str(settings.home), **await running.service.status()})
        await running.stopped.wait()


async def run_bot(
    programs: Programs,
    settings: DaemonSettings,
    bot: BotSettings,
    *,
    announce: Announce,
) -> None:
    """Run a headless member until its meeting ends, its time is up or it is stopped."""
    async with _serve(programs, settings) as running:
        events = running.service.events(meeting=None)
        try:
            await _introduce(running.service, bot)
            meeting = await _enter(running.service, bot, announce)
            await _take_part(running, events, bot, meeting=meeting, announce=announce)
        finally:
            await events.aclose()


async def _introduce(service: Service, bot: BotSettings) -> None:
    try:
        await service.identity_show()
    except UsageError as error:
        if error.code is not Code.NO_IDENTITY:
            raise
        await service.identity_create(name=bot.name, public=bot.public)


async def _enter(service: Service, bot: BotSettings, announce: Announce) -> str:
    given = {"public": bot.public, "play": bot.play, "record": bot.record}
    if bot.link is None:
        led = await service.meeting_new(title=bot.title, **given)  # type: ignore[arg-type]  # one dict, three types
        announce(led)
        return led["meeting"]
    joined = await service.meeting_join(link=bot.link, **given)  # type: ignore[arg-type]  # one dict, three types
    announce(joined)
    return joined["meeting"]


async def _take_part(
    running: Running,
    events: AsyncIterator[Event],
    bot: BotSettings,
    *,
    meeting: str,
    announce: Announce,
) -> None:
    stopped = asyncio.ensure_future(running.stopped.wait())
    following = asyncio.ensure_future(
        _follow(running.service, events, bot, meeting=meeting, announce=announce)
    )
    try:
        await asyncio.wait(
            {stopped, following}, timeout=bot.seconds, return_when="FIRST_COMPLETED"
        )
        if following.done():
            following.result()
            return
    finally:
        for task in (stopped, following):
            task.cancel()
        await asyncio.gather(stopped, following, return_exceptions=True)
    await _depart(running.service, bot, meeting)


async def _follow(
    service: Service,
    events: AsyncIterator[Event],
    bot: BotSettings,
    *,
    meeting: str,
    announce: Announce,
) -> None:
    """Announce what happens, and let in everybody whom the gate let ask."""
    async for event in events:
        if event["meeting"] != meeting:
            continue
        announce(event)
        if bot.link is None and event["kind"] == "request":
            # Somebody may have gone again; the next event tells.
            with suppress(UsageError):
                await service.meeting_admit(meeting=meeting, request=event["request"])
        if event["kind"] in {"ended", "refused"}:
            return


async def _depart(service: Service, bot: BotSettings, meeting: str) -> None:
    if bot.link is None:
        await service.meeting_end(meeting=meeting)
    else:
        await service.meeting_leave(meeting=meeting)


@asynccontextmanager
async def _serve(
    programs: Programs, settings: DaemonSettings
) -> AsyncIterator[Running]:
    async with (
        programs.daemon(settings) as running,
        ControlServer(settings.home, running.service),
    ):
        loop = asyncio.get_running_loop()
        caught = (signal.SIGINT, signal.SIGTERM)
        for number in caught:
            loop.add_signal_handler(number, running.stopped.set)
        try:
            yield running
        finally:
            for number in caught:
                loop.remove_signal_handler(number)

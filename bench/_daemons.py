# SPDX-License-Identifier: Apache-2.0
"""The two daemons of the join bench, and what is watched in them from outside.

Run as a program this is the leader: it obeys JSON lines on standard input, lets in
everybody whose request its machine has checked, and answers plain offers too.
"""

import asyncio
import json
import sys
import time
from collections.abc import AsyncIterator, Callable
from contextlib import aclosing, asynccontextmanager
from functools import wraps
from pathlib import Path
from typing import Any, Final, TypeAlias

sys.path.insert(0, str(Path(__file__).parents[1]))  # the other benches
from bench._plain import Plain, noises

from incamera.ledger.remote import RemoteLedger
from incamera.media import source
from incamera.media.encoded import EncodedFrame, is_video
from incamera.node import daemon, gateway_client, studio
from incamera.node.composition import programs
from incamera.node.hosted import Hosted
from incamera.node.keeper import Keeper
from incamera.node.programs import DaemonSettings
from incamera.node.service import Service
from incamera.node.session import Session
from incamera.node.who import Who
from incamera.protocol import effects as fx
from incamera.protocol.member import Member
from incamera.protocol.secret import Secret

Step: TypeAlias = Callable[..., str | None]
"""Returns the step that a call with these arguments ends."""
NOISE: Final = "noise"
"""Stands for the file that a member plays."""


class Marks:
    """When each step was done for the first time, in seconds of the system's clock."""

    def __init__(self) -> None:
        self.at: dict[str, float] = {}
        self._more = asyncio.Event()

    def note(self, step: str | None) -> None:
        """Note a step."""
        if step is not None:
            self.at.setdefault(step, time.monotonic())
            self._more.set()

    async def until(self, *steps: str) -> None:
        """Wait until all of these were noted."""
        while not self.at.keys() >= set(steps):
            self._more.clear()
            await self._more.wait()

    def take(self) -> dict[str, float]:
        """Return all notes, and begin anew."""
        found, self.at = self.at, {}
        return found

    def after(self, owner: Any, name: str, step: Step) -> None:
        """Note a step whenever that function has returned."""
        inner = getattr(owner, name)

        @wraps(inner)
        async def later(*args: Any, **given: Any) -> Any:
            result = await inner(*args, **given)
            self.note(step(*args))
            return result

        @wraps(inner)
        def at_once(*args: Any, **given: Any) -> Any:
            result = inner(*args, **given)
            self.note(step(*args))
            return result

        is_async = asyncio.iscoroutinefunction(inner)
        setattr(owner, name, later if is_async else at_once)

    def before(self, owner: Any, name: str, step: Step) -> None:
        """Note a step whenever that function is about to run."""
        inner = getattr(owner, name)

        @wraps(inner)
        def noted(*args: Any, **given: Any) -> Any:
            self.note(step(*args))
            return inner(*args, **given)

        setattr(owner, name, noted)


def watch(marks: Marks, own: set[str]) -> None:
    """Wrap what leader and joiner pass through; `own` gateways are not the link's."""

    def reached(place: object, _: object) -> str | None:
        return None if str(place) in own else "tls"

    marks.after(daemon, "parse_link", lambda *_: "link")
    marks.after(gateway_client, "trusted_context", reached)
    marks.after(Keeper, "reach", lambda *_: "descriptor")
    marks.before(gateway_client.GatewayClient, "blob_get", lambda *_: "topic")
    marks.after(daemon, "look", lambda *_: "leader")
    marks.after(Who, "account", lambda *_: "proven")
    marks.after(Member, "ask", lambda *_: "signed")
    marks.after(Session, "do", lambda *_: "saved")
    marks.after(RemoteLedger, "append", lambda *_: "ordered")
    marks.before(Hosted, "told", _told)
    marks.before(Member, "signal", lambda *_: "offer")
    marks.before(studio.Studio, "run", _answered)
    marks.before(Hosted, "media_changed", _connected)
    marks.before(studio._Nowhere, "write", _framed)  # noqa: SLF001  # the sink is seen nowhere else


def _told(hosted: Hosted, event: fx.Event) -> str | None:
    """Return the step that an event of the machine ends."""
    room = hosted.running.member.room
    match event:
        case fx.Asked():
            return "asked"
        case fx.CameIn(member=member):
            mine = member == room.seat.entry
            return {(True, False): "admitted", (False, True): "seen"}.get(
                (room.leads, mine)
            )
        case fx.Keyed() if not room.leads:
            return "keyed"
        case fx.Switched() if room.leads:
            return "switched"
    return None


def _answered(_: object, effect: fx.Effect) -> str | None:
    return "answer" if isinstance(effect, fx.Signal) else None


def _connected(_: object, __: object, state: str) -> str | None:
    return "connected" if state == "connected" else None


def _framed(_: object, frame: EncodedFrame) -> str | None:
    return "picture" if is_video(frame.kind) else "sound"


@asynccontextmanager
async def running(home: Path, name: str, marks: Marks) -> AsyncIterator[Service]:
    """Run a daemon with its own gateway process, watched, and give it an identity."""
    own: set[str] = set()
    watch(marks, own)
    source.open_sources = lambda *_, **__: noises()  # type: ignore[assignment]  # cheap frames
    settings = DaemonSettings(
        home=home, loopback=True, passphrase=Secret(bytearray(b"a passphrase"))
    )
    async with programs().daemon(settings) as found:
        own.add(str((await found.service.status())["gateway"]))
        await found.service.identity_create(name=name, public=False)
        yield found.service


async def lead(home: Path) -> None:
    """Be the leader until standard input closes."""
    marks, plain = Marks(), list[Plain]()
    loop = asyncio.get_running_loop()
    async with running(home, "Leader", marks) as service:
        admitting = asyncio.create_task(_admit(service))
        print("{}", flush=True)
        while line := await loop.run_in_executor(None, sys.stdin.readline):
            print(json.dumps(await _obey(service, marks, plain, json.loads(line))))
            sys.stdout.flush()
        admitting.cancel()
        await asyncio.gather(admitting, return_exceptions=True)


async def _obey(
    service: Service, marks: Marks, plain: list[Plain], order: dict[str, Any]
) -> dict[str, Any]:
    match order:
        case {"do": "lead"}:
            new = await service.meeting_new(
                title="bench", public=False, play=NOISE, record=None
            )
            marks.take()
            return dict(new)
        case {"do": "end", "meeting": meeting}:
            await service.meeting_end(meeting=meeting)
            return marks.take()
        case {"do": "answer", "offer": offer}:
            plain.append(Plain())
            return {"answer": await plain[0].answer(offer)}
        case {"do": "hang up"}:
            await plain.pop().close()
    return {}


async def _admit(service: Service) -> None:
    async with aclosing(service.events(meeting=None)) as events:
        async for event in events:
            if event["kind"] == "request":
                await service.meeting_admit(
                    meeting=event["meeting"], request=event["request"]
                )


if __name__ == "__main__":
    asyncio.run(lead(Path(sys.argv[1])))

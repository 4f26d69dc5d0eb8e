# SPDX-License-Identifier: Apache-2.0
"""What each command does: arguments become calls to the daemon, or a program runs."""

from argparse import Namespace
from collections.abc import Awaitable, Callable, Mapping
from contextlib import aclosing
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import incamera
from incamera.cli import describe
from incamera.cli.terminal import Terminal
from incamera.errors import Code, UsageError
from incamera.node.control import ControlClient
from incamera.node.home import needs_passphrase
from incamera.node.keystore import Passphrase, read_passphrase
from incamera.node.programs import (
    BotSettings,
    DaemonSettings,
    GatewaySettings,
    Programs,
    run_bot,
    run_daemon,
)

_MAX_PORT: Final = 65535


@dataclass(frozen=True, slots=True)
class Context:
    """What a command works with."""

    given: Namespace
    terminal: Terminal
    programs: Programs


Run = Callable[[Context], Awaitable[None]]


async def execute(given: Namespace, terminal: Terminal, programs: Programs) -> None:
    """Do what was asked; raises IncameraError."""
    if given.version:
        terminal.show_text(f"incamera {incamera.__version__}")
        return
    context = Context(given, terminal, programs)
    special = _SPECIAL.get(given.command)
    if special is not None:
        await special(context)
    else:
        await _call(context, *_CALLS[given.command])


_CALLS: Final[Mapping[str, tuple[str, tuple[str, ...]]]] = {
    "down": ("stop", ()),
    "status": ("status", ()),
    "identity create": ("identity.create", ("name", "public")),
    "identity show": ("identity.show", ()),
    "meeting new": ("meeting.new", ("title", "public", "play", "record")),
    "meeting join": ("meeting.join", ("link", "public", "play", "record")),
    "meeting list": ("meeting.list", ()),
    "meeting show": ("meeting.show", ("meeting",)),
    "meeting link": ("meeting.link", ("meeting",)),
    "meeting admit": ("meeting.admit", ("meeting", "request")),
    "meeting deny": ("meeting.deny", ("meeting", "request")),
    "meeting remove": ("meeting.remove", ("meeting", "slot")),
    "meeting leave": ("meeting.leave", ("meeting",)),
    "meeting end": ("meeting.end", ("meeting",)),
    "meeting say": ("meeting.say", ("meeting", "text")),
    "meeting doors": ("meeting.doors", ("meeting", "doors")),
    "open": ("link.open", ("link",)),
}


async def _call(context: Context, method: str, names: tuple[str, ...]) -> None:
    """Ask the daemon, with the arguments under the method's own names."""
    async with ControlClient(context.given.home) as client:
        params = {name: _plain(context, name) for name in names}
        if "meeting" in params:
            params["meeting"] = await find_meeting(client, str(params["meeting"]))
        reply = await client.call(method, **params)
    context.terminal.show(reply, describe.TEXT[method])


def _plain(context: Context, name: str) -> object:
    value = getattr(context.given, name)
    if isinstance(value, Path):
        # The daemon works in a folder of its own.
        return str(value.absolute())
    return _link(context) if name == "link" else value


def _link(context: Context) -> str:
    link: str = context.given.link
    return context.terminal.read_line() if link == "-" else link


async def find_meeting(client: ControlClient, start: str) -> str:
    """Return the id that begins with `start`; UsageError(NO_MEETING) if not one."""
    reply: Mapping[str, Any] = await client.call("meeting.list")
    known = [item["meeting"] for item in reply["meetings"]]
    found = [meeting for meeting in known if meeting.startswith(start.lower())]
    if len(found) == 1:
        return str(found[0])
    several = f"several meetings begin with {start}" if found else ""
    raise UsageError(Code.NO_MEETING, several or f"no meeting begins with {start}")


async def _watch(context: Context) -> None:
    async with ControlClient(context.given.home) as client:
        start = context.given.meeting
        meeting = None if start is None else await find_meeting(client, start)
        async with aclosing(client.events(meeting)) as events:  # type: ignore[type-var]  # an async generator
            async for event in events:
                context.terminal.show(event, describe.event)


async def _audit(context: Context) -> None:
    subject = context.given.subject
    if _is_file(subject):
        reply = await context.programs.audit_file(Path(subject))
        context.terminal.show(reply, describe.TEXT["audit"])
        return
    async with ControlClient(context.given.home) as client:
        meeting = await find_meeting(client, subject)
        export = _plain(context, "export")
        audit = await client.call("audit", meeting=meeting, export=export)
    context.terminal.show(audit, describe.TEXT["audit"])


def _is_file(subject: str) -> bool:
    return Path(subject).is_file()


async def _up(context: Context) -> None:
    given = context.given
    host, port = parse_address(given.listen)
    settings = DaemonSettings(
        home=given.home,
        passphrase=_passphrase(context),
        gateway=not given.no_gateway,
        host=host,
        port=port,
        loopback=given.loopback,
    )
    await run_daemon(context.programs, settings, _announcer(context, "status"))


async def _bot(context: Context) -> None:
    given = context.given
    leads = given.command == "bot lead"
    host, port = parse_address(given.listen) if leads else ("127.0.0.1", 0)
    bot = BotSettings(
        name=given.name,
        public=given.public,
        play=_absolute(given.play),
        record=_absolute(given.record),
        link=None if leads else _link(context),
        title=given.title if leads else "",
        seconds=given.seconds,
    )
    settings = DaemonSettings(
        home=given.home,
        passphrase=_passphrase(context),
        host=host,
        port=port,
        loopback=given.loopback,
    )
    announce = _announcer(context, "events")
    await run_bot(context.programs, settings, bot, announce=announce)


async def _gateway(context: Context) -> None:
    given = context.given
    host, port = parse_address(given.listen)
    settings = GatewaySettings(
        home=given.home,
        host=host,
        port=port,
        address=given.address,
        owners=tuple(map(_key, given.owner)),
        parent=given.parent,
    )
    await context.programs.gateway(
        settings, lambda reply: context.terminal.show(reply, describe.gateway)
    )


def _announcer(context: Context, method: str) -> Callable[[Mapping[str, object]], None]:
    return lambda reply: context.terminal.show(reply, describe.TEXT[method])


def _passphrase(context: Context) -> Passphrase | None:
    given, terminal = context.given, context.terminal
    if given.passphrase_file is not None:
        return read_passphrase(given.passphrase_file)
    if needs_passphrase(given.home):
        return Passphrase(terminal.ask_passphrase("passphrase"))
    if not given.passphrase:
        return None
    first = Passphrase(terminal.ask_passphrase("new passphrase"))
    again = Passphrase(terminal.ask_passphrase("the same again"))
    if first != again or len(first) == 0:
        raise UsageError(Code.BAD_ARGUMENT, "the passphrases are empty or differ")
    again.wipe()
    return first


def _absolute(path: Path | None) -> str | None:
    return None if path is None else str(path.absolute())


def _key(text: str) -> bytes:
    try:
        return bytes.fromhex(text)
    except ValueError:
        raise UsageError(Code.BAD_ARGUMENT, "an owner's key is 64 hex digits") from None


def parse_address(text: str) -> tuple[str, int]:
    """Return host and port of HOST:PORT; UsageError(BAD_ARGUMENT)."""
    host, _, port = text.rpartition(":")
    if not host or not port.isascii() or not port.isdigit() or int(port) > _MAX_PORT:
        raise UsageError(Code.BAD_ARGUMENT, f"not HOST:PORT: {text}")
    return host.removeprefix("[").removesuffix("]"), int(port)


_SPECIAL: Final[Mapping[str, Run]] = {
    "watch": _watch,
    "audit": _audit,
    "up": _up,
    "bot join": _bot,
    "bot lead": _bot,
    "gateway": _gateway,
}

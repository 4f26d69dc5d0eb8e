# SPDX-License-Identifier: Apache-2.0
"""What may be typed: commands, their arguments and their help."""

import argparse
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final, NoReturn, TypeAlias

from incamera.errors import Code, UsageError
from incamera.node.home import default_home

EPILOGUE: Final = """\
MEETING is a meeting's id or the beginning of it.  LINK may be - to read the link from
standard input, where no other process sees it.

exit status: 0 done, 1 a bug in incamera, 2 the request was wrong, 3 somebody sent
something wrong, 4 a ledger or gateway failed, 5 media failed, 130 interrupted
"""

Add: TypeAlias = Callable[[argparse.ArgumentParser], object]


class HelpWanted(Exception):  # noqa: N818  # not an error
    """Somebody asked for help; `text` is it."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.text = text


class Parser(argparse.ArgumentParser):
    """An argument parser that neither prints nor exits."""

    def error(self, message: str) -> NoReturn:
        """Raise UsageError(BAD_ARGUMENT)."""
        raise UsageError(Code.BAD_ARGUMENT, f"{message} (see {self.prog} --help)")

    def print_help(self, file: object = None) -> NoReturn:  # noqa: ARG002  # argparse's
        """Raise HelpWanted."""
        raise HelpWanted(self.format_help().rstrip())


@dataclass(frozen=True, slots=True)
class Command:
    """One command: its words, one line of help, an example, its arguments."""

    words: str
    help: str
    example: str
    add: tuple[Add, ...] = ()


def _argument(*names: str, **options: object) -> Add:
    return lambda parser: parser.add_argument(*names, **options)  # type: ignore[arg-type]  # options as argparse takes them


_MEETING = _argument("meeting", metavar="MEETING", help="id, or the beginning of it")
_LINK = _argument("link", metavar="LINK", help="the meeting's link, or - to read it")
_REQUEST = _argument("request", type=int, metavar="NUMBER", help="as `show` lists it")
_PUBLIC = _argument("--public", action="store_true", help="put the name in clear")
_PLAY = _argument("--play", type=Path, metavar="FILE", help="send this file's streams")
_RECORD = _argument("--record", type=Path, metavar="FILE", help="record what comes in")
_NAME = _argument("--name", required=True, help="how others see you, as your own claim")
_TITLE = _argument("--title", default="", help="what the meeting is about")
_ASK = _argument("--passphrase", action="store_true", help="ask for a passphrase")
_PASSPHRASE_FILE = _argument(
    "--passphrase-file", type=Path, metavar="FILE", help="read it from a 0600 file"
)
_SECONDS = _argument(
    "--seconds", type=float, metavar="N", help="stay so long, then leave or end"
)
_LISTEN = _argument(
    *("--listen",), default="127.0.0.1:0", metavar="HOST:PORT", help="the gateway's"
)
_LOOPBACK = _argument(
    "--loopback", action="store_true", help="media within this machine"
)
_NO_GATEWAY = _argument("--no-gateway", action="store_true", help="start none")
_ADDRESS = _argument(
    "--address", metavar="HOST:PORT", help="as members reach it, if not as it listens"
)
_OWNER = _argument(
    *("--owner",), action="append", default=[], metavar="KEY", help="may open meetings"
)
_PARENT = _argument(
    "--parent", action="store_true", help="stop when standard input closes"
)
_TEXT = _argument("text", metavar="TEXT", help="what to say")
_SLOT = _argument("slot", type=int, metavar="SLOT", help="as `show` lists it")
_DOORS = _argument("doors", choices=["open", "closed"], help="to requests")
_SUBJECT = _argument("subject", metavar="MEETING|FILE", help="or an exported record")
_EXPORT = _argument("--export", type=Path, metavar="FILE", help="write the record too")
_WATCHED = _argument("meeting", nargs="?", metavar="MEETING", help="or all of them")
_KEYS = (_ASK, _PASSPHRASE_FILE)
_MEDIA = (_PUBLIC, _PLAY, _RECORD)

COMMANDS: Final = (
    Command("up", "run the daemon", "up", (*_KEYS, _LISTEN, _NO_GATEWAY, _LOOPBACK)),
    Command("down", "stop the daemon", "down"),
    Command("status", "tell how the daemon is", "status --json"),
    Command(
        *("identity create", "create your identity on a ledger"),
        *("identity create --name Ada", (_NAME, _PUBLIC)),
    ),
    Command("identity show", "show your identity", "identity show"),
    Command(
        *("meeting new", "publish a meeting and lead it"),
        *("meeting new --title Tea", (_TITLE, *_MEDIA)),
    ),
    Command(
        *("meeting join", "ask to come in"),
        *("meeting join - <link.txt", (_LINK, *_MEDIA)),
    ),
    Command("meeting list", "list meetings", "meeting list"),
    Command("meeting show", "show who is there", "meeting show 3f2a", (_MEETING,)),
    Command("meeting link", "show the link again", "meeting link 3f2a", (_MEETING,)),
    Command(
        *("meeting admit", "let somebody in"),
        *("meeting admit 3f2a 0", (_MEETING, _REQUEST)),
    ),
    Command(
        *("meeting deny", "say no to somebody"),
        *("meeting deny 3f2a 0", (_MEETING, _REQUEST)),
    ),
    Command(
        *("meeting remove", "remove a member, with fresh keys for the rest"),
        *("meeting remove 3f2a 2", (_MEETING, _SLOT)),
    ),
    Command("meeting leave", "leave", "meeting leave 3f2a", (_MEETING,)),
    Command("meeting end", "end it for all", "meeting end 3f2a", (_MEETING,)),
    Command(
        *("meeting say", "send a chat message"),
        *("meeting say 3f2a 'good morning'", (_MEETING, _TEXT)),
    ),
    Command(
        *("meeting doors", "open or close the doors to requests"),
        *("meeting doors 3f2a closed", (_MEETING, _DOORS)),
    ),
    Command("watch", "follow what happens", "watch 3f2a --json", (_WATCHED,)),
    Command(
        *("audit", "verify a meeting's record"),
        *("audit 3f2a --export tea.record", (_SUBJECT, _EXPORT)),
    ),
    Command(
        *("bot join", "be a headless member"),
        *(
            "bot join - --name Bob --play bob.webm <link.txt",
            (_LINK, _NAME, *_MEDIA, _SECONDS, *_KEYS, _LOOPBACK),
        ),
    ),
    Command(
        *("bot lead", "lead a meeting headless, admitting whoever has the link"),
        *(
            "bot lead --name Ada --title Tea --seconds 60",
            (_NAME, _TITLE, *_MEDIA, _SECONDS, *_KEYS, _LISTEN, _LOOPBACK),
        ),
    ),
    Command(
        *("gateway", "run a gateway: ledger access and relay, without any key"),
        *(
            "gateway --listen 0.0.0.0:8443 --address meet.example:8443",
            (_LISTEN, _ADDRESS, _OWNER, _PARENT),
        ),
    ),
    Command("open", "look at a link before joining", "open - <link.txt", (_LINK,)),
)

_GROUPS: Final = {
    "identity": "create or show who you are",
    "meeting": "hold meetings",
    "bot": "run a headless member",
}


def _formatter(prog: str) -> argparse.HelpFormatter:
    # A fixed width, so that the help in docs/commands.md is the help everywhere.
    return argparse.RawDescriptionHelpFormatter(prog, width=80, max_help_position=28)


def _common(parser: argparse.ArgumentParser, *, default: object) -> None:
    home = parser.add_argument("--home", type=Path, metavar="DIR", default=default)
    home.help = "where keys and meetings are kept"
    parser.add_argument(
        "--json", action="store_true", default=default, help="answer in JSON"
    )


def build_parser() -> Parser:
    """Return the parser of all commands."""
    parser = Parser(
        prog="incamera",
        description="End-to-end encrypted meetings with no server to trust.",
        epilog=EPILOGUE,
        formatter_class=_formatter,
    )
    parser.add_argument("--version", action="store_true", help="show the version")
    _common(parser, default=None)
    top = parser.add_subparsers(metavar="COMMAND", title="commands")
    groups = {}
    for command in COMMANDS:
        group, _, word = command.words.rpartition(" ")
        if group and group not in groups:
            holder = _add(top, group, _GROUPS[group])
            groups[group] = holder.add_subparsers(metavar="COMMAND", title="commands")
        one = _add(groups[group] if group else top, word, command.help)
        one.epilog = f"example: incamera {command.example}"
        one.set_defaults(command=command.words)
        # Either place is right, and the later one wins.
        _common(one, default=argparse.SUPPRESS)
        for add in command.add:
            add(one)
    return parser


def _add(holder: "argparse._SubParsersAction[Parser]", word: str, text: str) -> Parser:
    parser = holder.add_parser(
        word,
        help=text,
        description=f"{text[0].upper()}{text[1:]}.",
        formatter_class=_formatter,
    )
    if sys.version_info >= (3, 14):
        parser.color = False
    return parser


def parse_arguments(words: list[str]) -> argparse.Namespace:
    """Return the arguments; raises HelpWanted, or UsageError(BAD_ARGUMENT)."""
    parser = build_parser()
    arguments = parser.parse_args(words)
    if not arguments.version and not hasattr(arguments, "command"):
        raise HelpWanted(parser.format_help().rstrip())
    arguments.home = (arguments.home or default_home()).absolute()
    arguments.json = bool(arguments.json)
    return arguments


def help_pages() -> str:
    """Return the help of all commands as one Markdown page."""
    pages = [
        ("incamera", "--help"),
        *((c.words, f"{c.words} --help") for c in COMMANDS),
    ]
    parts = ["# Commands\n\nWritten by `make docs` from the program's own help.\n"]
    for title, words in pages:
        try:
            build_parser().parse_args(words.split())
        except HelpWanted as wanted:
            name = title if title == "incamera" else f"incamera {title}"
            parts.append(f"## {name}\n\n```text\n{wanted.text}\n```\n")
    return "\n".join(parts)

# SPDX-License-Identifier: Apache-2.0
"""How replies read as text."""

from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any, Final, TypeAlias

Given: TypeAlias = Mapping[str, Any]
_SHORT: Final = 12
"""Hex digits that tell meetings and people apart on a screen."""


def short(identifier: str | None) -> str:
    """Return the beginning of an id, as commands accept it."""
    return (identifier or "?")[:_SHORT]


def _status(reply: Given) -> str:
    lines = [
        f"incamera {reply['version']} runs in {reply['home']}",
        f"identity  {short(reply['user']) if reply['user'] else 'none yet'}",
        f"gateway   {reply['gateway'] or 'none of its own'}",
        f"meetings  {reply['meetings']}",
    ]
    return "\n".join(lines)


def _identity(reply: Given) -> str:
    how = "in clear" if reply["public"] else "sealed"
    lines = [
        f"name    {reply['name']} ({how} on the ledger)",
        f"user    {reply['user']}",
        f"device  {reply['device']}",
        f"ledger  {reply['ledger']}",
    ]
    return "\n".join(lines)


def _link(reply: Given) -> str:
    return (
        f"meeting {short(reply['meeting'])}\n"
        f"link    {reply['link']}\n"
        "Whoever has the link may ask to come in: send it by a private channel."
    )


def _list(reply: Given) -> str:
    lines = [
        f"{short(m['meeting'])}  {m['status']:<10} {m['role']:<8} "
        f"{m['members']:>4} members  {m['title']}"
        for m in reply["meetings"]
    ]
    return "\n".join(lines) or "no meetings"


def _member(member: Given) -> str:
    marks = [
        *(["leads"] if member["leader"] else []),
        *(["you"] if member["you"] else []),
        *(["leaving"] if member["leaving"] else []),
        *([] if member["checked"] else ["identity not checked yet"]),
    ]
    name = member["name"] or "(name not told)"
    end = f"  [{', '.join(marks)}]" if marks else ""
    return f"  {member['slot']:>4}  {name}  {short(member['user'])}{end}"


def _request(request: Given) -> str:
    name = request["name"] or "(name not told)"
    checked = "" if request["checked"] else "  [identity not checked yet]"
    return f"  {request['request']:>4}  {name}  {short(request['user'])}{checked}"


def _meeting(reply: Given) -> str:
    lines = [
        f"{reply['title'] or '(no title)'}",
        f"meeting  {reply['meeting']}",
        f"status   {reply['status']}, you are {reply['role']}, doors {reply['doors']}",
        f"ledger   {short(reply['ledger'])}, trusted as: {reply['strength']}",
        f"epoch    {reply['epoch']}",
        "members",
        *map(_member, reply["members"]),
    ]
    if reply["requests"]:
        lines += ["asking to come in", *map(_request, reply["requests"])]
    return "\n".join(lines)


def _audit(reply: Given) -> str:
    lines = [
        f"{reply['title'] or '(no title)'}",
        f"meeting  {reply['meeting']}",
        f"ledger   {short(reply['ledger'])}, trusted as: {reply['strength']}",
        *(
            f"  {line['index']:>4}  {_time(line['time_ms'])}  {line['text']}"
            for line in reply["entries"]
        ),
        f"verified: {len(reply['entries'])} entries, up to the ledger's signed head",
        *(f"but: {warning}" for warning in reply["warnings"]),
    ]
    return "\n".join(lines)


def _time(time_ms: int) -> str:
    try:
        moment = datetime.fromtimestamp(time_ms / 1000, UTC)
    except (OverflowError, ValueError):
        return f"{time_ms} ms since 1970"  # a ledger may claim any time
    return f"{moment:%Y-%m-%d %H:%M:%S}.{time_ms % 1000:03}Z"


def _pending(reply: Given) -> str:
    lines = [
        "This link leads to",
        f"meeting  {reply['meeting']}",
        f"leader   {reply['leader']}",
        f"ledger   {reply['ledger']}",
        *(f"gateway  {gateway}" for gateway in reply["gateways"]),
        "Nothing has been contacted.  Join by: incamera meeting join LINK",
    ]
    return "\n".join(lines)


def event(reply: Given) -> str:
    """Word what a running program announces: an event, a link or itself."""
    if "link" in reply:
        return _link(reply)
    if "kind" in reply:
        return f"{reply['kind']:<8} {reply['text']}"
    return f"asking to come in to meeting {short(reply['meeting'])}"


def gateway(reply: Given) -> str:
    """Word where a gateway listens."""
    return "\n".join(f"{name:<10} {value}" for name, value in reply.items())


def _done(reply: Given) -> str:
    return f"done in meeting {short(reply['meeting'])}"


TEXT: Final[Mapping[str, Callable[[Given], str]]] = {
    "status": _status,
    "stop": lambda _: "the daemon stops",
    "identity.create": _identity,
    "identity.show": _identity,
    "meeting.new": _link,
    "meeting.join": lambda reply: f"asked to come in: {short(reply['meeting'])}",
    "meeting.link": _link,
    "meeting.list": _list,
    "meeting.show": _meeting,
    "meeting.admit": _done,
    "meeting.deny": _done,
    "meeting.remove": _done,
    "meeting.leave": _done,
    "meeting.end": _done,
    "meeting.say": _done,
    "meeting.doors": _done,
    "audit": _audit,
    "link.open": _pending,
    "events": event,
}

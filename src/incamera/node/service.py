# SPDX-License-Identifier: Apache-2.0
"""What a daemon does for its owner, as the command line and the page see it.

Everything here is plain JSON: ids in lower-case hex, times in milliseconds since 1970.
A method raises an IncameraError and has then changed nothing.  No reply but
`meeting_new` and `meeting_link` carries a secret.
"""

from collections.abc import AsyncGenerator, Mapping
from typing import Literal, NotRequired, Protocol, TypeAlias, TypedDict

Reply: TypeAlias = Mapping[str, object]


class Status(TypedDict):
    """How the daemon is; `user` is None before an identity was created."""

    home: str
    version: str
    user: str | None
    gateway: str | None
    meetings: int


class Identity(TypedDict):
    """The owner's user topic; `public` says that the name stands there in clear."""

    user: str
    device: str
    name: str
    public: bool
    ledger: str


class MemberView(TypedDict):
    """One member; `checked` once the identity proof was verified here."""

    slot: int
    name: str | None
    user: str | None
    checked: bool
    leader: bool
    you: bool
    leaving: bool


class RequestView(TypedDict):
    """Somebody who asks to come in; `request` is the number to admit or deny."""

    request: int
    name: str | None
    user: str | None
    checked: bool


class MeetingSummary(TypedDict):
    """One line of the list of meetings."""

    meeting: str
    title: str
    status: str
    role: Literal["leader", "member", "waiting", "former"]
    members: int


class Meetings(TypedDict):
    """All meetings that this home knows."""

    meetings: list[MeetingSummary]


class MeetingView(TypedDict):
    """One meeting in full; `requests` is empty for everybody but the leader."""

    meeting: str
    title: str
    status: str
    role: Literal["leader", "member", "waiting", "former"]
    epoch: int
    ledger: str
    strength: str
    doors: Literal["open", "closed"]
    members: list[MemberView]
    requests: list[RequestView]


class MeetingLink(TypedDict):
    """A meeting with the link that lets people in: hand it out by a private channel."""

    meeting: str
    link: str


class Done(TypedDict):
    """The meeting in which something was done."""

    meeting: str


class PendingLink(TypedDict):
    """What a link leads to, to be confirmed before anything is contacted."""

    meeting: str
    ledger: str
    leader: str
    gateways: list[str]


class AuditLine(TypedDict):
    """One entry of a meeting's record, in words."""

    index: int
    time_ms: int
    type: str
    text: str


class Audit(TypedDict):
    """A verified history; `warnings` names what the proofs do not show."""

    meeting: str
    title: str
    ledger: str
    strength: str
    entries: list[AuditLine]
    warnings: list[str]


class Event(TypedDict):
    """Something that happened: `kind` is one of EVENT_KINDS, `text` is for people."""

    kind: str
    meeting: str
    text: str
    slot: NotRequired[int]
    request: NotRequired[int]


EVENT_KINDS = (
    "request",  # somebody asks to come in; has `request`
    "waiting",  # our own request is on the ledger
    "joined",  # somebody, perhaps we, came in; has `slot`
    "left",  # has `slot`
    "removed",  # has `slot`
    "epoch",  # a new key is in use
    "message",  # chat; has `slot`
    "media",  # a stream began or stopped; has `slot`
    "ledger",  # the record is stale, unreachable or back
    "warning",  # something that a person should look at
    "refused",  # our request was denied or the doors are closed
    "ended",  # dismissed, or we left or were removed; the last event of a meeting
)


class Service(Protocol):
    """The daemon, whoever asks it."""

    async def status(self) -> Status:
        """Tell how the daemon is."""

    async def stop(self) -> Reply:
        """Leave no meeting, but end the process soon after the reply."""

    async def identity_create(self, *, name: str, public: bool) -> Identity:
        """Create the owner's user topic; UsageError(WRONG_STATE) if there is one."""

    async def identity_show(self) -> Identity:
        """Show it; UsageError(NO_IDENTITY) if there is none."""

    async def meeting_new(
        self, *, title: str, public: bool, play: str | None, record: str | None
    ) -> MeetingLink:
        """Publish a meeting and lead it; `play` and `record` are absolute paths."""

    async def meeting_join(
        self, *, link: str, public: bool, play: str | None, record: str | None
    ) -> Done:
        """Ask to be let in; returns once the request is on the ledger."""

    async def meeting_list(self) -> Meetings:
        """List the meetings that this home knows."""

    async def meeting_show(self, *, meeting: str) -> MeetingView:
        """Show one meeting; UsageError(NO_MEETING), as in all that follow."""

    async def meeting_link(self, *, meeting: str) -> MeetingLink:
        """Show the link again."""

    async def meeting_admit(self, *, meeting: str, request: int) -> Done:
        """Admit a requester; the leader only."""

    async def meeting_deny(self, *, meeting: str, request: int) -> Done:
        """Tell a requester no; the leader only."""

    async def meeting_remove(self, *, meeting: str, slot: int) -> Done:
        """Remove a member, with fresh keys for the rest; the leader only."""

    async def meeting_leave(self, *, meeting: str) -> Done:
        """Leave, and erase the meeting's keys here."""

    async def meeting_end(self, *, meeting: str) -> Done:
        """Dismiss the meeting for all; the leader only."""

    async def meeting_say(self, *, meeting: str, text: str) -> Done:
        """Send a chat message to all members."""

    async def meeting_doors(self, *, meeting: str, doors: str) -> Done:
        """Make the doors `open` or `closed` to requests; the leader only."""

    async def audit(self, *, meeting: str, export: str | None) -> Audit:
        """Verify a meeting's record; write it to the absolute path `export`, if any."""

    async def link_open(self, *, link: str) -> PendingLink:
        """Keep a link until its owner confirms it; nothing is contacted."""

    def events(self, *, meeting: str | None) -> AsyncGenerator[Event, None]:
        """Return what happens from this call on, in one meeting or in all."""

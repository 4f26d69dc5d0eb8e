# SPDX-License-Identifier: Apache-2.0
"""What an invitation says (spec/meeting.md, section 9).

    incamera:?g=host[:port][~spki][,...]&l=ledger&m=meeting#secret[.record]

The secret opens the gate: whoever has the link may ask to come in.  It stands in the
fragment, which browsers never send.  A link has one form: format(parse(x)) == x.
"""

from dataclasses import dataclass

from incamera.protocol.ids import LedgerId, MeetingId, UserId
from incamera.protocol.secret import Secret


@dataclass(frozen=True, slots=True)
class LinkGateway:
    """`address` is host or host:port; `pin` is SHA-256 of its TLS key, if self-signed."""

    address: str
    pin: bytes | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class LinkRecord:
    """What the link claims about the leader, shown before any contact."""

    leader: UserId
    name: str | None = None
    fingerprint: bytes | None = None
    passcode: bool | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Link:
    """An invitation; its secret never shows in `repr`."""

    gateways: tuple[LinkGateway, ...]
    ledger_id: LedgerId
    meeting: MeetingId
    secret: Secret
    record: LinkRecord | None = None


def parse_link(text: str) -> Link:
    """Parse a link strictly; UsageError(BAD_LINK) says which part is wrong."""
    raise NotImplementedError


def format_link(link: Link) -> str:
    """Return the link's text, which contains the secret."""
    raise NotImplementedError

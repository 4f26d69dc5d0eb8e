# SPDX-License-Identifier: Apache-2.0
"""What an invitation says (spec/meeting.md, section 9).

    incamera:?g=host[:port][~pin][,...]&l=ledger&m=meeting#secret[.record]

The secret opens the gate: whoever has the link may ask to come in.  It stands in the
fragment, which browsers never send.  A link has one form: format(parse(x)) == x.
"""

import re
from base64 import urlsafe_b64decode, urlsafe_b64encode
from binascii import Error as Base64Error
from dataclasses import dataclass
from ipaddress import AddressValueError, IPv4Address, IPv6Address
from typing import Final

from incamera.errors import Code, PeerError, UsageError
from incamera.protocol.encoding import encode, parse
from incamera.protocol.ids import LedgerId, MeetingId, UserId
from incamera.protocol.schema import BOOL, As, MapOf, key, octets, record, text
from incamera.protocol.secret import Secret

MAX_LINK: Final = 4096
"""Characters of a link: eight gateways with long names and pins fit."""
MAX_GATEWAYS: Final = 8
MAX_ADDRESS: Final = 255
MAX_NAME: Final = 128
FINGERPRINT_BYTES: Final = 16
_ID_BYTES: Final = 32
_MAX_PORT: Final = 65_535
_FORM: Final = re.compile(r"incamera:\?g=([^&#]*)&l=([^&#]*)&m=([^&#]*)#([^#]*)")
_ADDRESS: Final = re.compile(r"(\[[0-9a-f:.]+\]|[^:\[\]]+)(?::([1-9][0-9]{0,4}))?")
_LABEL: Final = re.compile(r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?")


@dataclass(frozen=True, slots=True)
class LinkGateway:
    """`address` is host or host:port; `pin` is SHA-256 of a self-signed TLS key."""

    address: str
    pin: bytes | None = None


@record
class LinkRecord:
    """What the link claims about the leader, shown before any contact.

    `name` is only a claim; `fingerprint` is the start of the leader's device id chain
    to compare by; `passcode` says that one is needed beside the link.
    """

    leader: UserId = key(1, As(octets(_ID_BYTES), UserId))
    name: str | None = key(2, text(MAX_NAME), default=None)
    fingerprint: bytes | None = key(3, octets(FINGERPRINT_BYTES), default=None)
    passcode: bool | None = key(4, BOOL, default=None)


_RECORD: Final = MapOf(LinkRecord)


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
    if len(text) > MAX_LINK:
        raise _bad("the link is too long")
    form = _FORM.fullmatch(text)
    if form is None:
        raise _bad("this is not a whole meeting link: part of it may be missing")
    gateways, ledger, meeting, fragment = form.groups()
    secret, dot, claimed = fragment.partition(".")
    return Link(
        gateways=_parse_gateways(gateways),
        ledger_id=LedgerId(_parse_id(ledger, "ledger")),
        meeting=MeetingId(_parse_id(meeting, "meeting")),
        secret=Secret(bytearray(_parse_id(secret, "secret"))),
        record=_parse_record(claimed) if dot else None,
    )


def format_link(link: Link) -> str:
    """Return the link's text, which contains the secret.

    Raises UsageError(BAD_LINK) for parts that `parse_link` would refuse.
    """
    gateways = ",".join(_format_gateway(gateway) for gateway in link.gateways)
    fragment = _b64(link.secret.buffer)
    if link.record is not None:
        fragment += "." + _b64(encode(_RECORD.encode(link.record)))
    place = f"l={_b64(link.ledger_id)}&m={_b64(link.meeting)}"
    text = f"incamera:?g={gateways}&{place}#{fragment}"
    parse_link(text)
    return text


def verify_address(address: str) -> str:
    """Return a gateway's `host` or `host:port` if it is well formed.

    A host is a lower-case DNS name, an IPv4 address, or an IPv6 address in brackets in
    its shortest form.  Raises UsageError(BAD_LINK).
    """
    form = _ADDRESS.fullmatch(address)
    if form is None or len(address) > MAX_ADDRESS:
        raise _bad(f"the gateway's address {address!r} is not host or host:port")
    host, port = form.groups()
    if port is not None and int(port) > _MAX_PORT:
        raise _bad(f"the gateway's port {port} does not exist")
    if not _is_host(host):
        raise _bad(f"the gateway's host {host!r} is not a name or an address")
    return address


def _is_host(host: str) -> bool:
    labels = host.split(".")
    try:
        if host.startswith("["):
            return str(IPv6Address(host[1:-1])) == host[1:-1]
        if labels[-1].isdigit():  # no top-level domain is a number
            return str(IPv4Address(host)) == host
    except AddressValueError:
        return False
    return all(_LABEL.fullmatch(label) for label in labels)


def _parse_gateways(text: str) -> tuple[LinkGateway, ...]:
    items = text.split(",")
    if len(items) > MAX_GATEWAYS:
        raise _bad(f"the link names more than {MAX_GATEWAYS} gateways")
    return tuple(_parse_gateway(item) for item in items)


def _parse_gateway(text: str) -> LinkGateway:
    address, tilde, pin = text.partition("~")
    known = _parse_id(pin, "gateway's key") if tilde else None
    return LinkGateway(verify_address(address), known)


def _format_gateway(gateway: LinkGateway) -> str:
    pin = "" if gateway.pin is None else "~" + _b64(gateway.pin)
    return gateway.address + pin


def _parse_record(text: str) -> LinkRecord:
    try:
        return _RECORD.decode(parse(_unb64(text, "leader"), MAX_LINK))
    except PeerError:
        raise _bad("the link's part about the leader is damaged") from None


def _parse_id(text: str, what: str) -> bytes:
    data = _unb64(text, what)
    if len(data) != _ID_BYTES:
        raise _bad(f"the link's part about the {what} has the wrong length")
    return data


def _unb64(text: str, what: str) -> bytes:
    """Decode base64url without padding; one text for one value."""
    try:
        data = urlsafe_b64decode(text + "=" * (-len(text) % 4))
    except (Base64Error, ValueError):
        raise _bad(f"the link's part about the {what} is damaged") from None
    if _b64(data) != text:
        raise _bad(f"the link's part about the {what} is damaged")
    return data


def _b64(data: bytes | bytearray) -> str:
    return urlsafe_b64encode(data).rstrip(b"=").decode()


def _bad(message: str) -> UsageError:
    return UsageError(Code.BAD_LINK, message)

# SPDX-License-Identifier: Apache-2.0
"""Vectors of meeting links (spec/meeting.md, section 9).

`text` is the link; `expect` has its parts, in hex where they are bytes.
"""

from base64 import urlsafe_b64encode
from functools import partial
from typing import Any

from spec.generators._cases import Case, digest, fails, file, plain, secret

from incamera.errors import Code
from incamera.protocol.encoding import encode
from incamera.protocol.ids import LedgerId, MeetingId, UserId
from incamera.protocol.link import (
    MAX_ADDRESS,
    Link,
    LinkGateway,
    LinkRecord,
    format_link,
    parse_link,
)

PIN = digest("tls key")
LEADER = UserId(digest("leader"))
LONGEST = ".".join(["a" * 63, "b" * 63, "c" * 63, "d" * 59]) + ":443"


def b64(data: bytes) -> str:
    """Return base64url without padding."""
    return urlsafe_b64encode(data).rstrip(b"=").decode()


def make(*gateways: LinkGateway, record: LinkRecord | None = None) -> str:
    """Return a link's text."""
    return format_link(
        Link(
            gateways=gateways,
            ledger_id=LedgerId(digest("ledger")),
            meeting=MeetingId(digest("meeting")),
            secret=secret("link"),
            record=record,
        )
    )


def build() -> dict[str, object]:
    """Return the whole file."""
    return file("meeting links: spec/meeting.md, section 9", [*good(), *bad()])


def good() -> list[Case]:
    """Links that are taken, up to their maxima."""
    one = LinkGateway("example.org", PIN)
    full = LinkRecord(
        leader=LEADER, name="A" * 128, fingerprint=PIN[:16], passcode=True
    )
    links = {
        "plain": make(LinkGateway("example.org")),
        "pinned, with a port": make(LinkGateway("192.0.2.7:8443", PIN)),
        "IPv6": make(LinkGateway("[2001:db8::1]:443")),
        "with the leader": make(one, record=LinkRecord(leader=LEADER, name="Alice")),
        "with all of the record at its maximum": make(one, record=full),
        "eight gateways": make(*[LinkGateway(f"g{n}.example", PIN) for n in range(8)]),
        "the longest address": make(LinkGateway(LONGEST)),
    }
    if len(LONGEST) != MAX_ADDRESS:
        raise ValueError("not the longest address")
    cases = []
    for name, text in links.items():
        parts: dict[str, Any] = plain(parse_link(text))
        cases.append({"name": name, "text": text, "expect": parts})
    return cases


def bad() -> list[Case]:
    """One fault each."""
    text = make(LinkGateway("example.org", PIN))
    faults = {**bad_form(text), **bad_gateways(text)}
    cases = [
        fails(
            name,
            "",
            {"text": fault},
            action=partial(parse_link, fault),
            code=Code.BAD_LINK,
        )
        for name, fault in faults.items()
    ]
    for case in cases:
        del case["operation"]  # there is only one here
    return cases


def bad_form(text: str) -> dict[str, str]:
    """Return links with a fault anywhere but in the gateways."""
    head, secret_part = text.split("#")
    ledger = b64(digest("ledger"))
    return {
        "no link": "",
        "another scheme": text.replace("incamera:", "https:"),
        "no secret": head,
        "an empty secret": head + "#",
        "a short secret": text[:-4],
        "spare bits in the secret": text[:-1] + _next_letter(text[-1]),
        "padding": text + "=",
        "two fragments": text + "#",
        "parameters in another order": text.replace("&l=", "&x="),
        "no ledger": text.replace(f"&l={ledger}", ""),
        "an empty ledger": text.replace(ledger, ""),
        "a blank": text.replace("&m=", "& m="),
        "an empty record": text + ".",
        "a record without a leader": text + "." + b64(encode({2: "Alice"})),
        "a record with an unknown key": text + "." + b64(encode({1: LEADER, 9: 0})),
        "too long": head + "x" * 4096 + "#" + secret_part,
    }


def bad_gateways(text: str) -> dict[str, str]:
    """Return links with a fault in their gateways."""
    pin = b64(PIN)
    hosts = {
        "upper case": "Example.org",
        "port 0": "example.org:0",
        "port 65536": "example.org:65536",
        "port with a zero": "example.org:0443",
        "a path": "example.org/x",
        "long form of IPv6": "[2001:db8:0::1]",
        "number out of range": "192.0.2.256",
        "an address of 256 bytes": LONGEST.replace("d:", "dd:"),
    }
    return {
        "no gateway": text.replace(f"example.org~{pin}", ""),
        "an empty gateway": text.replace("&l=", ",&l="),
        "an empty pin": text.replace(pin, ""),
        "nine gateways": text.replace("&l=", ",h" * 8 + "&l="),
        **{name: text.replace("example.org", host) for name, host in hosts.items()},
    }


def _next_letter(letter: str) -> str:
    """Return a base64url letter that differs in its lowest bit."""
    letters = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
    return letters[letters.index(letter) ^ 1]

# SPDX-License-Identifier: Apache-2.0
"""A public meeting names its people on the ledger; any other names nobody there."""

import asyncio
from typing import Any

import pytest

from incamera.ledger.remembered import Memory
from incamera.ledger.remote import RemoteLedger
from incamera.node.gateway_client import GatewayClient
from incamera.node.ports import SystemClock
from incamera.protocol.bodies import Publish, Request
from incamera.protocol.entry import Entry, parse_entry
from incamera.protocol.ids import TopicId
from incamera.protocol.link import parse_link

pytestmark = pytest.mark.xdist_group("meeting")
NAMES = ("Ada-canary-e61d", "Bob-canary-77b0")
TITLE = "title-canary-40aa"


def entries_of(link: str, topic: bytes | None = None) -> list[Entry]:
    """Read a topic as anybody can who knows the gateway: without the secret."""
    found = parse_link(link)

    async def read() -> list[Entry]:
        gateway, clock = found.gateways[0], SystemClock()
        client = GatewayClient(gateway.address, gateway.pin, clock=clock)
        ledger = await RemoteLedger.connect(
            client, found.ledger_id, memory=Memory(), clock=clock
        )
        records = await ledger.read(TopicId(topic or found.meeting))
        await ledger.close()
        await client.close()
        return [parse_entry(record.entry) for record in records]

    return asyncio.run(read())


def hold(kit: Any, *, public: bool) -> tuple[str, bytes, Any]:
    """A whole meeting: its link, its leader's gateway's files, its leader."""
    ada, bob = kit.people(*NAMES, public=public)
    meeting, link = ada.leads(TITLE, public=public)
    ada.lets_in(bob, link, public=public)
    ada.says(meeting, "chat-canary-1f1f", bob)
    ada.call("meeting.end", meeting=meeting)
    bob.hears("ended")
    return link, ada.files("gateway"), ada


@pytest.fixture(scope="module")
def clear(kit: Any) -> Any:
    return hold(kit, public=True)


@pytest.fixture(scope="module")
def sealed(kit: Any) -> Any:
    return hold(kit, public=False)


@pytest.mark.acceptance("D-03")
def test_a_public_meeting_says_what_and_who(clear: Any) -> None:
    link, files, ada = clear
    publish = entries_of(link)[0].body
    assert isinstance(publish, Publish)
    assert publish.info == TITLE
    user = bytes.fromhex(ada.call("identity.show")["user"])
    assert len(publish.identity) > 32
    assert user in publish.identity
    assert entries_of(link, user)[0].id == user
    assert all(word.encode() in files for word in (TITLE, NAMES[0]))


@pytest.mark.acceptance("D-04")
def test_a_public_request_says_who(clear: Any) -> None:
    link, _, _ = clear
    requests = [e.body for e in entries_of(link) if isinstance(e.body, Request)]
    assert [len(request.identity) > 32 for request in requests] == [True]


@pytest.mark.acceptance("D-03")
@pytest.mark.acceptance("D-04")
def test_a_sealed_meeting_says_neither_control(sealed: Any, kit: Any) -> None:
    """The same search that finds names and title of a public meeting finds none."""
    link, files, ada = sealed
    bodies = [entry.body for entry in entries_of(link)]
    said = [b.identity for b in bodies if isinstance(b, Publish | Request)]
    assert [len(identity) for identity in said] == [32, 32]
    everything = files + kit.on_the_wire(ada)
    for word in (TITLE, *NAMES, "chat-canary-1f1f"):
        assert not kit.holds(everything, word.encode())


@pytest.mark.acceptance("D-03")
def test_chat_of_a_public_meeting_is_sealed_all_the_same(clear: Any, kit: Any) -> None:
    _, files, ada = clear
    assert not kit.holds(files + kit.on_the_wire(ada), b"chat-canary-1f1f")

# SPDX-License-Identifier: Apache-2.0
import asyncio
import json
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AsyncExitStack, suppress
from pathlib import Path
from typing import Any

import pytest

from incamera.errors import (
    Code,
    IncameraError,
    LedgerError,
    MediaError,
    PeerError,
    UsageError,
)
from incamera.node.control import (
    MAX_REQUEST,
    METHODS,
    ControlClient,
    ControlServer,
    UnexpectedError,
    describe,
    revive,
    socket_path,
)

NewService = Callable[[], Any]


@pytest.fixture
async def service(short_home: Path, new_service: NewService) -> AsyncIterator[Any]:
    one = new_service()
    async with ControlServer(short_home, one):
        yield one


@pytest.fixture
async def client(service: object, short_home: Path) -> AsyncIterator[ControlClient]:
    async with ControlClient(short_home) as one:
        yield one


async def raw(home: Path, *lines: bytes) -> list[Mapping[str, Any]]:
    reader, writer = await asyncio.open_unix_connection(str(socket_path(home)))
    writer.write(b"".join(lines))
    writer.write_eof()
    answers = (await reader.read()).splitlines()
    writer.close()
    return [json.loads(answer) for answer in answers]


async def test_a_call_reaches_the_service_and_returns(client: ControlClient) -> None:
    made = await client.call("identity.create", name="Ada", public=True)
    assert made == await client.call("identity.show")
    assert made["name"] == "Ada"


async def test_an_error_arrives_as_the_same_error(client: ControlClient) -> None:
    with pytest.raises(UsageError) as caught:
        await client.call("identity.show")
    assert caught.value.code is Code.NO_IDENTITY
    with pytest.raises(UsageError):
        await client.call("meeting.show", meeting="ff")
    assert (await client.call("status"))["meetings"] == 0


@pytest.mark.parametrize("kind", [UsageError, PeerError, LedgerError, MediaError])
def test_errors_survive_the_wire(kind: type[IncameraError]) -> None:
    told = describe(kind(Code.STALE, "too old"))
    again = revive(told)
    assert type(again) is kind
    assert str(again) == "too old [stale]"


async def test_a_bug_is_told_without_its_message(
    service: Any, client: ControlClient, caplog: pytest.LogCaptureFixture
) -> None:
    async def broken() -> None:
        raise ValueError("SECRET")

    service.status = broken
    with pytest.raises(UnexpectedError, match="unexpected ValueError") as caught:
        await client.call("status")
    assert "SECRET" not in str(caught.value)
    assert await client.call("meeting.list") == {"meetings": []}


@pytest.mark.parametrize(
    ("method", "params"),
    [
        ("nothing", {}),
        ("_methods", {}),
        ("knock", {}),
        ("status", {"more": 1}),
        ("meeting.show", {}),
        ("meeting.show", {"meeting": 3}),
        ("meeting.show", {"meeting": None}),
        ("meeting.remove", {"meeting": "ab", "slot": True}),
        ("meeting.remove", {"meeting": "ab", "slot": "1"}),
        ("identity.create", {"name": "Ada", "public": 1}),
    ],
)
async def test_wrong_requests_are_refused(
    client: ControlClient, method: str, params: dict[str, object]
) -> None:
    with pytest.raises(UsageError) as caught:
        await client.call(method, **params)
    assert caught.value.code is Code.BAD_ARGUMENT


@pytest.mark.parametrize(
    "line",
    [b"", b"\xff", b"[]", b"{}", b"[" * 5000, b'{"id":1,"method":2,"params":{}}'],
)
async def test_malformed_lines_are_refused(
    service: object, short_home: Path, line: bytes
) -> None:
    fine = b'{"id":7,"method":"status","params":{}}\n'
    refused, answered = await raw(short_home, line + b"\n", fine)
    assert refused["error"]["code"] == "bad-argument"
    assert answered["id"] == 7
    assert "result" in answered


async def test_an_endless_line_is_refused(service: object, short_home: Path) -> None:
    answers = await raw(short_home, b"x" * (MAX_REQUEST + 1))
    assert answers[0]["error"]["code"] == "too-large"


async def test_events_stream_until_the_server_ends(
    short_home: Path, new_service: NewService
) -> None:
    async with AsyncExitStack() as stack:
        service = new_service()
        server = await stack.enter_async_context(ControlServer(short_home, service))
        client = await stack.enter_async_context(ControlClient(short_home))
        events = client.events()
        first = asyncio.ensure_future(anext(events))
        while not service.queues:
            await asyncio.sleep(0.001)
        service.tell({"kind": "warning", "meeting": "ab", "text": "look"})
        assert (await first)["text"] == "look"
        await server.__aexit__()
        assert [event async for event in events] == []


async def test_a_client_that_hangs_up_is_forgotten(
    service: Any, short_home: Path
) -> None:
    async with ControlClient(short_home) as client:
        pending = asyncio.ensure_future(anext(client.events()))
        while not service.queues:
            await asyncio.sleep(0.001)
        pending.cancel()
        await asyncio.gather(pending, return_exceptions=True)
    for _ in range(1000):
        await asyncio.sleep(0.001)
        if not service.queues:
            return
    pytest.fail("the subscription outlived its client")


async def test_the_socket_is_the_owners_only(service: object, short_home: Path) -> None:
    assert socket_path(short_home).stat().st_mode & 0o777 == 0o600


async def test_the_socket_goes_with_the_server(
    short_home: Path, new_service: NewService
) -> None:
    async with ControlServer(short_home, new_service()):
        pass
    assert not socket_path(short_home).exists()
    with pytest.raises(UsageError) as caught:
        async with ControlClient(short_home):
            pass
    assert caught.value.code is Code.NOT_RUNNING


async def test_a_dead_socket_does_not_block(
    short_home: Path, new_service: NewService
) -> None:
    socket_path(short_home).touch()
    async with ControlServer(short_home, new_service()), ControlClient(short_home) as c:
        assert (await c.call("status"))["meetings"] == 0


async def test_another_users_connection_is_dropped(
    service: object, short_home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("os.getuid", lambda: 12345)
    answers: list[Mapping[str, Any]] = []
    with suppress(ConnectionError):  # the kernel resets what was never read
        answers = await raw(short_home, b'{"id":1,"method":"status","params":{}}\n')
    assert answers == []


def test_a_path_too_long_for_a_socket_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError) as caught:
        socket_path(tmp_path / ("x" * 100))
    assert caught.value.code is Code.BAD_ARGUMENT


def test_every_method_of_the_service_is_offered() -> None:
    assert "meeting.new" in METHODS
    assert "link.open" in METHODS
    assert set(METHODS["meeting.admit"]) == {"meeting", "request"}

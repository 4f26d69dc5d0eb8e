# SPDX-License-Identifier: Apache-2.0
"""How the command line and the daemon talk (spec/local-api.md, section 1).

A Unix socket in the home, which only its owner can open, carries JSON, one object a
line:

    -> {"id": 1, "method": "meeting.say", "params": {"meeting": "ab...", "text": "hi"}}
    <- {"id": 1, "result": {...}}
    <- {"id": 1, "error": {"code": "no-meeting", "fault": "usage", "message": "..."}}

`events` answers with any number of `{"event": {...}}` lines, until the client hangs up
or sends anything more.  Requests of one connection are answered in order.
"""

import asyncio
import inspect
import json
import logging
import os
import socket
import struct
from collections.abc import AsyncIterator, Mapping
from contextlib import aclosing, suppress
from pathlib import Path
from types import MappingProxyType, UnionType
from typing import Final, Self, get_type_hints

from incamera.errors import (
    Code,
    IncameraError,
    LedgerError,
    MediaError,
    PeerError,
    UsageError,
)
from incamera.node.service import Reply, Service

SOCKET: Final = "daemon.sock"
MAX_REQUEST: Final = 64 * 1024
"""Bytes of one request line: a link or a chat message is far smaller."""
_MAX_REPLY: Final = 64 * 1024 * 1024
"""Bytes of one reply line: the audit of a long meeting."""
_MAX_PATH: Final = 100
"""Bytes of a Unix socket's path: Linux allows 107, macOS 103."""
_CREDENTIALS: Final = struct.Struct("3i")
_LOG: Final = logging.getLogger(__name__)

FAULTS: Final[Mapping[str, type[IncameraError]]] = MappingProxyType(
    {"usage": UsageError, "peer": PeerError, "ledger": LedgerError, "media": MediaError}
)
BUG: Final = "bug"
"""Fault and code of an error that nobody foresaw."""


class UnexpectedError(Exception):
    """The daemon met a bug of its own."""


def _methods() -> Mapping[str, Mapping[str, object]]:
    """Return each method's parameters with their types, as `Service` declares them."""
    found = {}
    for name, function in inspect.getmembers(Service, inspect.isfunction):
        if not name.startswith("_"):
            hints = get_type_hints(function)
            hints.pop("return")
            found[name.replace("_", ".", 1)] = hints
    return MappingProxyType(found)


METHODS: Final = _methods()


class ControlServer:
    """Offers one service to the owner's own programs."""

    def __init__(self, home: Path, service: Service) -> None:
        self._path = socket_path(home)
        self._service = service
        self._server: asyncio.Server | None = None
        self._open: set[asyncio.Task[None]] = set()

    async def __aenter__(self) -> Self:
        """Listen.  The caller holds the home's lock, so an old socket is a dead one."""
        self._path.unlink(missing_ok=True)
        listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        before = os.umask(0o177)
        try:
            listener.bind(str(self._path))
        finally:
            os.umask(before)
        self._server = await asyncio.start_unix_server(
            self._accepted, sock=listener, limit=MAX_REQUEST
        )
        return self

    async def __aexit__(self, *failure: object) -> None:
        assert self._server is not None
        self._server.close()
        # One turn, so that a reply that was just written leaves.
        await asyncio.sleep(0)
        for task in self._open:
            task.cancel()
        await asyncio.gather(*self._open, return_exceptions=True)
        self._path.unlink(missing_ok=True)

    async def _accepted(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._open.add(task)
        try:
            if _is_owner(writer.get_extra_info("socket")):
                await self._converse(reader, writer)
        except (ConnectionError, asyncio.CancelledError):
            pass
        finally:
            self._open.discard(task)
            writer.close()

    async def _converse(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        while True:
            try:
                line = await reader.readline()
            except ValueError:
                too_large = UsageError(Code.TOO_LARGE, "request line too long")
                await _send(writer, {"id": None, "error": describe(too_large)})
                return
            if not line:
                return
            await self._answer(line, reader, writer)

    async def _answer(
        self, line: bytes, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        number: object = None
        try:
            number, method, given = _parse_request(line)
            params = check_params(method, given)
            if method == "events":
                await self._stream(params, reader, writer)
            else:
                call = getattr(self._service, method.replace(".", "_"))
                await _send(writer, {"id": number, "result": await call(**params)})
        except IncameraError as error:
            await _send(writer, {"id": number, "error": describe(error)})
        except ConnectionError:
            raise
        except Exception as error:  # noqa: BLE001  # a bug must not end the daemon
            _LOG.exception("unexpected error in the daemon")
            await _send(writer, {"id": number, "error": describe(error)})

    async def _stream(
        self,
        params: Mapping[str, object],
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
    ) -> None:
        async def pump() -> None:
            async with aclosing(self._service.events(**params)) as events:  # type: ignore[arg-type]  # check_params has checked
                async for event in events:
                    await _send(writer, {"event": event})

        pumping = asyncio.ensure_future(pump())
        closing = asyncio.ensure_future(reader.read(1))
        try:
            await asyncio.wait({pumping, closing}, return_when="FIRST_COMPLETED")
            if pumping.done():
                pumping.result()
        finally:
            pumping.cancel()
            closing.cancel()
            await asyncio.gather(pumping, closing, return_exceptions=True)


class ControlClient:
    """One connection to a daemon."""

    def __init__(self, home: Path) -> None:
        self._path = socket_path(home)
        self._count = 0

    async def __aenter__(self) -> Self:
        """Connect; UsageError(NOT_RUNNING) when no daemon listens."""
        try:
            self._reader, self._writer = await asyncio.open_unix_connection(
                str(self._path), limit=_MAX_REPLY
            )
        except OSError:
            message = "no daemon is running for this home: start one by `incamera up`"
            raise UsageError(Code.NOT_RUNNING, message) from None
        return self

    async def __aexit__(self, *failure: object) -> None:
        self._writer.close()
        with suppress(ConnectionError):
            await self._writer.wait_closed()

    async def call(self, method: str, **params: object) -> Reply:
        """Return the result; raises the daemon's IncameraError as if it were here.

        Raises UnexpectedError when the daemon met a bug of its own.
        """
        await self._request(method, params)
        result = (await self._read())["result"]
        assert isinstance(result, dict)
        return result

    async def events(self, meeting: str | None = None) -> AsyncIterator[Reply]:
        """Yield events until the daemon ends; nothing else can be asked any more."""
        await self._request("events", {"meeting": meeting})
        with suppress(_ClosedError):
            while True:
                event = (await self._read())["event"]
                assert isinstance(event, dict)
                yield event

    async def _request(self, method: str, params: Mapping[str, object]) -> None:
        self._count += 1
        request = {"id": self._count, "method": method, "params": params}
        await _send(self._writer, request)

    async def _read(self) -> Mapping[str, object]:
        line = await self._reader.readline()
        if not line:
            raise _ClosedError(Code.NOT_RUNNING, "the daemon ended")
        answer = json.loads(line)
        assert isinstance(answer, dict)
        if error := answer.get("error"):
            raise revive(error)
        return answer


class _ClosedError(UsageError):
    """The daemon closed the connection."""


def socket_path(home: Path) -> Path:
    """Return where the daemon of `home` listens; UsageError if the path is too long."""
    path = home.absolute() / SOCKET
    if len(os.fsencode(path)) > _MAX_PATH:
        raise UsageError(Code.BAD_ARGUMENT, f"the home's path is too long: {home}")
    return path


def describe(error: Exception) -> dict[str, str]:
    """Return an error as the socket and `--json` show it."""
    for fault, kind in FAULTS.items():
        if isinstance(error, kind):
            message = str(error.args[0])
            return {"code": error.code.value, "fault": fault, "message": message}
    # The message of a foreign exception may hold anything: only its name is told.
    return {"code": BUG, "fault": BUG, "message": f"unexpected {type(error).__name__}"}


def revive(error: Mapping[str, str]) -> Exception:
    """Return the exception that `describe` described."""
    kind = FAULTS.get(error["fault"])
    if kind is None:
        return UnexpectedError(error["message"])
    return kind(Code(error["code"]), error["message"])


def check_params(method: str, given: Mapping[str, object]) -> dict[str, object]:
    """Return `given` with absent optional parameters as None.

    Raises UsageError(BAD_ARGUMENT): unknown method or parameter, or a wrong type.
    """
    declared = METHODS.get(method)
    if declared is None:
        raise UsageError(Code.BAD_ARGUMENT, f"unknown method {method}")
    for name in given.keys() - declared.keys():
        raise UsageError(Code.BAD_ARGUMENT, f"{method} takes no {name}")
    for name, kind in declared.items():
        assert isinstance(kind, type | UnionType)
        value = given.get(name)
        if not isinstance(value, kind) or (kind is int and isinstance(value, bool)):
            raise UsageError(Code.BAD_ARGUMENT, f"{method} needs {name}")
    return {name: given.get(name) for name in declared}


def _parse_request(line: bytes) -> tuple[object, str, Mapping[str, object]]:
    try:
        request: object = json.loads(line)
    except (ValueError, RecursionError):
        request = None
    match request:
        case {"id": number, "method": str() as method, "params": dict() as params}:
            return number, method, params
    raise UsageError(Code.BAD_ARGUMENT, "a request is id, method and params")


async def _send(writer: asyncio.StreamWriter, item: object) -> None:
    writer.write(json.dumps(item, separators=(",", ":")).encode() + b"\n")
    await writer.drain()


def _is_owner(connection: socket.socket) -> bool:
    """Ask the kernel who is there; where it cannot tell, the socket's mode decides."""
    option = getattr(socket, "SO_PEERCRED", None)
    if option is None:
        return True
    data = connection.getsockopt(socket.SOL_SOCKET, option, _CREDENTIALS.size)
    return int(_CREDENTIALS.unpack(data)[1]) == os.getuid()

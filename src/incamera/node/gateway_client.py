# SPDX-License-Identifier: Apache-2.0
"""How does a member reach a gateway (spec/relay.md, section 2; spec/ledger.md, 9)?

HTTPS and WebSocket under one TLS context that trusts the link's gateway alone.  The
client is the `Transport` of a remote ledger and opens relay connections.
"""

import asyncio
import contextlib
import ssl
from collections.abc import AsyncIterator
from typing import Final, TypeAlias

import httpx
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, WebSocketException

from incamera.errors import Code, LedgerError
from incamera.ledger.gateway_wire import MAX_ANSWER, parse_refusal
from incamera.node.permits import HEADER, Invitation, permit
from incamera.node.pinned_tls import CONNECT_S, Place, parse_place, trusted_context
from incamera.node.relay_blobs import sign_blob
from incamera.node.spki import spki_pin
from incamera.protocol.entry import EntryType, parse_entry
from incamera.protocol.ids import LedgerId, MeetingId
from incamera.protocol.ports import Clock, Signer

_POOL: Final = httpx.Limits(max_connections=8, keepalive_expiry=20)
"""A few connections at once; idle ones go before the gateway closes them."""
_OK: Final = range(200, 300)
_NOT_FOUND: Final = 404
_PING_S: Final = 15
_WS_QUEUE: Final = 4
Opener: TypeAlias = tuple[Signer, LedgerId, Invitation | None]


class GatewayClient:
    """One gateway, by its address and the hash of its TLS key."""

    def __init__(
        self,
        address: str,
        pin: bytes | None,
        *,
        clock: Clock,
        opener: Opener | None = None,
    ) -> None:
        """Nothing is contacted before the first call.

        `opener` signs the first entries of meetings: the gateway's owner or a guest
        with an invitation, for that ledger.  Raises LedgerError(UNREACHABLE) for an
        address that is none.
        """
        self.place: Place = parse_place(address)
        self.pin = pin
        self._clock = clock
        self._opener = opener
        self._context: ssl.SSLContext | None = None
        self._http: httpx.AsyncClient | None = None
        self._opening = asyncio.Lock()

    async def get(self, path: str) -> bytes:
        """Return the body of the answer to a GET; see `Transport`."""
        return await self._request("GET", path)

    async def post(self, path: str, body: bytes) -> bytes:
        """Return the body of the answer to a POST; see `Transport`."""
        headers = self._permit(body) if path == "/v0/append" else {}
        return await self._request("POST", path, body, headers)

    async def watch(self, path: str) -> AsyncIterator[bytes]:
        """Yield a WebSocket's messages until it closes; see `Transport`."""
        socket = await self.connect(path, max_size=MAX_ANSWER)
        try:
            async for message in socket:
                yield message if isinstance(message, bytes) else message.encode()
        except ConnectionClosed:
            return
        finally:
            await socket.close()

    async def blob_put(
        self, meeting: MeetingId, name: str, data: bytes, signer: Signer
    ) -> None:
        """Store a blob of ours at the relay.

        Raises PeerError(NOT_ALLOWED, REPLAYED, STALE), LedgerError: QUOTA, STORAGE.
        """
        body = sign_blob(
            signer,
            data,
            meeting=meeting,
            name=name,
            pin=await self.key_hash(),
            time_ms=self._clock.now_ms(),
        )
        await self._request("PUT", f"/v0/blobs/{meeting.hex()}/{name}", body)

    async def blob_get(self, meeting: MeetingId, name: str) -> bytes | None:
        """Return a blob, None if there is none."""
        path = f"/v0/blobs/{meeting.hex()}/{name}"
        status, body = await self._send("GET", path)
        return None if status == _NOT_FOUND else _content(status, body)

    async def connect(self, path: str, *, max_size: int) -> ClientConnection:
        """Open a WebSocket; raises LedgerError: UNREACHABLE, TLS_PIN."""
        context = await self._trusted()
        try:
            return await connect(
                f"wss://{self.place}{path}",
                ssl=context,
                server_hostname=self.place.host,
                compression=None,
                proxy=None,
                max_size=max_size,
                max_queue=_WS_QUEUE,
                open_timeout=CONNECT_S,
                ping_interval=_PING_S,
                ping_timeout=_PING_S,
                close_timeout=1,
            )
        except (OSError, TimeoutError, WebSocketException) as error:
            self._forget_context(error)
            message = f"no WebSocket at {self.place}"
            raise LedgerError(Code.UNREACHABLE, message) from error

    async def key_hash(self) -> bytes:
        """Return the hash of the gateway's TLS key: the pin, or what it showed us."""
        if self.pin is not None:
            return self.pin
        socket = await self.connect(f"/v0/watch/{bytes(32).hex()}", max_size=MAX_ANSWER)
        try:
            return shown_key(socket)
        finally:
            await socket.close()

    async def close(self) -> None:
        """Close idle connections; open WebSockets belong to who opened them."""
        if self._http is not None:
            await self._http.aclose()

    async def _request(
        self,
        method: str,
        path: str,
        body: bytes = b"",
        headers: dict[str, str] | None = None,
    ) -> bytes:
        return _content(*await self._send(method, path, body, headers))

    async def _send(
        self,
        method: str,
        path: str,
        body: bytes = b"",
        headers: dict[str, str] | None = None,
    ) -> tuple[int, bytes]:
        client = await self._client()
        try:
            request = client.build_request(method, path, content=body, headers=headers)
            response = await client.send(request, stream=True)
            async with contextlib.aclosing(response):
                return response.status_code, await _read_bounded(response)
        except (httpx.HTTPError, ssl.SSLError) as error:
            self._forget_context(error)
            message = f"no answer from {self.place}"
            raise LedgerError(Code.UNREACHABLE, message) from error

    async def _client(self) -> httpx.AsyncClient:
        context = await self._trusted()
        if self._http is None:
            # No proxy, no redirect: the pin is of this very place.
            self._http = httpx.AsyncClient(
                base_url=f"https://{self.place}",
                verify=context,
                trust_env=False,
                headers={"accept-encoding": "identity"},
                follow_redirects=False,
                timeout=CONNECT_S,
                limits=_POOL,
            )
        return self._http

    async def _trusted(self) -> ssl.SSLContext:
        async with self._opening:
            if self._context is None:
                self._context = await trusted_context(self.place, self.pin)
            return self._context

    def _forget_context(self, error: BaseException) -> None:
        """A renewed certificate of the same key needs a new context."""
        causes = (error, error.__cause__, error.__context__)
        if any(isinstance(cause, ssl.SSLError) for cause in causes):
            self._context = self._http = None

    def _permit(self, entry: bytes) -> dict[str, str]:
        if self._opener is None:
            return {}
        parsed = parse_entry(entry)
        if parsed.header.type is not EntryType.PUBLISH:
            return {}
        author, ledger_id, invitation = self._opener
        value = permit(author, parsed.id, ledger_id=ledger_id, invitation=invitation)
        return {HEADER: value}


def shown_key(socket: ClientConnection) -> bytes:
    """Return the hash of the TLS key that this very connection was made with."""
    tls = socket.transport.get_extra_info("ssl_object")
    return spki_pin(tls.getpeercert(binary_form=True))


async def _read_bounded(response: httpx.Response) -> bytes:
    # Raw: a compressed answer could be a thousand times as long as it looks.
    body = bytearray()
    async for chunk in response.aiter_raw():
        body += chunk
        if len(body) > MAX_ANSWER:
            raise LedgerError(Code.TOO_LARGE, "the gateway's answer is too long")
    return bytes(body)


def _content(status: int, body: bytes) -> bytes:
    if status not in _OK:
        raise parse_refusal(body)
    return body

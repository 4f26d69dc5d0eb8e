# SPDX-License-Identifier: Apache-2.0
"""A gateway that lies: a process between a client and one or two true gateways.

    python lying_proxy.py HOME TRUE-ADDRESS [TWIN-ADDRESS]

It has a TLS key of its own and no other.  `POST /lie/NAME` switches one lie on,
`POST /lie/none` all off; every lie leaves everything else as it is.
"""

import asyncio
import json
import ssl
import sys
from pathlib import Path
from typing import Any

import httpx
import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route, WebSocketRoute
from starlette.websockets import WebSocket, WebSocketDisconnect
from websockets.asyncio.client import connect

from incamera.node.gateway.tls import open_tls, server_context
from incamera.protocol.encoding import encode, parse

SIZE = 1 << 24


def unverified() -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context


class Liar:
    def __init__(self, true: str, twin: str) -> None:
        self.true, self.twin = true, twin
        self.lie = "none"
        self.recorded: dict[str, bytes] = {}
        self.http = httpx.AsyncClient(verify=unverified(), trust_env=False)

    async def ask(self, request: Request, body: bytes) -> httpx.Response:
        host = self.twin if self.lie == "fork" else self.true
        query = f"?{request.url.query}" if request.url.query else ""
        url = f"https://{host}{request.url.path}{query}"
        names = ("incamera-permit",)
        headers = {n: request.headers[n] for n in names if n in request.headers}
        return await self.http.request(
            request.method, url, content=body, headers=headers
        )

    async def answer(self, request: Request) -> Response:
        body, path = await request.body(), request.url.path
        if self.lie == "silence":
            await asyncio.sleep(60)
        if path == "/v0/append" and self.lie == "swallow":
            # Says what it said the last time, and tells the ledger nothing.
            return Response(self.recorded["POST" + path])
        true = await self.ask(request, body)
        said = true.content
        if true.status_code == 200:
            said = self.twist(request.method + path, said)
        return Response(said, true.status_code)

    def twist(self, what: str, said: bytes) -> bytes:
        if self.lie == "replay" and "/v0/proofs/" in what:
            return self.recorded[what]
        if self.lie == "none":
            self.recorded[what] = said
        if "/v0/topics/" in what:
            return encode(self.twist_records(parse(said, SIZE)))
        if "/v0/proofs/" in what and self.lie == "other-topic":
            return next(
                v for k, v in self.recorded.items() if k != what and "proofs" in k
            )
        if what == "GET/v0/descriptor" and self.lie == "descriptor":
            return said.replace(b"\x05", b"\x06", 1)
        return said

    def twist_records(self, records: Any) -> Any:
        match self.lie:
            case "withhold":
                return records[:-1] if len(records) > 1 else []
            case "reorder":
                return [*records[:-2], records[-1], records[-2]]
            case "alter":
                time_ms, entry = records[-1]
                spoilt = entry[:-1] + bytes([entry[-1] ^ 1])
                return [*records[:-1], [time_ms, spoilt]]
            case "backdate":
                time_ms, entry = records[-1]
                return [*records[:-1], [time_ms - 1, entry]]
        return records

    async def switch(self, request: Request) -> Response:
        self.lie = request.path_params["name"]
        return Response()

    async def watch(self, socket: WebSocket) -> None:
        await socket.accept()
        if self.lie == "deaf":
            await asyncio.sleep(60)
        url = f"wss://{self.true}{socket.url.path}?{socket.url.query}"
        async with connect(url, ssl=unverified(), max_size=SIZE, proxy=None) as true:
            try:
                async for frame in true:
                    assert isinstance(frame, bytes)
                    await socket.send_bytes(frame)
            except (WebSocketDisconnect, RuntimeError):
                return


def main(home: str, true: str, twin: str = "") -> None:
    Path(home).mkdir(mode=0o700, exist_ok=True)
    tls, liar = open_tls(Path(home)), Liar(true, twin)
    routes = [
        Route("/lie/{name}", liar.switch, methods=["POST"]),
        WebSocketRoute("/v0/watch/{topic}", liar.watch),
        Route("/{path:path}", liar.answer, methods=["GET", "POST", "PUT"]),
    ]
    config = uvicorn.Config(
        Starlette(routes=routes),
        port=0,
        ssl_certfile=tls.certificate,
        ssl_keyfile=tls.key,
        ssl_context_factory=lambda *_: server_context(tls),
        ws="websockets-sansio",
        lifespan="off",
        log_config=None,
        timeout_graceful_shutdown=1,
    )
    server = Announcing(config)
    server.pin = tls.pin
    asyncio.run(server.serve())


class Announcing(uvicorn.Server):
    pin = b""

    async def startup(self, sockets: Any = None) -> None:
        await super().startup(sockets)
        port = self.servers[0].sockets[0].getsockname()[1]
        ready = {"address": f"127.0.0.1:{port}", "pin": self.pin.hex()}
        sys.stdout.write(json.dumps(ready | {"ledger_id": ""}) + "\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main(*sys.argv[1:])

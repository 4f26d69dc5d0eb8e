# SPDX-License-Identifier: Apache-2.0
"""How does a gateway process start, say that it is ready, and stop?

Always a process of its own, without any key of a member.  It ends on SIGTERM, SIGINT,
or, when another process started it, as soon as that one is gone.
"""

import asyncio
import contextlib
import os
import secrets
import signal
import socket
import ssl
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final, TypeAlias

import uvicorn

from incamera.errors import Code, UsageError
from incamera.ledger.book import StorageLimits
from incamera.ledger.engine import Setup
from incamera.ledger.sqlite import sqlite_ledger
from incamera.node.files import make_home, read_private, replace
from incamera.node.gateway.app import make_app
from incamera.node.gateway.config import LEDGER_FILE, GatewayConfig
from incamera.node.gateway.service import Service
from incamera.node.gateway.tls import TlsFiles, open_tls, server_context
from incamera.node.ports import SystemClock
from incamera.node.relay_frames import MAX_FRAME
from incamera.protocol.descriptor import embedded_descriptor
from incamera.protocol.secret import Secret
from incamera.protocol.signer import Ed25519Signer

Announce: TypeAlias = Callable[[dict[str, str]], None]
_SEED_BYTES: Final = 32
_KEEP_ALIVE_S: Final = 30
"""Between two requests of one client: a new TLS connection costs more."""
_SHUTDOWN_S: Final = 3
_WS_QUEUE: Final = 4
"""Frames read ahead of one client; the rest waits in its own socket."""
_PING_S: Final = 15
"""A client that answers no ping for so long is gone; its queue waits for it."""


async def run_gateway(config: GatewayConfig, announce: Announce) -> None:
    """Run a gateway until it is told to stop.

    `announce` gets `{"address", "pin", "ledger_id"}`, ids in hex, when it takes
    connections.  Raises UsageError: ALREADY_RUNNING, BAD_ARGUMENT, STORAGE.
    """
    make_home(config.home)
    tls = open_tls(config.home)
    signer = _checkpoint_signer(config.home)
    setup = Setup(
        signer,
        SystemClock(),
        embedded_descriptor(signer.public, period_s=config.period_s),
        limits=StorageLimits(config.limits.open_bytes, config.limits.follow_bytes),
    )
    ledger = await asyncio.to_thread(
        sqlite_ledger,
        config.home / LEDGER_FILE,
        setup,
        max_bytes=config.limits.ledger_bytes,
    )
    service = Service(config, ledger, tls.pin)
    try:
        with _listen(config) as listener:
            await _serve(config, service, (listener, tls), announce)
    finally:
        await service.close()


class GatewayServer(uvicorn.Server):
    """Says when it listens, and leaves signals to us.

    On SIGTERM uvicorn would end the process before the ledger is closed.
    """

    ready: Callable[[], None]

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self.ready()


async def _serve(
    config: GatewayConfig,
    service: Service,
    wire: tuple[socket.socket, TlsFiles],
    announce: Announce,
) -> None:
    listener, tls = wire
    server = make_server(service, tls)
    _stop_on_signals(server)
    if config.parent:
        _stop_with_parent(server)
    server.ready = lambda: announce(_ready(config, service, listener))
    tidy = asyncio.create_task(service.tidy_for_ever())
    try:
        await server.serve(sockets=[listener])
    finally:
        tidy.cancel()


def make_server(service: Service, tls: TlsFiles) -> GatewayServer:
    """Return the HTTPS and WebSocket server of a service; `ready` is to be set."""

    def context(*_: object) -> ssl.SSLContext:
        return server_context(tls)

    settings = uvicorn.Config(
        make_app(service),
        ssl_certfile=tls.certificate,
        ssl_keyfile=tls.key,
        ssl_context_factory=context,
        http="h11",
        ws="websockets-sansio",
        ws_max_size=MAX_FRAME,
        ws_max_queue=_WS_QUEUE,
        ws_ping_interval=_PING_S,
        ws_ping_timeout=_PING_S,
        # Compression tells the network how guessable what we send is.
        ws_per_message_deflate=False,
        lifespan="off",
        log_config=None,
        access_log=False,
        proxy_headers=False,
        server_header=False,
        limit_concurrency=service.limits.connections,
        timeout_keep_alive=_KEEP_ALIVE_S,
        timeout_graceful_shutdown=_SHUTDOWN_S,
    )
    return GatewayServer(settings)


def _listen(config: GatewayConfig) -> socket.socket:
    family = socket.AF_INET6 if ":" in config.host else socket.AF_INET
    # asyncio sends without delay only where the protocol is named; else each answer
    # waits 40 ms for the acknowledgement of its own header.
    listener = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((config.host, config.port))
    except OSError as error:
        listener.close()
        message = f"cannot listen at {config.host}:{config.port}: {error.strerror}"
        raise UsageError(Code.BAD_ARGUMENT, message) from None
    return listener


def _ready(
    config: GatewayConfig, service: Service, listener: socket.socket
) -> dict[str, str]:
    host = f"[{config.host}]" if ":" in config.host else config.host
    address = config.address or f"{host}:{listener.getsockname()[1]}"
    return {
        "address": address,
        "pin": service.pin.hex(),
        "ledger_id": service.ledger.ledger_id.hex(),
    }


def _checkpoint_signer(home: Path) -> Ed25519Signer:
    """Return the key by which the ledger signs, made now if there is none."""
    path = home / "checkpoint.key"
    if not path.exists():
        replace(path, secrets.token_bytes(_SEED_BYTES))
    return Ed25519Signer(Secret(read_private(path, _SEED_BYTES)))


def _stop_on_signals(server: uvicorn.Server) -> None:
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, _stop, server)


def _stop_with_parent(server: uvicorn.Server) -> None:
    loop = asyncio.get_running_loop()
    pipe = sys.stdin.fileno()

    def readable() -> None:
        # The parent never writes: what can be read is the end.
        if not os.read(pipe, 4096):
            loop.remove_reader(pipe)
            _stop(server)

    loop.add_reader(pipe, readable)


def _stop(server: uvicorn.Server) -> None:
    server.should_exit = True

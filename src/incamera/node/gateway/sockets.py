# SPDX-License-Identifier: Apache-2.0
"""How do the relay and the watch speak over WebSocket (spec/relay.md, section 2)?"""

import asyncio
import contextlib
import os
from collections.abc import AsyncIterator
from typing import Final

from starlette.websockets import WebSocket, WebSocketDisconnect

from incamera.errors import Code, IncameraError, LedgerError, PeerError
from incamera.ledger.base import MAX_READ, Appended
from incamera.node.gateway.closing import (
    CLOSE_FAILED,
    CLOSE_MALFORMED,
    CLOSE_NOT_ALLOWED,
    CLOSE_NOT_PROVEN,
    CLOSE_SLOW,
    CLOSE_TOO_MANY,
)
from incamera.node.gateway.intake import address_key
from incamera.node.gateway.service import Service
from incamera.node.relay_frames import (
    Answer,
    Challenge,
    encode_frame,
    parse_frame,
    verify_answer,
)
from incamera.protocol.encoding import Value, encode
from incamera.protocol.ids import MeetingId, TopicId
from incamera.protocol.proof import RECORD, encode_proof

_CHALLENGE_BYTES: Final = 32
_CLOSE_S: Final = 2
"""Seconds that a closing client gets; then the connection is cut."""
_MAX_REASON: Final = 100


class BinarySocket:
    """A WebSocket of binary messages; any other message is a broken connection."""

    def __init__(self, socket: WebSocket) -> None:
        self._socket = socket

    async def send(self, data: bytes) -> None:
        """Send one message; waits while the receiver is slow."""
        with contextlib.suppress(WebSocketDisconnect, RuntimeError):
            await self._socket.send_bytes(data)

    async def receive(self) -> bytes | None:
        """Return the next message, None when the socket is closed."""
        try:
            return await self._socket.receive_bytes()
        except (WebSocketDisconnect, KeyError, RuntimeError):
            return None

    async def close(self, code: int, reason: str = "") -> None:
        """Close; does nothing on a closed socket and never waits long."""
        with contextlib.suppress(WebSocketDisconnect, RuntimeError, TimeoutError):
            async with asyncio.timeout(_CLOSE_S):
                await self._socket.close(code, reason[:_MAX_REASON])


@contextlib.asynccontextmanager
async def _accepted(raw: WebSocket) -> AsyncIterator[tuple[Service, BinarySocket]]:
    """Accept a WebSocket within the limits; its errors close it with their code."""
    service: Service = raw.app.state.service
    address = address_key(raw.client.host if raw.client else "")
    await raw.accept()
    socket = BinarySocket(raw)
    try:
        service.count_request(address)
        service.sockets.open(address)
    except LedgerError as error:
        await socket.close(CLOSE_TOO_MANY, error.code.value)
        return
    try:
        yield service, socket
    finally:
        service.sockets.close(address)


async def relay_socket(raw: WebSocket) -> None:
    """Serve one relay connection."""
    meeting = MeetingId(raw.path_params["meeting"])
    async with _accepted(raw) as (service, socket):
        challenge = os.urandom(_CHALLENGE_BYTES)
        await socket.send(encode_frame(Challenge(challenge=challenge)))
        try:
            answer = await _answer(service, socket, meeting, challenge)
        except TimeoutError:
            await socket.close(CLOSE_SLOW)
            return
        except PeerError as error:
            await socket.close(CLOSE_NOT_PROVEN, error.code.value)
            return
        try:
            room = await service.rooms.open(meeting)
            room.admit(answer, challenge)
        except IncameraError as error:
            await socket.close(CLOSE_NOT_ALLOWED, error.code.value)
            return
        await room.serve(answer.mvk, socket)


async def _answer(
    service: Service, socket: BinarySocket, meeting: MeetingId, challenge: bytes
) -> Answer:
    async with asyncio.timeout(service.limits.answer_s):
        data = await socket.receive()
    frame = parse_frame(data or b"")
    if not isinstance(frame, Answer):
        raise PeerError(Code.SCHEMA, "not an answer to the challenge")
    verify_answer(frame, challenge, pin=service.pin, meeting=meeting)
    return frame


async def watch_socket(raw: WebSocket) -> None:
    """Send the records of a topic from a number on, then each new one, with proofs."""
    topic = TopicId(raw.path_params["topic"])
    start = raw.query_params.get("start", "0")
    async with _accepted(raw) as (service, socket):
        if not start.isdigit():
            await socket.close(CLOSE_MALFORMED)
            return
        sender = asyncio.create_task(_send_records(service, socket, topic, int(start)))
        closed = asyncio.create_task(socket.receive())
        done, pending = await asyncio.wait(
            [sender, closed], return_when=asyncio.FIRST_COMPLETED
        )
        for task in pending:
            task.cancel()
        await asyncio.gather(*done, *pending, return_exceptions=True)
        await socket.close(CLOSE_FAILED)


async def _send_records(
    service: Service, socket: BinarySocket, topic: TopicId, sent: int
) -> None:
    """One frame for all that is new: `[first, [records], proof]`."""
    ledger = service.ledger
    async for event in ledger.watch(topic, start=sent):
        if not isinstance(event, Appended) or event.index < sent:
            continue
        proof = await ledger.prove(topic)
        while sent < proof.count:
            limit = min(MAX_READ, proof.count - sent)
            records = await ledger.read(topic, start=sent, limit=limit)
            frame: Value = [
                sent,
                [RECORD.encode(record) for record in records],
                encode_proof(proof),
            ]
            await socket.send(encode(frame))
            sent += len(records)

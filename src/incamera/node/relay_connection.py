# SPDX-License-Identifier: Apache-2.0
"""One member's connection to the relay of one meeting (spec/relay.md, sections 2 to 4).

A delivery is acknowledged when the next one is asked for: whoever saves what it got
before asking again loses nothing when the connection breaks.  Reconnecting is the
caller's business; what was not acknowledged then comes again.
"""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from typing import Final, TypeVar

from websockets.asyncio.client import ClientConnection
from websockets.exceptions import ConnectionClosed

from incamera.errors import Code, IncameraError, LedgerError, PeerError
from incamera.node.gateway_client import GatewayClient, shown_key
from incamera.node.path import Message, OpenPath, Path
from incamera.node.relay_frames import (
    MAX_FRAME,
    Challenge,
    Delivered,
    Delivery,
    Frame,
    Post,
    Posted,
    Ready,
    Refused,
    answer_challenge,
    encode_frame,
    parse_frame,
)
from incamera.protocol.ids import Kid, MeetingId
from incamera.protocol.ports import Signer
from incamera.protocol.seat import Seat

F = TypeVar("F", Challenge, Ready)
MAX_UNREAD: Final = 1024 * 1024
"""Bytes delivered and not yet asked for: an honest relay keeps to 512 kB."""
ANSWER_S: Final = 10
"""Seconds that the gateway gets for each of its answers."""


class RelayConnection:
    """Post to and receive from the others of one meeting."""

    def __init__(self, socket: ClientConnection, ready: Ready) -> None:
        """Use `open_relay`, which proves our key first."""
        self.role = ready.role
        self.kid = ready.kid
        self._socket = socket
        self._inbox: asyncio.Queue[Delivery | None] = asyncio.Queue()
        self._answers: dict[int, asyncio.Future[Posted | Refused]] = {}
        self._unread = 0
        self._posts = 0
        self._closing = False
        self._reason: IncameraError = LedgerError(Code.UNREACHABLE, "relay closed")
        self._reader = asyncio.create_task(self._read())

    async def send(self, to: Kid | None, message: bytes) -> tuple[Kid, ...]:
        """Post a message to one receiver, or to all other members (None).

        Returns who did not get it because its queue is full, once it is in the queue of
        everybody else.  Raises PeerError: NOT_ALLOWED, TOO_LARGE; LedgerError:
        QUEUE_FULL (the one receiver's), QUOTA, UNREACHABLE.
        """
        self._posts += 1
        number = self._posts
        answer = asyncio.get_running_loop().create_future()
        self._answers[number] = answer
        try:
            post = Post(number=number, to=to, message=message)
            await self._put(post)
            async with asyncio.timeout(ANSWER_S):
                reply = await answer
        except TimeoutError:
            raise LedgerError(Code.UNREACHABLE, "no answer from the relay") from None
        finally:
            del self._answers[number]
        if isinstance(reply, Refused):
            raise _refusal(reply)
        return reply.full or ()

    async def __aiter__(self) -> AsyncIterator[Message]:
        """Yield what others post; ends with the error that closed the connection.

        Raises PeerError(NOT_ALLOWED) once we are dropped, PeerError(ENDED) after the
        meeting, LedgerError(UNREACHABLE) when the connection broke.  Ends silently
        after `close`.
        """
        while (delivery := await self._inbox.get()) is not None:
            self._unread -= len(delivery.message)
            yield Message(delivery.sender, delivery.message)
            with contextlib.suppress(LedgerError):
                await self._put(Delivered(number=delivery.number))
        if not self._closing:
            raise self._reason

    async def close(self) -> None:
        """Close the connection."""
        self._closing = True
        await self._socket.close()
        await asyncio.gather(self._reader, return_exceptions=True)

    async def _put(self, frame: Frame) -> None:
        try:
            await self._socket.send(encode_frame(frame))
        except ConnectionClosed:
            raise self._reason from None

    async def _read(self) -> None:
        try:
            async for data in self._socket:
                self._got(parse_frame(data if isinstance(data, bytes) else b""))
        except ConnectionClosed:
            pass
        except PeerError:
            await self._socket.close()
        finally:
            self._reason = _close_reason(self._socket)
            self._inbox.put_nowait(None)
            for answer in self._answers.values():
                if not answer.done():
                    answer.set_exception(self._reason)

    def _got(self, frame: Frame) -> None:
        match frame:
            case Delivery(message=message):
                self._unread += len(message)
                if self._unread > MAX_UNREAD:
                    raise PeerError(Code.TOO_LARGE, "the relay ignores our pace")
                self._inbox.put_nowait(frame)
            case Posted(number=number) | Refused(number=number):
                answer = self._answers.get(number)
                if answer is not None and not answer.done():
                    answer.set_result(frame)
            case Ready(role=role):
                self.role = role
            case _:
                raise PeerError(Code.SCHEMA, "not a gateway's frame")


async def open_relay(
    client: GatewayClient,
    *,
    meeting: MeetingId,
    signer: Signer,
    gate: Signer | None = None,
) -> RelayConnection:
    """Connect to a meeting's relay as the holder of `signer`.

    `gate` is needed until our request is on the ledger.  Raises PeerError: NO_GATE,
    NOT_ALLOWED, ENDED, UNKNOWN_TOPIC, BAD_SIGNATURE; LedgerError: UNREACHABLE, TLS_PIN,
    QUOTA.
    """
    path = f"/v0/relay/{meeting.hex()}"
    socket = await client.connect(path, max_size=MAX_FRAME)
    try:
        async with asyncio.timeout(ANSWER_S):
            challenge = await _receive(socket, Challenge)
            answer = answer_challenge(
                challenge.challenge,
                # Of this very connection: a gateway cannot pass on another's challenge.
                pin=shown_key(socket),
                meeting=meeting,
                signer=signer,
                gate=gate,
            )
            await socket.send(encode_frame(answer))
            ready = await _receive(socket, Ready)
    except ConnectionClosed:
        raise _close_reason(socket) from None
    except TimeoutError:
        await socket.close()
        raise LedgerError(Code.UNREACHABLE, "no answer from the relay") from None
    except PeerError:
        await socket.close()
        raise
    return RelayConnection(socket, ready)


def relay_of(client: GatewayClient) -> OpenPath:
    """Return what opens paths through the relay of this gateway."""

    async def open_path(seat: Seat, gate: Signer | None, /) -> Path:
        return await open_relay(
            client, meeting=seat.meeting, signer=seat.signer, gate=gate
        )

    return open_path


async def _receive(socket: ClientConnection, kind: type[F]) -> F:
    data = await socket.recv()
    frame = parse_frame(data if isinstance(data, bytes) else b"")
    if not isinstance(frame, kind):
        raise PeerError(Code.SCHEMA, f"not a {kind.__name__.lower()}")
    return frame


def _refusal(refused: Refused) -> IncameraError:
    code = _code(refused.code)
    if code in (Code.QUEUE_FULL, Code.QUOTA, Code.UNREACHABLE):
        return LedgerError(code, "the relay did not take the message")
    return PeerError(code, "the relay refused the message")


def _close_reason(socket: ClientConnection) -> IncameraError:
    code, reason = socket.close_code, socket.close_reason or ""
    match code:
        case 4400:
            return PeerError(Code.SCHEMA, "the relay did not understand us")
        case 4401 | 4403:
            found = _code(reason) if reason else Code.NOT_ALLOWED
            return PeerError(found, "the relay does not let us in")
        case 4409:
            return PeerError(Code.DUPLICATE, "a newer connection took our place")
        case 4410:
            return PeerError(Code.ENDED, "the meeting is over")
        case 4429:
            return LedgerError(Code.QUOTA, "too many connections")
    return LedgerError(Code.UNREACHABLE, "the relay connection broke")


def _code(text: str) -> Code:
    try:
        return Code(text)
    except ValueError:
        return Code.UNREACHABLE

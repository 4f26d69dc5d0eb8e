# SPDX-License-Identifier: Apache-2.0
"""What does the gateway answer over HTTP (spec/ledger.md, section 9)?

Bodies are CBOR.  An error is `{1: code, 2: message}` with a fitting status.
"""

from collections.abc import Awaitable, Callable
from typing import Final, TypeAlias

from starlette.applications import Starlette
from starlette.convertors import Convertor, register_url_convertor
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route, WebSocketRoute

from incamera.errors import Code, IncameraError, LedgerError, PeerError
from incamera.ledger.base import MAX_READ
from incamera.node.gateway.service import Service
from incamera.node.gateway.sockets import relay_socket, watch_socket
from incamera.node.permits import HEADER
from incamera.node.relay_blobs import MAX_BODY
from incamera.protocol.attestation import ATTESTATION
from incamera.protocol.descriptor import encode_descriptor
from incamera.protocol.encoding import MAX_ENTRY, MAX_UINT, Value, encode
from incamera.protocol.ids import MeetingId, TopicId
from incamera.protocol.proof import RECEIPT, RECORD, encode_proof

MEDIA_TYPE: Final = "application/cbor"
_STATUS: Final = {
    Code.NOT_ALLOWED: 403,
    Code.UNKNOWN_TOPIC: 404,
    Code.TOO_LARGE: 413,
    Code.QUOTA: 429,
    Code.UNREACHABLE: 503,
    Code.STORAGE: 507,
}
_PEER_STATUS: Final = 422
_LEDGER_STATUS: Final = 500
Endpoint: TypeAlias = Callable[[Request], Awaitable[Response]]


class _Hex32(Convertor[bytes]):
    """A 32-byte id in the path, in lower-case hexadecimal digits."""

    regex = "[0-9a-f]{64}"

    def convert(self, value: str) -> bytes:
        return bytes.fromhex(value)

    def to_string(self, value: bytes) -> str:
        return value.hex()


register_url_convertor("hex32", _Hex32())


def make_app(service: Service) -> Starlette:
    """Return the ASGI application of one gateway."""
    routes: list[BaseRoute] = [
        Route("/v0/append", _append, methods=["POST"]),
        Route("/v0/descriptor", _descriptor),
        Route("/v0/topics/{topic:hex32}", _records),
        Route("/v0/proofs/{topic:hex32}", _proof),
        Route("/v0/checkpoint", _checkpoint),
        Route("/v0/consistency", _consistency),
        Route("/v0/blobs/{meeting:hex32}/{name:str}", _get_blob),
        Route("/v0/blobs/{meeting:hex32}/{name:str}", _put_blob, methods=["PUT"]),
        WebSocketRoute("/v0/watch/{topic:hex32}", watch_socket),
        WebSocketRoute("/v0/relay/{meeting:hex32}", relay_socket),
    ]
    app = Starlette(routes=routes, exception_handlers={IncameraError: _refuse})
    app.state.service = service
    return app


def error_body(error: IncameraError) -> bytes:
    """Return the CBOR form of an error."""
    return encode({1: error.code.value, 2: str(error.args[0])})


async def _refuse(_request: Request, error: Exception) -> Response:
    assert isinstance(error, IncameraError)
    fallback = _PEER_STATUS if isinstance(error, PeerError) else _LEDGER_STATUS
    return _cbor(error_body(error), _STATUS.get(error.code, fallback))


def _cbor(body: bytes, status: int = 200) -> Response:
    return Response(body, status, media_type=MEDIA_TYPE)


def _service(request: Request) -> Service:
    """Count the request against its address and return the service."""
    service: Service = request.app.state.service
    host = request.client.host if request.client else ""
    service.count_request(host)
    return service


async def _read_body(request: Request, limit: int) -> bytes:
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > limit:
            raise PeerError(Code.TOO_LARGE, f"more than {limit} bytes")
    return bytes(body)


def _number(request: Request, name: str, default: int | None = None) -> int:
    got = request.query_params.get(name)
    if got is None and default is not None:
        return default
    if got is None or not (got.isascii() and got.isdigit()) or int(got) > MAX_UINT:
        raise PeerError(Code.SCHEMA, f"{name} is not a number")
    return int(got)


async def _append(request: Request) -> Response:
    service = _service(request)
    data = await _read_body(request, MAX_ENTRY)
    host = request.client.host if request.client else ""
    permit = request.headers.get(HEADER)
    receipt, proof = await service.append(data, host=host, permit=permit)
    return _cbor(encode([RECEIPT.encode(receipt), encode_proof(proof)]))


async def _descriptor(request: Request) -> Response:
    return _cbor(encode_descriptor(_service(request).ledger.descriptor))


async def _records(request: Request) -> Response:
    ledger = _service(request).ledger
    start = _number(request, "start", 0)
    limit = min(_number(request, "limit", MAX_READ), MAX_READ)
    topic = TopicId(request.path_params["topic"])
    records = await ledger.read(topic, start=start, limit=limit)
    return _cbor(encode([RECORD.encode(record) for record in records]))


async def _proof(request: Request) -> Response:
    topic = TopicId(request.path_params["topic"])
    return _cbor(encode_proof(await _service(request).ledger.prove(topic)))


async def _checkpoint(request: Request) -> Response:
    newest = await _service(request).ledger.checkpoint()
    return _cbor(encode(ATTESTATION.encode(newest)))


async def _consistency(request: Request) -> Response:
    ledger = _service(request).ledger
    old, new = _number(request, "old"), _number(request, "new")
    path: list[Value] = list(await ledger.consistency(old, new))
    return _cbor(encode(path))


async def _get_blob(request: Request) -> Response:
    meeting = MeetingId(request.path_params["meeting"])
    data = await _service(request).get_blob(meeting, request.path_params["name"])
    if data is None:
        return _cbor(error_body(LedgerError(Code.UNKNOWN_TOPIC, "no such blob")), 404)
    return Response(data, media_type="application/octet-stream")


async def _put_blob(request: Request) -> Response:
    service = _service(request)
    meeting = MeetingId(request.path_params["meeting"])
    body = await _read_body(request, MAX_BODY)
    await service.put_blob(meeting, request.path_params["name"], body)
    return Response(status_code=204)

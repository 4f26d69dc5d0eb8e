# SPDX-License-Identifier: Apache-2.0
"""Is this really the gateway of the link (spec/relay.md, section 2)?

A link that carries a pin trusts exactly one key.  The certificate is fetched and its
key's hash compared first; requests then go out under a context that accepts this one
certificate and nothing else, so no byte of a request reaches another key.  A link
without a pin relies on the system's certificate authorities.
"""

import asyncio
import hmac
import ssl
from dataclasses import dataclass
from typing import Final

from incamera.errors import Code, LedgerError
from incamera.node.spki import spki_pin

CONNECT_S: Final = 10
"""Equal to the time after which a ledger without any answer is unreachable."""


@dataclass(frozen=True, slots=True)
class Place:
    """Where a gateway is reached."""

    host: str
    port: int

    def __str__(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{host}:{self.port}"


def parse_place(address: str, default_port: int = 443) -> Place:
    """Return the place that `host[:port]` or `[v6][:port]` names.

    Raises LedgerError(UNREACHABLE) for anything else.
    """
    host, colon, port = address.rpartition(":")
    if not colon or port.endswith("]"):
        host, port = address, str(default_port)
    host = host.removeprefix("[").removesuffix("]")
    if not host or not (port.isascii() and port.isdigit()) or int(port) > 0xFFFF:
        raise LedgerError(Code.UNREACHABLE, "not an address of a gateway")
    return Place(host, int(port))


async def trusted_context(place: Place, pin: bytes | None) -> ssl.SSLContext:
    """Return a TLS context that trusts the gateway at `place` alone.

    Raises LedgerError: TLS_PIN if another key answers there, UNREACHABLE.
    """
    if pin is None:
        context = ssl.create_default_context()
        context.minimum_version = ssl.TLSVersion.TLSv1_3
        return context
    certificate = await _fetch_certificate(place)
    if not hmac.compare_digest(spki_pin(certificate), pin):
        raise LedgerError(Code.TLS_PIN, f"another key answers at {place}")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.minimum_version = ssl.TLSVersion.TLSv1_3
    # The name says nothing: the certificate itself is what we trust.
    context.check_hostname = False
    context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN
    context.load_verify_locations(cadata=certificate)
    return context


async def _fetch_certificate(place: Place) -> bytes:
    # Accepts any certificate, and sends nothing: only the handshake's own bytes.
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.minimum_version = ssl.TLSVersion.TLSv1_3
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    try:
        async with asyncio.timeout(CONNECT_S):
            _, writer = await asyncio.open_connection(
                place.host, place.port, ssl=context
            )
    except (OSError, TimeoutError) as error:
        raise LedgerError(Code.UNREACHABLE, f"no answer from {place}") from error
    certificate = peer_certificate(writer)
    writer.transport.abort()
    return certificate


def peer_certificate(connection: asyncio.StreamWriter) -> bytes:
    """Return the certificate that the other side of a connection proved to hold."""
    tls = connection.get_extra_info("ssl_object")
    assert isinstance(tls, ssl.SSLObject)
    certificate = tls.getpeercert(binary_form=True)
    assert certificate is not None  # a TLS server always shows one
    return certificate

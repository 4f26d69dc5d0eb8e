# SPDX-License-Identifier: Apache-2.0
"""How to look for secrets: in memory, in files and in what went over a wire."""

import base64
import ssl
from collections.abc import Iterator
from contextlib import closing
from http.client import HTTPSConnection
from pathlib import Path


def alive(pid: int) -> bool:
    """Say whether a process runs (a zombie does not)."""
    try:
        return (
            Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
        )
    except OSError:
        return False


def pages(pid: int) -> Iterator[bytes]:
    """Yield all writable memory of a process, in runs of pages that are not zero."""
    with Path(f"/proc/{pid}/mem").open("rb", buffering=0) as memory:
        for line in Path(f"/proc/{pid}/maps").read_text().splitlines():
            span, rights, *rest = line.split()
            if not rights.startswith("rw") or rest[-1] in {"[vvar]", "[vsyscall]"}:
                continue
            start, end = (int(number, 16) for number in span.split("-"))
            try:
                memory.seek(start)
                data = memory.read(end - start) or b""
            except (OSError, OverflowError):  # guard pages, devices
                continue
            for at in range(0, len(data), 4096):
                page = data[at : at + 4096]
                if page.strip(b"\0"):
                    yield page


def files_of(folder: Path) -> bytes:
    files = sorted(f for f in folder.rglob("*") if f.is_file())
    return b"".join(f.read_bytes() for f in files)


def forms(secret: bytes) -> list[bytes]:
    """A secret raw, in hex, and in base64 at any offset."""
    found = [secret, secret.hex().encode(), secret.hex().upper().encode()]
    for shift in range(3):
        # Base64 of a middle part depends on the offset modulo 3; its ends on others.
        middle = base64.b64encode(bytes(shift) + secret)[4 if shift else 0 : -4]
        found += [middle, middle.translate(bytes.maketrans(b"+/", b"-_"))]
    return found


def holds(place: bytes, secret: bytes) -> bool:
    """Say whether a place has a secret in any form."""
    return any(form in place for form in forms(secret))


def unmasked(stream: bytes) -> bytes:
    """Add the plain content of a client's WebSocket frames to what it sent."""
    head, end, rest = stream.partition(b"\r\n\r\n")
    if b"pgrade: websocket" not in head:
        return stream
    found, at = bytearray(stream + end), 0
    while at + 2 <= len(rest):
        size, at = rest[at + 1] & 127, at + 2
        if size > 125:
            more = 2 if size == 126 else 8
            size, at = int.from_bytes(rest[at : at + more], "big"), at + more
        mask, at = rest[at : at + 4], at + 4
        body = rest[at : at + size]
        found += bytes(b ^ mask[i & 3] for i, b in enumerate(body))
        at += size
    return bytes(found)


def visit(address: str, path: str) -> None:
    """Ask a person's gateway for something, as anybody can."""
    trust = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    trust.check_hostname, trust.verify_mode = False, ssl.CERT_NONE
    connection = HTTPSConnection(address, context=trust)
    connection.request("GET", path)
    with closing(connection), connection.getresponse() as answer:
        answer.read()


def keys_of(secrets: dict[bytes, str]) -> dict[bytes, str]:
    """Leave out nonces, salts and commitments, which are public."""
    public = ("<nonce<", "<commitment<")
    return {
        secret: name
        for secret, name in secrets.items()
        if len(secret) >= 32 and not any(word in name for word in public)
    }

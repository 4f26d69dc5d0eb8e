# SPDX-License-Identifier: Apache-2.0
"""How a case is written down: inputs, then what came of them, or the error's code."""

from collections.abc import Callable
from dataclasses import fields, is_dataclass
from hashlib import sha256
from typing import Any

from incamera.errors import Code, IncameraError
from incamera.protocol.secret import Secret
from incamera.protocol.signer import Ed25519Signer

Case = dict[str, Any]


def digest(text: str) -> bytes:
    """Return 32 fixed bytes that stand for something named."""
    return sha256(text.encode()).digest()


def secret(text: str) -> Secret:
    """Return 32 fixed secret bytes."""
    return Secret(bytearray(digest(text)))


def signer(text: str) -> Ed25519Signer:
    """Return the signer whose seed is `digest(text)`."""
    return Ed25519Signer(secret(text))


def plain(value: Any) -> Any:
    """Return a value as JSON has it: bytes and secrets in hex, records as objects."""
    if isinstance(value, bytes | bytearray):
        return value.hex()
    if isinstance(value, Secret):
        return value.buffer.hex()
    if is_dataclass(value):
        return {f.name: plain(getattr(value, f.name)) for f in fields(value)}
    if isinstance(value, dict):
        return {name: plain(item) for name, item in value.items()}
    if isinstance(value, tuple | list):
        return [plain(item) for item in value]
    return value


def holds(
    name: str, operation: str, inputs: dict[str, Any], action: Callable[[], Any]
) -> Case:
    """Return a case that succeeds; `action` gives what is expected."""
    head = {"name": name, "operation": operation}
    return {**head, **plain(inputs), "expect": plain(action())}


def fails(
    name: str,
    operation: str,
    inputs: dict[str, Any],
    *,
    action: Callable[[], Any],
    code: Code,
) -> Case:
    """Return a case that is refused with `code`; raises ValueError if it is not."""
    head = {"name": name, "operation": operation}
    try:
        action()
    except IncameraError as error:
        if error.code is code:
            return {**head, **plain(inputs), "error": code.value}
        raise
    raise ValueError(f"{name} was not refused")


def file(about: str, cases: list[Case]) -> dict[str, object]:
    """Return a whole vector file."""
    return {"format": "incamera vectors 0", "about": about, "cases": cases}

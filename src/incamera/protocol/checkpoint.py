# SPDX-License-Identifier: Apache-2.0
"""What did the ledger sign about its whole log, and when (spec/ledger.md, section 6)?

A C2SP tlog-checkpoint in a C2SP signed note:

    incamera.invalid/<ledger id, 64 hex>
    <size>
    <base64 root>
    map <base64 map root>
    time <ms>

    — incamera.invalid/<ledger id> <base64 of key id and Ed25519 signature>

The two extension lines repeat the last log leaf, because witnesses vouch for leaves
alone.  The ledger's own signature stands first; cosignatures may follow.
"""

import base64
import binascii
from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import sha256
from typing import Final

from incamera.errors import Code, PeerError
from incamera.protocol.encoding import MAX_UINT
from incamera.protocol.ids import LedgerId, VerifyKey
from incamera.protocol.log import HASH_BYTES
from incamera.protocol.ports import Signer
from incamera.protocol.signing import verify_signature

MAX_NOTE: Final = 8192
"""Bytes of one note: our signature and 16 ML-DSA cosignatures do not fit, 2 do."""
MAX_SIGNATURES: Final = 17
"""The ledger's and those of 16 witnesses."""
ORIGIN: Final = "incamera.invalid/"
_ED25519: Final = b"\1"
"""Signature type of an Ed25519 note signature (C2SP signed-note)."""
_KEY_ID_BYTES: Final = 4


@dataclass(frozen=True, slots=True, kw_only=True)
class Checkpoint:
    """Size and root of the log, map root and time (ms) of its last leaf."""

    ledger: LedgerId
    size: int
    root: bytes
    map_root: bytes
    time_ms: int


@dataclass(frozen=True, slots=True)
class NoteSignature:
    """One signature line: key name, 4-byte key id and what the key's type says."""

    name: str
    key_id: bytes
    signature: bytes


@dataclass(frozen=True, slots=True)
class Note:
    """A checkpoint and the signatures under it, the ledger's first."""

    checkpoint: Checkpoint
    signatures: tuple[NoteSignature, ...]


def origin_of(ledger: LedgerId) -> str:
    """Return the checkpoint's first line, which is the name of the ledger's key too."""
    return ORIGIN + ledger.hex()


def key_id_of(name: str, key: VerifyKey) -> bytes:
    """Return the key id of an Ed25519 key in signed notes (C2SP signed-note)."""
    return sha256(name.encode() + b"\n" + _ED25519 + key).digest()[:_KEY_ID_BYTES]


def format_checkpoint(checkpoint: Checkpoint) -> str:
    """Return the text that is signed."""
    lines = [
        origin_of(checkpoint.ledger),
        str(checkpoint.size),
        _to_base64(checkpoint.root),
        f"map {_to_base64(checkpoint.map_root)}",
        f"time {checkpoint.time_ms}",
    ]
    return "\n".join(lines) + "\n"


def format_note(note: Note) -> str:
    """Return the note's text."""
    lines = [
        f"— {item.name} {_to_base64(item.key_id + item.signature)}\n"
        for item in note.signatures
    ]
    return format_checkpoint(note.checkpoint) + "\n" + "".join(lines)


def parse_note(text: str) -> Note:
    """Parse a note: the one text of its value, or PeerError(BAD_CHECKPOINT).

    Verifies no signature.
    """
    if len(text) > MAX_NOTE or len(text.encode(errors="replace")) > MAX_NOTE:
        raise PeerError(Code.TOO_LARGE, "checkpoint note too large")
    try:
        note = _read_note(text)
    except (ValueError, binascii.Error) as error:
        raise _bad("malformed checkpoint") from error
    if format_note(note) != text:
        raise _bad("checkpoint is not in canonical form")
    return note


def sign_checkpoint(checkpoint: Checkpoint, signer: Signer) -> Note:
    """Return the checkpoint as a note signed by the ledger's key."""
    name = origin_of(checkpoint.ledger)
    signature = signer.sign(format_checkpoint(checkpoint).encode())
    line = NoteSignature(name, key_id_of(name, signer.public), signature)
    return Note(checkpoint, (line,))


def verify_note(note: Note, *, ledger: LedgerId, key: VerifyKey) -> Checkpoint:
    """Return the checkpoint if the key of `ledger` signed it.

    Raises PeerError: WRONG_LEDGER for another ledger's, BAD_CHECKPOINT if the first
    signature is not the ledger's.
    """
    if note.checkpoint.ledger != ledger:
        raise PeerError(Code.WRONG_LEDGER, "checkpoint of another ledger")
    name, first = origin_of(ledger), note.signatures[0]
    if (first.name, first.key_id) != (name, key_id_of(name, key)):
        raise _bad("checkpoint is not signed by the ledger's key")
    try:
        verify_signature(
            key, first.signature, format_checkpoint(note.checkpoint).encode()
        )
    except PeerError as error:
        raise _bad("checkpoint's signature does not verify") from error
    return note.checkpoint


def _read_note(text: str) -> Note:
    body, _, tail = text.partition("\n\n")
    origin, size, root, map_line, time_line = body.split("\n")
    checkpoint = Checkpoint(
        ledger=LedgerId(_hash(bytes.fromhex(_after(ORIGIN, origin)))),
        size=_number(size),
        root=_hash(_from_base64(root)),
        map_root=_hash(_from_base64(_after("map ", map_line))),
        time_ms=_number(_after("time ", time_line)),
    )
    return Note(checkpoint, _read_signatures(tail.splitlines()))


def _read_signatures(lines: Sequence[str]) -> tuple[NoteSignature, ...]:
    if not 1 <= len(lines) <= MAX_SIGNATURES:
        raise ValueError("too few or too many signatures")
    return tuple(_read_signature(line) for line in lines)


def _read_signature(line: str) -> NoteSignature:
    dash, name, packed = line.split(" ")
    data = _from_base64(packed)
    # ASCII, so that no reader can be made to show one name for another.
    if dash != "—" or not name.isascii() or not name.isprintable() or "+" in name:
        raise ValueError("not a signature line")
    if not name or len(data) <= _KEY_ID_BYTES:
        raise ValueError("not a signature line")
    return NoteSignature(name, data[:_KEY_ID_BYTES], data[_KEY_ID_BYTES:])


def _after(prefix: str, line: str) -> str:
    if not line.startswith(prefix):
        raise ValueError(f"line does not begin with {prefix!r}")
    return line[len(prefix) :]


def _number(text: str) -> int:
    # Bounded before int() sees it; what int() tolerates beyond digits fails the
    # comparison with the canonical text.
    if len(text) > len(str(MAX_UINT)) or not 0 <= int(text) <= MAX_UINT:
        raise ValueError("number out of range")
    return int(text)


def _hash(data: bytes) -> bytes:
    if len(data) != HASH_BYTES:
        raise ValueError("not a hash")
    return data


def _to_base64(data: bytes) -> str:
    return base64.b64encode(data).decode()


def _from_base64(text: str) -> bytes:
    return base64.b64decode(text, validate=True)


def _bad(message: str) -> PeerError:
    return PeerError(Code.BAD_CHECKPOINT, message)

# SPDX-License-Identifier: Apache-2.0
"""Vectors of descriptors and checkpoints (spec/ledger.md, sections 2 and 6).

`operation` descriptor: `data` to its ledger id.  `operation` note: `note` (text), to be
accepted from the ledger of `descriptor`, to its fields.
"""

import base64
from dataclasses import replace
from typing import Any

from incamera.errors import Code
from incamera.protocol.checkpoint import (
    MAX_SIGNATURES,
    Checkpoint,
    NoteSignature,
    format_note,
    sign_checkpoint,
)
from incamera.protocol.descriptor import (
    MAX_NAME,
    MAX_WITNESSES,
    Witness,
    WitnessKind,
    embedded_descriptor,
    encode_descriptor,
    ledger_id_of,
)
from incamera.protocol.encoding import MAX_UINT, Value, encode, parse
from incamera.protocol.log import leaf_hash
from incamera.protocol.secret import Secret
from incamera.protocol.signer import Ed25519Signer

Case = dict[str, Any]
KEY = Ed25519Signer(Secret(bytearray(b"checkpoint key of these vectors.")))
STRANGER = Ed25519Signer(Secret(bytearray(b"key of somebody else altogether.")))
DESCRIPTOR = embedded_descriptor(KEY.public)
DATA = encode_descriptor(DESCRIPTOR)
CHECKPOINT = Checkpoint(
    ledger=ledger_id_of(DATA),
    size=3,
    root=leaf_hash(b"root"),
    map_root=leaf_hash(b"map"),
    time_ms=1_800_000_000_000,
)
NOTE = format_note(sign_checkpoint(CHECKPOINT, KEY))


def build() -> dict[str, object]:
    """Return the whole file."""
    cases = [*descriptors(), *bad_descriptors(), *notes(), *bad_notes()]
    return {
        "format": "incamera vectors 0",
        "about": "descriptors and checkpoint notes: spec/ledger.md, sections 2 and 6",
        "cases": cases,
    }


def descriptors() -> list[Case]:
    """The plain one and the largest."""
    large = Witness(name="w" * MAX_NAME, kind=WitnessKind.ML_DSA, public=bytes(1312))
    full = replace(
        DESCRIPTOR, witnesses=(large,) * MAX_WITNESSES, threshold=MAX_WITNESSES
    )
    named = {"descriptor": DATA, "descriptor, largest": encode_descriptor(full)}
    return [
        {
            "name": name,
            "operation": "descriptor",
            "data": data.hex(),
            "expect": {"ledger": ledger_id_of(data).hex()},
        }
        for name, data in named.items()
    ]


def bad_descriptors() -> list[Case]:
    """One fault each."""
    faults: list[tuple[str, int, Value, Code]] = [
        ("unknown kind", 1, 2, Code.SCHEMA),
        ("unknown genesis", 2, [2, bytes(32)], Code.UNKNOWN_TYPE),
        ("key of no prime order", 2, [1, bytes(32)], Code.BAD_KEY),
        ("witness of an unknown kind", 3, [["w", 5, bytes(32)]], Code.SCHEMA),
        ("threshold above the witnesses", 4, 1, Code.SCHEMA),
        ("period zero", 5, {1: 0, 2: 10, 3: True}, Code.SCHEMA),
        ("unknown field", 9, 1, Code.SCHEMA),
    ]
    fields = parse(DATA)
    assert isinstance(fields, dict), "a descriptor is a map"
    return [
        {
            "name": f"descriptor, {name}",
            "operation": "descriptor",
            "data": encode({**fields, key: value}).hex(),
            "error": code.value,
        }
        for name, key, value, code in faults
    ]


def note_case(name: str, note: str) -> Case:
    """Return what every note case has."""
    return {
        "name": f"note, {name}",
        "operation": "note",
        "descriptor": DATA.hex(),
        "note": note,
    }


def notes() -> list[Case]:
    """Signed by the ledger, alone and with as many cosignatures as fit."""
    limits = replace(CHECKPOINT, size=MAX_UINT, time_ms=MAX_UINT)
    signed = sign_checkpoint(CHECKPOINT, KEY)
    lines = (NoteSignature("witness.example/w", b"abcd", bytes(64)),)
    crowd = replace(signed, signatures=signed.signatures + lines * (MAX_SIGNATURES - 1))
    named = {
        "plain": (CHECKPOINT, NOTE),
        "largest numbers": (limits, format_note(sign_checkpoint(limits, KEY))),
        "sixteen cosignatures": (CHECKPOINT, format_note(crowd)),
    }
    return [
        {**note_case(name, note), "expect": fields_of(checkpoint)}
        for name, (checkpoint, note) in named.items()
    ]


def fields_of(checkpoint: Checkpoint) -> Case:
    """Return a checkpoint's fields."""
    return {
        "ledger": checkpoint.ledger.hex(),
        "size": checkpoint.size,
        "root": checkpoint.root.hex(),
        "map_root": checkpoint.map_root.hex(),
        "time_ms": checkpoint.time_ms,
    }


def bad_notes() -> list[Case]:
    """One fault each."""
    extra = f"\N{EM DASH} w {base64.b64encode(bytes(8)).decode()}\n"
    elsewhere = replace(CHECKPOINT, ledger=ledger_id_of(b"another"))
    faults = [
        ("leading zero", NOTE.replace("\n3\n", "\n03\n")),
        ("number too large", NOTE.replace("\n3\n", f"\n{MAX_UINT + 1}\n")),
        ("altered size", NOTE.replace("\n3\n", "\n4\n")),
        (
            "capital digits",
            NOTE.replace(CHECKPOINT.ledger.hex(), CHECKPOINT.ledger.hex().upper()),
        ),
        ("unpadded root", NOTE.replace("=\nmap", "\nmap")),
        ("lines swapped", swapped()),
        ("a line more", NOTE.replace("\n\n", "\nmore\n\n")),
        ("no last newline", NOTE[:-1]),
        ("no signature", NOTE.split("\N{EM DASH}")[0]),
        ("a stranger's signature", format_note(sign_checkpoint(CHECKPOINT, STRANGER))),
        ("cosignature first", first(extra)),
        ("name that is not ASCII", NOTE + extra.replace(" w ", " \u1e81 ")),
        ("eighteen signatures", NOTE + extra * MAX_SIGNATURES),
    ]
    cases = [
        {**note_case(name, note), "error": Code.BAD_CHECKPOINT.value}
        for name, note in faults
    ]
    other = format_note(sign_checkpoint(elsewhere, KEY))
    large = NOTE + "x" * 8192
    return [
        *cases,
        {**note_case("another ledger", other), "error": Code.WRONG_LEDGER.value},
        {**note_case("too large", large), "error": Code.TOO_LARGE.value},
    ]


def swapped() -> str:
    """Return the note with its extension lines in the other order."""
    lines = NOTE.split("\n")
    lines[3], lines[4] = lines[4], lines[3]
    return "\n".join(lines)


def first(line: str) -> str:
    """Return the note with another signature before the ledger's."""
    text, signatures = NOTE.split("\n\n")
    return f"{text}\n\n{line}{signatures}"

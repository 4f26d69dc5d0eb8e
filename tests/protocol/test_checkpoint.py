# SPDX-License-Identifier: Apache-2.0
"""Checkpoint notes: one text per value, signed by the ledger's key."""

import base64
import json
from collections.abc import Callable
from dataclasses import replace
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from incamera.errors import Code, PeerError
from incamera.protocol.checkpoint import (
    MAX_NOTE,
    Checkpoint,
    Note,
    NoteSignature,
    format_checkpoint,
    format_note,
    key_id_of,
    origin_of,
    parse_note,
    sign_checkpoint,
    verify_note,
)
from incamera.protocol.descriptor import (
    encode_descriptor,
    ledger_id_of,
    parse_descriptor,
)
from incamera.protocol.ids import LedgerId, VerifyKey
from incamera.protocol.signer import Ed25519Signer

Refused = Callable[[Code], Any]
LEDGER = LedgerId(bytes(range(32)))
CHECKPOINT = Checkpoint(
    ledger=LEDGER, size=7, root=b"r" * 32, map_root=b"m" * 32, time_ms=1_700_000_000_000
)


@pytest.fixture
def key(signer: Callable[[int], Ed25519Signer]) -> Ed25519Signer:
    return signer(1)


@pytest.fixture
def text(key: Ed25519Signer) -> str:
    return format_note(sign_checkpoint(CHECKPOINT, key))


def test_note_reads_as_the_specification_shows(text: str, key: Ed25519Signer) -> None:
    origin, size, root, map_line, time_line, empty, line = text.splitlines()
    assert origin == "incamera.invalid/" + bytes(range(32)).hex()
    assert (size, time_line, empty) == ("7", "time 1700000000000", "")
    assert root == base64.b64encode(b"r" * 32).decode()
    assert map_line == "map " + base64.b64encode(b"m" * 32).decode()
    dash, name, packed = line.split(" ")
    assert (dash, name) == ("\N{EM DASH}", origin)
    key_id = sha256(origin.encode() + b"\n\1" + key.public).digest()[:4]
    assert base64.b64decode(packed)[:4] == key_id


def test_signed_note_is_verified(text: str, key: Ed25519Signer) -> None:
    note = parse_note(text)
    assert verify_note(note, ledger=LEDGER, key=key.public) == CHECKPOINT


@settings(deadline=None)  # other work may hold the machine
@given(
    size=st.integers(0, 2**53 - 1),
    time_ms=st.integers(0, 2**53 - 1),
    root=st.binary(min_size=32, max_size=32),
    packed=st.lists(st.binary(min_size=1, max_size=80), min_size=1, max_size=17),
)
def test_format_and_parse_are_inverse(
    size: int, time_ms: int, root: bytes, packed: list[bytes]
) -> None:
    checkpoint = replace(CHECKPOINT, size=size, root=root, time_ms=time_ms)
    lines = tuple(NoteSignature("witness.example/w", b"1234", p) for p in packed)
    note = Note(checkpoint, lines)
    assert parse_note(format_note(note)) == note


@settings(deadline=None)  # other work may hold the machine
@given(st.text(max_size=300))
def test_any_text_is_a_note_or_refused(text: str) -> None:
    try:
        note = parse_note(text)
    except PeerError as error:
        assert error.code is Code.BAD_CHECKPOINT  # noqa: PT017  # not always raised
    else:
        assert format_note(note) == text


def test_every_altered_character_is_refused(text: str, key: Ed25519Signer) -> None:
    for at, character in enumerate(text):
        wrong = "A" if character != "A" else "B"
        altered = text[:at] + wrong + text[at + 1 :]
        with pytest.raises(PeerError) as caught:
            verify_note(parse_note(altered), ledger=LEDGER, key=key.public)
        assert caught.value.code in (Code.BAD_CHECKPOINT, Code.WRONG_LEDGER)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("\n7\n", "\n07\n"),
        ("\n7\n", "\n+7\n"),
        ("\n7\n", "\n7_0\n"),
        ("\n7\n", "\n\u0667\n"),
        ("\n7\n", "\n-7\n"),
        ("\n7\n", "\n9007199254740992\n"),
        ("\n7\n", "\n" + "9" * 5000 + "\n"),
        ("incamera.invalid/00", "incamera.invalid/"),
        ("incamera.invalid/00", "incamera.invalid/0 0"),
        ("incamera.invalid/", "example.org/"),
        ("0a0b", "0A0B"),
        ("map ", "map  "),
        ("map ", "mop "),
        ("time ", "time -"),
        ("\n\n", "\n"),
        ("\n\n", "\nmore\n\n"),
        ("\n\n", "\n\n\n"),
        ("\N{EM DASH} ", "- "),
        ("=\nmap", "\nmap"),
        ("\n", "\r\n"),
    ],
)
def test_other_spellings_are_refused(
    text: str, old: str, new: str, refused: Refused
) -> None:
    assert old in text
    with refused(Code.BAD_CHECKPOINT):
        parse_note(text.replace(old, new, 1))


def test_unfinished_notes_are_refused(text: str, refused: Refused) -> None:
    with refused(Code.BAD_CHECKPOINT):
        parse_note(text[:-1])
    with refused(Code.BAD_CHECKPOINT):
        parse_note(format_checkpoint(CHECKPOINT) + "\n")
    with refused(Code.TOO_LARGE):
        parse_note("x" * (MAX_NOTE + 1))
    with refused(Code.TOO_LARGE):
        parse_note("\N{EM DASH}" * (MAX_NOTE // 2))


@pytest.mark.parametrize("name", ["", "a+b", "w\u00fctness", "a\tb"])
def test_names_that_could_deceive_are_refused(
    text: str, name: str, refused: Refused
) -> None:
    line = f"\N{EM DASH} {name} {base64.b64encode(b'1234abc').decode()}\n"
    with refused(Code.BAD_CHECKPOINT):
        parse_note(text + line)


def test_signature_without_bytes_and_eighteenth_are_refused(
    text: str, refused: Refused
) -> None:
    line = "\N{EM DASH} w {}\n"
    with refused(Code.BAD_CHECKPOINT):
        parse_note(text + line.format(base64.b64encode(b"1234").decode()))
    good = line.format(base64.b64encode(b"12345").decode())
    assert len(parse_note(text + 16 * good).signatures) == 17
    with refused(Code.BAD_CHECKPOINT):
        parse_note(text + 17 * good)


def test_only_the_ledgers_own_first_line_counts(
    text: str,
    key: Ed25519Signer,
    signer: Callable[[int], Ed25519Signer],
    refused: Refused,
) -> None:
    note, stranger = parse_note(text), signer(2)
    foreign = sign_checkpoint(CHECKPOINT, stranger).signatures
    for lines in (foreign, foreign + note.signatures):
        with refused(Code.BAD_CHECKPOINT):
            verify_note(replace(note, signatures=lines), ledger=LEDGER, key=key.public)
    with refused(Code.WRONG_LEDGER):
        verify_note(note, ledger=LedgerId(bytes(32)), key=key.public)
    forged = NoteSignature(
        origin_of(LEDGER),
        key_id_of(origin_of(LEDGER), key.public),
        foreign[0].signature,
    )
    with refused(Code.BAD_CHECKPOINT):
        verify_note(replace(note, signatures=(forged,)), ledger=LEDGER, key=key.public)


def test_cosignatures_behind_it_are_kept(text: str, key: Ed25519Signer) -> None:
    more = (
        text
        + f"\N{EM DASH} witness.example/w {base64.b64encode(b'abcdefgh').decode()}\n"
    )
    note = parse_note(more)
    assert verify_note(note, ledger=LEDGER, key=VerifyKey(key.public)) == CHECKPOINT
    assert format_note(note) == more


def run_vector(case: dict[str, Any]) -> dict[str, Any]:
    if case["operation"] == "descriptor":
        data = bytes.fromhex(case["data"])
        assert encode_descriptor(parse_descriptor(data)) == data
        return {"ledger": ledger_id_of(data).hex()}
    data = bytes.fromhex(case["descriptor"])
    key = parse_descriptor(data).genesis.checkpoint_key
    found = verify_note(parse_note(case["note"]), ledger=ledger_id_of(data), key=key)
    hexed = {
        name: getattr(found, name).hex() for name in ("ledger", "root", "map_root")
    }
    return {**hexed, "size": found.size, "time_ms": found.time_ms}


VECTORS = Path(__file__).parents[2] / "spec" / "vectors" / "checkpoint.json"


@pytest.mark.parametrize(
    "case", json.loads(VECTORS.read_text())["cases"], ids=lambda case: case["name"]
)
def test_vector(case: dict[str, Any]) -> None:
    if "error" not in case:
        assert case["expect"].items() <= run_vector(case).items()
        return
    with pytest.raises(PeerError) as caught:
        run_vector(case)
    assert caught.value.code.value == case["error"]

# SPDX-License-Identifier: Apache-2.0
"""The schema is well formed, and its bounds are the code's (spec/incamera.cddl)."""

import importlib
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from cddl_verifier import Validator  # type: ignore[import-untyped]  # has no stubs

TEXT = (Path(__file__).parents[1] / "spec/incamera.cddl").read_text()
CODE_LINES = [line.partition(";")[::2] for line in TEXT.splitlines()]
MAXIMA = {
    name: int(number)
    for name, number in re.findall(r"^(max-[a-z-]+)\s*=\s*(\d+)", TEXT, re.MULTILINE)
}
CONSTANTS = {
    "max-entry": "encoding.MAX_ENTRY",
    "max-exhibit": "entry.MAX_EPOCH",
    "max-message": "encoding.MAX_MESSAGE",
    "max-uint": "encoding.MAX_UINT",
    "max-slot": "wraps.MAX_SLOT",
    "max-slots": "policy.MAX_SLOTS",
    "max-requests": "bodies.MAX_REQUESTS",
    "max-bitmap": "index_set.MAX_BITMAP",
    "max-refreshes": "bodies.MAX_REFRESHES",
    "max-supersedes": "bodies.MAX_SUPERSEDES",
    "max-gateways": "fields.MAX_GATEWAYS",
    "max-ledgers": "fields.MAX_LEDGERS",
    "max-grants": "policy.MAX_GRANTS",
    "max-cosigns": "fields.MAX_COSIGNS",
    "max-extensions": "fields.MAX_EXTENSIONS",
    "max-address": "fields.MAX_HOST",
    "max-name": "fields.MAX_NAME",
    "max-text": "fields.MAX_TEXT",
    "max-info": "statement.MAX_INFO",
    "max-records": "statement.MAX_RECORDS",
    "max-opening": "message_bodies.MAX_OPENING",
    "max-statement": "statement.MAX_STATEMENT",
    "max-siblings": "smt.MAX_DEPTH",
    "max-log-path": "log.MAX_PATH",
    "max-note": "checkpoint.MAX_NOTE",
    "max-proof": "proof.MAX_PROOF",
    "max-descriptor": "descriptor.MAX_DESCRIPTOR",
    "max-witnesses": "descriptor.MAX_WITNESSES",
    "max-wraps": "message_bodies.MAX_WRAPS",
    "max-proof-keys": "message_bodies.MAX_PROOF_KEYS",
    "max-chat": "message_bodies.MAX_CHAT",
    "max-sdp": "message_bodies.MAX_SDP",
    "max-streams": "message_bodies.MAX_STREAMS",
    "max-instance": "message_bodies.MAX_INSTANCE",
}


def test_the_schema_parses_without_a_warning() -> None:
    assert not Validator(TEXT).warnings


def test_a_schema_with_an_undefined_name_is_refused_control() -> None:
    with pytest.raises(Exception, match="undefined name"):
        Validator(TEXT.replace("vk      = bstr", "vkk      = bstr"))


def bounds() -> Iterator[tuple[str, list[int], list[str]]]:
    """Every line with an occurrence bound: its literals and the maxima it names."""
    for code, comment in CODE_LINES:
        literals = [int(number) for number in re.findall(r"\b\d+\*(\d+)\b", code)]
        if literals:
            yield code, literals, re.findall(r"max-[a-z-]+", comment)


def test_every_literal_bound_is_its_named_maximum() -> None:
    for code, literals, names in bounds():
        assert literals == [MAXIMA[name] for name in names], code


def test_every_maximum_bounds_something() -> None:
    for name in MAXIMA:
        uses = len(re.findall(rf"\b{name}\b(?!-)", TEXT))
        assert uses > 1 or name == "max-user-entries", name  # of a topic, not a field


@pytest.mark.parametrize("name", CONSTANTS)
def test_a_maximum_is_the_constant_in_the_code(name: str) -> None:
    module, _, constant = CONSTANTS[name].partition(".")
    value = getattr(importlib.import_module(f"incamera.protocol.{module}"), constant)
    assert value == MAXIMA[name]


def test_every_occurrence_has_an_upper_bound() -> None:
    free = [code for code, _ in CODE_LINES if re.search(r"[\[{]\s*\*", code)]
    # extension values are bounded by their entry; states are written, never read
    assert len(free) == 4, free

# SPDX-License-Identifier: Apache-2.0
"""Which bytes are canonical CBOR in our profile (spec/encoding.md, section 2).

`data` is read with limit `limit`.  What is accepted encodes back to the same bytes;
`diagnostic` says what it is, in CBOR's diagnostic notation for people.
"""

from typing import Any

from incamera.errors import PeerError
from incamera.protocol.encoding import MAX_DEPTH, MAX_ENTRY, MAX_UINT, encode, parse

Case = dict[str, Any]
ACCEPTED = {
    "0": "00",
    "23": "17",
    "24": "1818",
    "255": "18ff",
    "256": "190100",
    "65535": "19ffff",
    "65536": "1a00010000",
    "4294967295": "1affffffff",
    "4294967296": "1b0000000100000000",
    "9007199254740991": "1b001fffffffffffff",
    "h''": "40",
    "h'ff'": "41ff",
    "''": "60",
    "'ü'": "62c3bc",
    "'\\ufeff'": "63efbbbf",
    "'\\U0001f512'": "64f09f9492",
    "[]": "80",
    "[0, [1], {2: 3}]": "83008101a10203",
    "{}": "a0",
    "{0: false, 23: true, 24: null}": "a300f417f51818f6",
    "{255: 0, 256: 0}": "a218ff0019010000",
}
REFUSED = {
    "nothing": "",
    "two items": "0000",
    "0 in two bytes": "1800",
    "23 in two bytes": "1817",
    "24 in three bytes": "190018",
    "255 in three bytes": "1900ff",
    "65535 in five bytes": "1a0000ffff",
    "4294967295 in nine bytes": "1b00000000ffffffff",
    "2^53": "1b0020000000000000",
    "2^64 - 1": "1bffffffffffffffff",
    "argument cut short": "19ff",
    "reserved additional information 28": "1c",
    "reserved additional information 30": "1e",
    "-1": "20",
    "byte string cut short": "42ff",
    "byte string that claims 2^32 - 1 bytes": "5affffffff",
    "byte string of length 1 in two bytes": "5801ff",
    "byte string of indefinite length": "5f41ffff",
    "text that is not UTF-8": "61ff",
    "text with an overlong form": "62c080",
    "text with a surrogate": "63eda080",
    "text of indefinite length": "7f6161ff",
    "array cut short": "820000"[:4],
    "array that claims 2^32 - 1 items": "9affffffff",
    "array of indefinite length": "9f00ff",
    "map without its value": "a100",
    "map with keys that fall": "a201000000",
    "map with a key twice": "a200000000",
    "map with a text as key": "a1616100",
    "map with a byte string as key": "a1416100",
    "map with a negative key": "a12000",
    "map with a key that is not shortest": "a1180000",
    "map of indefinite length": "bf0000ff",
    "tag 0": "c06161",
    "tag 18": "d200",
    "big number": "c249010000000000000000",
    "undefined": "f7",
    "simple value 0": "e0",
    "simple value 32": "f820",
    "false in two bytes": "f814",
    "half float": "f90000",
    "single float": "fa00000000",
    "double float": "fb0000000000000000",
    "break alone": "ff",
}


def build() -> dict[str, object]:
    """Return the whole file."""
    return {
        "format": "incamera vectors 0",
        "about": "the CBOR profile: spec/encoding.md, section 2",
        "cases": [*accepted(), *refused(), *at_the_limits()],
    }


def judged(name: str, data: bytes, limit: int = MAX_ENTRY) -> Case:
    """Return the case of `data` with the verdict of the reference code."""
    case: Case = {"name": name, "data": data.hex(), "limit": limit}
    try:
        value = parse(data, limit)
    except PeerError as error:
        return case | {"error": error.code.value}
    assert encode(value) == data, name
    return case | {"expect": {"canonical": True}}


def accepted() -> list[Case]:
    """Values at the edges of their forms."""
    cases = [
        judged(f"value {diagnostic}", bytes.fromhex(data)) | {"diagnostic": diagnostic}
        for diagnostic, data in ACCEPTED.items()
    ]
    assert all("expect" in case for case in cases)
    return cases


def refused() -> list[Case]:
    """One fault each."""
    cases = [judged(name, bytes.fromhex(data)) for name, data in REFUSED.items()]
    assert all("error" in case for case in cases)
    return cases


def at_the_limits() -> list[Case]:
    """Each named maximum, and one more."""
    longest = bytes([0x59]) + (MAX_ENTRY - 3).to_bytes(2, "big") + bytes(MAX_ENTRY - 3)
    deep = b"\x81" * (MAX_DEPTH - 1)
    maps = b"\xa1\x00" * (MAX_DEPTH - 1)
    return [
        judged("largest integer", encode(MAX_UINT)),
        judged("largest entry", longest),
        judged("one byte more than an entry", longest + b"\0"),
        judged("exactly the limit of the caller", b"\x41\x00", 2),
        judged("one byte above the limit of the caller", b"\x42\x00\x00", 2),
        judged("arrays 8 deep", deep + b"\x80"),
        judged("arrays 9 deep", deep + b"\x81\x80"),
        judged("maps 8 deep", maps + b"\xa0"),
        judged("maps 9 deep", maps + b"\xa1\x00\xa0"),
        judged("arrays 200 deep", b"\x81" * 200 + b"\x80"),
        judged("arrays 16000 deep", b"\x81" * 16_000 + b"\x80"),
    ]

# SPDX-License-Identifier: Apache-2.0
"""Vectors of the form of entries, at every maximum (spec/encoding.md, sections 6 to 8).

A case has `entry`, and either `expect` (id, author, type, place, seq, prev, payload and
key, the verify key under which the signature holds) or `error`.  The entries that are
refused have a valid signature wherever they can have one.
"""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

from spec.generators._scene import (
    LIMITS,
    POLICY,
    Scene,
    digest,
    signer_of,
)
from spec.generators._scenes import asking, seated
from spec.generators.user import clear_root, device, root

from incamera.errors import Code, PeerError
from incamera.protocol import labels
from incamera.protocol.bodies import (
    MAX_REFRESHES,
    MAX_REQUESTS,
    MAX_SUPERSEDES,
    ClearInfo,
    EpochKind,
    Parent,
    ParentKind,
)
from incamera.protocol.encoding import MAX_ENTRY, MAX_UINT, Value, encode, parse
from incamera.protocol.entry import MAX_EPOCH, Entry, parse_entry
from incamera.protocol.envelope import Signed, sign
from incamera.protocol.fields import (
    MAX_COSIGNS,
    MAX_EXTENSIONS,
    MAX_GATEWAYS,
    MAX_HOST,
    MAX_LEDGERS,
    MAX_NAME,
    MAX_STATEMENT,
    MAX_TEXT,
    CosignRole,
    Gateway,
)
from incamera.protocol.ids import EntryId, LedgerId, MeetingId, VerifyKey
from incamera.protocol.index_set import MAX_BITMAP, MAX_RANGES, index_set
from incamera.protocol.policy import MAX_GRANTS, MAX_SLOTS, Grant, Role
from incamera.protocol.signing import ORDER

GATEWAYS = tuple(
    Gateway(host=f"{n}".ljust(MAX_HOST, "x"), pin=digest("pin"))
    for n in range(MAX_GATEWAYS)
)
LEDGERS = tuple(LedgerId(digest(f"ledger {n}")) for n in range(MAX_LEDGERS))
GRANTS = tuple(
    Grant(who=EntryId(digest(f"member {n}")), role=Role.CO_HOST)
    for n in range(MAX_GRANTS)
)
EXTENSIONS: dict[int, Value] = {2 * n: n for n in range(MAX_EXTENSIONS)}
PARENT = Parent(
    kind=ParentKind.CONTINUATION,
    meeting=MeetingId(digest("parent")),
    ledger=LedgerId(digest("parent's ledger")),
    head=digest("parent's head"),
    count=MAX_UINT,
)


def largest_publish() -> Entry:
    """Every list and text of a publish at its maximum."""
    policy = replace(
        POLICY,
        grants=GRANTS,
        appointed=EntryId(digest("appointed")),
        limits=replace(LIMITS, members=MAX_SLOTS, before_host_s=MAX_UINT),
    )
    return Scene().publish(
        policy=policy,
        info="x" * MAX_TEXT,
        identity=bytes(MAX_STATEMENT),
        gateways=GATEWAYS,
        fallbacks=LEDGERS,
        parent=PARENT,
        ends_ms=MAX_UINT,
        extensions=EXTENSIONS,
    )


def largest_policy() -> Entry:
    """Every list of a policy change at its maximum."""
    return seated().policy(
        policy={"grants": GRANTS},
        gate=signer_of("new gate").public,
        gateways=GATEWAYS,
        fallbacks=LEDGERS,
    )


def largest_epoch() -> Entry:
    """Refreshes, superseded ids and numbers at their maximum."""
    return seated().epoch(
        number=MAX_UINT,
        refreshes=tuple(digest(f"refresh {n}") for n in range(MAX_REFRESHES)),
        supersedes=tuple(EntryId(digest(f"e {n}")) for n in range(MAX_SUPERSEDES)),
        cause=8,
        extensions=EXTENSIONS,
    )


def longest_epoch(length: int = MAX_EPOCH) -> bytes:
    """An epoch of so many bytes."""
    plain = changed(_epoch(), "p.23", {0: bytes(300)})
    return changed(_epoch(), "p.23", {0: bytes(300 + length - len(plain))})


def most_cosigns() -> Entry:
    """As many counter-signatures as the form allows (no rule allows them yet)."""
    return root(cosigns=tuple((role, "eve") for role in list(CosignRole)[:MAX_COSIGNS]))


def _sets(**sets: Any) -> Callable[[], Entry]:
    named: dict[str, Any] = {name: index_set(indices) for name, indices in sets.items()}
    return lambda: seated().epoch(kind=EpochKind.FRESH, **named)


ACCEPTED: dict[str, Callable[[], Entry]] = {
    "user root": root,
    "user root in clear": clear_root,
    "user root, longest names": lambda: root(
        device=device("ann's laptop", name="é" * (MAX_NAME // 2)),
        info=ClearInfo(name="n" * MAX_NAME, note="t" * MAX_TEXT),
        gateways=GATEWAYS,
    ),
    "user root, most counter-signatures": most_cosigns,
    "publish": lambda: Scene().publish(),
    "publish in clear": lambda: Scene().publish(info="tea", identity=bytes(33)),
    "publish, everything largest": largest_publish,
    "request": lambda: seated().request("dan"),
    "request of a returner": lambda: seated().request("dan", gate=None),
    "request, even extensions kept": lambda: seated().request(
        "dan", extensions={0: [None, True, "x", {1: b""}], 2**53 - 2: MAX_UINT}
    ),
    "epoch": lambda: asking().epoch(admit=[2]),
    "epoch, everything largest": largest_epoch,
    "epoch, highest ordinal": _sets(admitted=[MAX_REQUESTS - 1]),
    "epoch, most admitted": _sets(admitted=range(MAX_SLOTS)),
    "epoch, most ranges": _sets(admitted=range(0, 600 * MAX_RANGES, 600)),
    "epoch, longest bitmap": _sets(admitted=range(0, 8 * MAX_BITMAP, 2)),
    "epoch, ranges on a tie": _sets(admitted=[9, 12]),
    "epoch, bitmap where shorter": _sets(admitted=[9, 11, 13, 15, 17]),
    "epoch, bitmap that starts at its base": _sets(lost=range(8, 30, 2)),
    "epoch, as long as one may be": lambda: parse_entry(longest_epoch()),
    "leave": lambda: seated().leave("bob", reason=3),
    "policy change": lambda: seated().policy(),
    "policy change, everything largest": largest_policy,
    "dismiss": lambda: seated().dismiss(reason=3),
}


def changed(entry: Entry, path: str, value: "Value | None" = None) -> bytes:
    """Return Ann's entry signed again with one value set, or without it if None.

    `path` is `h` (header) or `p` (payload) and keys: `p.10.8.1`.
    """
    parts = {"h": parse(entry.signed.protected), "p": parse(entry.signed.payload)}
    where, *keys = path.split(".")
    target: Any = parts[where]
    for step in keys[:-1]:
        target = target[int(step)]
    if value is None:
        del target[int(keys[-1])]
    else:
        target[int(keys[-1])] = value
    signer = signer_of("ann")
    return sign(signer, labels.ENTRY, header=parts["h"], payload=parts["p"]).encode()


def _request() -> Entry:
    return seated().request("dan")


def _epoch() -> Entry:
    return seated().epoch()


def _publish() -> Entry:
    return Scene().publish()


def _signature(entry: Entry, scalar: int) -> bytes:
    return entry.data[:-32] + scalar.to_bytes(32, "little")


def _loose_map() -> bytes:
    signed = _request().signed
    # The same header with its first two keys in the other order.
    items = list(parse(signed.protected).items())  # type: ignore[union-attr]  # a map
    pairs = [items[1], items[0], *items[2:]]
    body = b"".join(encode(key) + encode(value) for key, value in pairs)
    header = bytes([0xA0 + len(pairs)]) + body
    return Signed(header, signed.payload, signed.signature).encode()


Faults = dict[str, Callable[[], bytes]]
REFUSED: dict[Code, Faults] = {
    Code.TOO_LARGE: {
        "entry above its maximum": lambda: changed(
            _publish(), "p.23", {0: bytes(MAX_ENTRY)}
        ),
        "epoch above its maximum": lambda: longest_epoch(MAX_EPOCH + 1),
    },
    Code.NOT_CANONICAL: {
        "bytes after the entry": lambda: _request().data + b"\0",
        "keys out of order": _loose_map,
        "integer not in its shortest form": lambda: _request().data.replace(
            b"\x18\x47\x00", b"\x18\x47\x18\x00"
        ),
        "ranges where a bitmap is shorter": lambda: changed(
            _epoch(), "p.5", [n for i in range(9, 19, 2) for n in (i, 1)]
        ),
        "bitmap where ranges are shorter": lambda: changed(
            _epoch(), "p.5", {1: 8, 2: b"\2"}
        ),
        "bitmap with a zero at its end": lambda: changed(
            _epoch(), "p.5", {1: 8, 2: b"\xaa\x02\x00"}
        ),
        "bitmap from a lower base": lambda: changed(
            _epoch(), "p.5", {1: 0, 2: b"\x00\xaa\x02"}
        ),
        "bitmap from an odd base": lambda: changed(
            _epoch(), "p.5", {1: 9, 2: b"\x55\x01"}
        ),
    },
    Code.SCHEMA: {
        "not tagged": lambda: _request().data[1:],
        "another tag": lambda: b"\xd1" + _request().data[1:],
        "signature of 63 bytes": lambda: Signed(
            _request().signed.protected, _request().signed.payload, bytes(63)
        ).encode(),
        "header without author": lambda: changed(_request(), "h.4"),
        "header with an unknown key": lambda: changed(_request(), "h.74", 0),
        "place of 31 bytes": lambda: changed(_request(), "h.70", bytes(31)),
        "body without a field": lambda: changed(_request(), "p.6"),
        "body with an unknown key": lambda: changed(_request(), "p.24", 0),
        "tag of 17 bytes": lambda: changed(_request(), "p.2", bytes(17)),
        "unknown kind of member": lambda: changed(_request(), "p.5", 6),
        "no counter-signature in the list": lambda: changed(_request(), "p.22", []),
        "identity of 31 bytes": lambda: changed(_request(), "p.7", bytes(31)),
        "identity above its maximum": lambda: changed(
            _request(), "p.7", bytes(MAX_STATEMENT + 1)
        ),
        "too many extensions": lambda: changed(
            _request(), "p.23", EXTENSIONS | {2 * MAX_EXTENSIONS: 0}
        ),
        "info above its maximum": lambda: changed(
            _publish(), "p.9", "x" * (MAX_TEXT + 1)
        ),
        "too many gateways": lambda: changed(
            _publish(), "p.12", [{1: "g"}] * (MAX_GATEWAYS + 1)
        ),
        "gateway without a host": lambda: changed(_publish(), "p.12", [{1: ""}]),
        "too many fallback ledgers": lambda: changed(
            _publish(), "p.13", [bytes(32)] * (MAX_LEDGERS + 1)
        ),
        "too many grants": lambda: changed(
            _publish(), "p.10.7", [[bytes(32), 1]] * (MAX_GRANTS + 1)
        ),
        "no members allowed": lambda: changed(_publish(), "p.10.8.1", 0),
        "more members than slots": lambda: changed(
            _publish(), "p.10.8.1", MAX_SLOTS + 1
        ),
        "too many refreshes": lambda: changed(
            _epoch(), "p.11", [bytes(32)] * (MAX_REFRESHES + 1)
        ),
        "too many superseded": lambda: changed(
            _epoch(), "p.12", [bytes(32)] * (MAX_SUPERSEDES + 1)
        ),
        "nothing superseded": lambda: changed(_epoch(), "p.12", []),
        "too many ranges": lambda: changed(
            _epoch(), "p.5", [n for i in range(65) for n in (600 * i, 1)]
        ),
        "ranges that touch": lambda: changed(_epoch(), "p.5", [1, 1, 2, 1]),
        "empty range": lambda: changed(_epoch(), "p.5", [1, 0]),
        "range without length": lambda: changed(_epoch(), "p.5", [1]),
        "too many admitted": lambda: changed(_epoch(), "p.5", [0, MAX_SLOTS + 1]),
        "ordinal above its maximum": lambda: changed(
            _epoch(), "p.5", [MAX_REQUESTS, 1]
        ),
        "slot above its maximum": lambda: changed(_epoch(), "p.7", [MAX_SLOTS, 1]),
        "bitmap above its maximum": lambda: changed(
            _epoch(), "p.5", {1: 0, 2: b"\x55" * (MAX_BITMAP + 1)}
        ),
        "bitmap with another key": lambda: changed(
            _epoch(), "p.5", {1: 8, 2: b"\xaa", 3: 0}
        ),
    },
    Code.UNKNOWN_TYPE: {
        "type of later rules": lambda: changed(_request(), "h.16", 38),
        "no type at all": lambda: changed(_request(), "h.16", 0),
    },
    Code.UNKNOWN_EXTENSION: {
        "odd extension": lambda: changed(_request(), "p.23", {1: 0}),
    },
    Code.BAD_KEY: {
        "key of small order": lambda: changed(_request(), "p.1", bytes(32)),
        "key that is no point": lambda: changed(_request(), "p.1", b"\2" + bytes(31)),
        "gate of small order": lambda: changed(_publish(), "p.11", b"\1" + bytes(31)),
    },
}
FORGED: Faults = {  # well formed; `key` refuses their signature
    "signature with a scalar of L": lambda: _signature(_request(), ORDER),
    "signature with R the identity": lambda: (
        _request().data[:-64] + b"\1" + bytes(31) + _request().data[-32:]
    ),
    "signature of a message": lambda: _relabelled(labels.MESSAGE),
    "signature of a statement": lambda: _relabelled(labels.STATEMENT),
}


def _relabelled(label: bytes) -> bytes:
    signed = _request().signed
    message = Signed(signed.protected, signed.payload, b"").sig_structure(label)
    signature = signer_of("dan").sign(message)
    return Signed(signed.protected, signed.payload, signature).encode()


def build() -> dict[str, object]:
    """Return the vectors of the form of entries."""
    refused = [
        _refused(name, make(), code)
        for code, faults in REFUSED.items()
        for name, make in faults.items()
    ]
    return {
        "format": "incamera vectors 0",
        "about": "single entries: form, ids and signatures; no state is asked",
        "cases": [_accepted(name, make()) for name, make in ACCEPTED.items()]
        + refused
        + [_forged(name, make()) for name, make in FORGED.items()],
    }


def _author(entry: Entry) -> bytes:
    names = ("ann", "bob", "dan", "ann's laptop")
    keys = {signer_of(name).public for name in names}
    return next(key for key in keys if holds(entry, key) is None)


def _accepted(name: str, entry: Entry) -> dict[str, object]:
    header = entry.header
    return {
        "name": name,
        "entry": entry.data.hex(),
        "expect": {
            "id": entry.id.hex(),
            "author": header.author.hex(),
            "type": int(header.type),
            "place": header.place.hex(),
            "seq": header.seq,
            "prev": None if header.prev is None else header.prev.hex(),
            "payload": entry.signed.payload.hex(),
            "key": _author(entry).hex(),
        },
    }


def _refused(name: str, data: bytes, code: Code) -> dict[str, object]:
    if (found := verdict(data)) is not code:
        raise AssertionError(f"{name}: {found}")
    return {"name": name, "entry": data.hex(), "error": code.value}


def _forged(name: str, data: bytes) -> dict[str, object]:
    key = signer_of("dan").public
    if (found := holds(parse_entry(data), key)) is not Code.BAD_SIGNATURE:
        raise AssertionError(f"{name}: {found}")
    error = Code.BAD_SIGNATURE.value
    return {"name": name, "entry": data.hex(), "key": key.hex(), "error": error}


def verdict(data: bytes) -> Code | None:
    """Return why `data` is no entry; None if it is one."""
    try:
        parse_entry(data)
    except PeerError as error:
        return error.code
    return None


def holds(entry: Entry, key: VerifyKey) -> Code | None:
    """Return why `key` did not sign `entry`; None if it did."""
    try:
        entry.verify(key)
    except PeerError as error:
        return error.code
    return None

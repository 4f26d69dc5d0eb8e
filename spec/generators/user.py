# SPDX-License-Identifier: Apache-2.0
"""Vectors of user topics: roots and what they refuse (spec/identity.md, section 3).

The form is that of the meeting vectors: `ledger`, `history`, then `expect` or `next`
and `error`.
"""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

from spec.generators._scene import LEDGER, START_MS, Scene, digest, signer_of
from spec.generators._scenes import spoiled

from incamera.errors import Code, PeerError
from incamera.protocol.bodies import (
    ClearInfo,
    Device,
    DeviceKind,
    UserPolicy,
    UserRoot,
)
from incamera.protocol.entry import Entry, sign_entry
from incamera.protocol.fields import MAX_GATEWAYS, CosignRole, Gateway
from incamera.protocol.ids import DeviceId
from incamera.protocol.signing import device_id_of
from incamera.protocol.topic import (
    RULES,
    Context,
    TopicState,
    apply,
    encode_state,
    state_hash,
)

Roles = tuple[tuple[CosignRole, str], ...]
BACKED: Roles = ((CosignRole.RECOVERY, "backup"),)
POLICY = UserPolicy(lockdown=False, recovery_wait_ms=259_200_000)


def device(who: str, kind: DeviceKind = DeviceKind.COMPUTER, **changes: Any) -> Device:
    """Return a device whose name is a commitment."""
    ivk = signer_of(who).public
    fields = {"id": device_id_of(ivk), "name": digest(f"name of {who}"), **changes}
    return Device(ivk=ivk, kind=kind, **fields)


def root_body(**changes: Any) -> UserRoot:
    """Return the body of Ann's root, committed."""
    fields: dict[str, Any] = {
        "rules": RULES,
        "nonce": digest("root nonce"),
        "device": device("ann's laptop"),
        "info": digest("info of ann"),
        "policy": POLICY,
        "gateways": (),
    }
    return UserRoot(**{**fields, **changes})


def root(by: str = "ann's laptop", cosigns: Roles = (), **changes: Any) -> Entry:
    """Return a root; `place`, `seq` and `prev` change its header."""
    header: dict[str, Any] = {"place": LEDGER, "seq": 0, "prev": None}
    header |= {name: changes.pop(name) for name in header if name in changes}
    cosigners = [(role, signer_of(who)) for role, who in cosigns]
    return sign_entry(
        signer_of(by), root_body(**changes), cosigners=cosigners, **header
    )


def backup(**changes: Any) -> Device:
    """Return the backup device."""
    return device("backup", DeviceKind.BACKUP, **changes)


def clear_root() -> Entry:
    """Info and device name in clear, one mirror, a backup and a user secret."""
    return root(
        device=device("ann's laptop", name="laptop"),
        info=ClearInfo(name="Ann", note="she/her"),
        gateways=(Gateway(host="ann.example:443", pin=digest("TLS key")),),
        backup=backup(),
        user_secret=digest("user secret"),
        cosigns=BACKED,
    )


def locked_root() -> Entry:
    """Lockdown, policy key and attester."""
    policy = replace(
        POLICY,
        lockdown=True,
        policy_key=signer_of("office").public,
        attester_key=signer_of("provider").public,
    )
    return root(policy=policy, backup=backup(), cosigns=BACKED)


ACCEPTED: dict[str, Callable[[], Entry]] = {
    "committed root": root,
    "root in clear, with backup": clear_root,
    "root under lockdown": locked_root,
    "root with the most gateways": lambda: root(
        gateways=tuple(Gateway(host=f"g{n}.example:443") for n in range(MAX_GATEWAYS))
    ),
}
FIRST: dict[Code, dict[str, Callable[[], Entry]]] = {
    Code.BAD_SIGNATURE: {"root, spoiled": lambda: spoiled(root())},
    Code.WRONG_AUTHOR: {"root by another device": lambda: root(by="backup")},
    Code.WRONG_PLACE: {"root for another ledger": lambda: root(place=bytes(32))},
    Code.OUT_OF_SEQUENCE: {"root that is not first": lambda: root(seq=1)},
    Code.UNKNOWN_RULES: {"root under unknown rules": lambda: root(rules=2)},
    Code.BAD_COSIGNATURE: {
        "backup that did not sign": lambda: root(backup=backup()),
        "backup signed by another": lambda: root(
            backup=backup(), cosigns=((CosignRole.RECOVERY, "eve"),)
        ),
        "backup signed in another role": lambda: root(
            backup=backup(), cosigns=((CosignRole.GATE, "backup"),)
        ),
        "signed by a backup that is not there": lambda: root(cosigns=BACKED),
    },
    Code.NOT_LEGAL: {
        "device id of another key": lambda: root(
            device=device("ann's laptop", id=DeviceId(bytes(16)))
        ),
        "first device on paper": lambda: root(
            device=device("ann's laptop", DeviceKind.BACKUP)
        ),
        "backup of another kind": lambda: root(backup=device("backup"), cosigns=BACKED),
        "backup id of another key": lambda: root(
            backup=backup(id=DeviceId(bytes(16))), cosigns=BACKED
        ),
        "backup with the device's own key": lambda: root(
            backup=device("ann's laptop", DeviceKind.BACKUP),
            cosigns=((CosignRole.RECOVERY, "ann's laptop"),),
        ),
        "lockdown without backup": lambda: root(policy=replace(POLICY, lockdown=True)),
    },
}
LATER: dict[Code, dict[str, Callable[[], Entry]]] = {
    Code.DUPLICATE: {"root again": root},
    Code.NOT_LEGAL: {
        "a second root": lambda: root(nonce=bytes(32)),
        "publish in a user's topic": lambda: Scene().publish(),
    },
}


def judge(state: TopicState | None, entry: Entry) -> TopicState:
    """Return the state after `entry` on the vectors' ledger."""
    return apply(state, entry, Context(LEDGER, RULES, int(state is not None), START_MS))


def build() -> dict[str, object]:
    """Return the vectors of user topics."""
    first = [_refused(None, code, faults) for code, faults in FIRST.items()]
    later = [_refused(root(), code, faults) for code, faults in LATER.items()]
    return {
        "format": "incamera vectors 0",
        "about": "user roots with the hash of the state, and entries that are refused",
        "cases": [_accepted(name, make()) for name, make in ACCEPTED.items()]
        + [case for cases in first + later for case in cases],
    }


def _accepted(name: str, entry: Entry) -> dict[str, object]:
    state = judge(None, entry)
    return {
        "name": name,
        "ledger": LEDGER.hex(),
        "history": [[START_MS, entry.data.hex()]],
        "expect": {
            "hashes": [state_hash(state).hex()],
            "state": encode_state(state).hex(),
        },
    }


def _refused(
    before: Entry | None, code: Code, faults: dict[str, Callable[[], Entry]]
) -> list[dict[str, object]]:
    state = None if before is None else judge(None, before)
    history = [] if before is None else [[START_MS, before.data.hex()]]
    cases: list[dict[str, object]] = []
    for name, fault in faults.items():
        entry = fault()
        if (found := verdict(state, entry)) is not code:
            raise AssertionError(f"{name}: {found}")
        case = {"name": name, "ledger": LEDGER.hex(), "history": history}
        cases.append(case | {"next": [START_MS, entry.data.hex()], "error": code.value})
    return cases


def verdict(state: TopicState | None, entry: Entry) -> Code | None:
    """Return why `entry` is refused; None if it is not."""
    try:
        judge(state, entry)
    except PeerError as error:
        return error.code
    return None

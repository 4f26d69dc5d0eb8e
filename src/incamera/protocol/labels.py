# SPDX-License-Identifier: Apache-2.0
"""Every label of every derivation and signature, in one registry (spec/keys.md, 3).

Each derivation label ends in its own zero byte, so no label is a prefix of another
label's input.  Signature labels are whole CBOR items and need none.
"""

from typing import Final

VERSION: Final = "incamera/0"


def _derivation(name: str) -> bytes:
    return f"{VERSION} {name}\0".encode()


def _signature(name: str) -> bytes:
    return f"{VERSION} {name}".encode()


# hashes and commitments
HEAD: Final = _derivation("head")
LEDGER: Final = _derivation("ledger")
DEVICE: Final = _derivation("device")
KEM: Final = _derivation("kem")
IDENTITY: Final = _derivation("identity")
INFO: Final = _derivation("info")
TAG: Final = _derivation("tag")
USER_SECRET: Final = _derivation("user-secret")
STATE: Final = _derivation("state")
HEARTBEAT: Final = _derivation("heartbeat")
CODE: Final = _derivation("code")
CODE_SHOW: Final = _derivation("code-show")
LEADER_CODE: Final = _signature("leader-code")
# link and gate
LINK: Final = _derivation("link")
GATE: Final = _derivation("gate")
GATE_BOX: Final = _derivation("gate-box")
# the meeting key and what follows from it
RATCHET: Final = _derivation("ratchet")
MEETING_KEY: Final = _derivation("mk")
COMMITMENT: Final = _derivation("mk-commit")
SFRAME: Final = _derivation("sframe")
GROUP: Final = _derivation("group")
BOX: Final = _derivation("box")
PROOF: Final = _derivation("proof")
# pairwise keys
KEK: Final = _derivation("kek")
KEK_STEP: Final = _derivation("kek-step")
WRAP: Final = _derivation("wrap")
REQUEST: Final = _derivation("request")
# relay
RELAY_CHALLENGE: Final = _derivation("relay")
BLOB: Final = _derivation("blob")
# gateway: who may open a topic
PERMIT: Final = _derivation("open")
INVITATION: Final = _derivation("invite")

# signatures: external_aad of a Sig_structure
ENTRY: Final = _signature("entry")
MESSAGE: Final = _signature("message")
STATEMENT: Final = _signature("statement")
VOTE: Final = _signature("vote")
APPOINTMENT: Final = _signature("appointment")
# counter-signatures: role labels
COSIGN_SECOND_DEVICE: Final = _signature("cosign second-device")
COSIGN_NEW_DEVICE: Final = _signature("cosign new-device")
COSIGN_NEW_KEY: Final = _signature("cosign new-key")
COSIGN_POLICY: Final = _signature("cosign policy")
COSIGN_RECOVERY: Final = _signature("cosign recovery")
COSIGN_GATE: Final = _signature("cosign gate")
COSIGN_IDP: Final = _signature("cosign idp")

# SPDX-License-Identifier: Apache-2.0
"""How a joiner's first words reach the leader alone (spec/keys.md, section 5).

The request box is sealed to the leader's KEM key, which the leader's card gives; it
binds meeting, request and both signing keys, so it serves nobody else and nowhere else.
"""

from incamera.protocol.box import RequestBox, open_request, request_info
from incamera.protocol.ids import VerifyKey
from incamera.protocol.kem import kem_key_hash
from incamera.protocol.padding import pad
from incamera.protocol.ports import Sealer
from incamera.protocol.seat import Seat
from incamera.protocol.secret import wipe
from incamera.protocol.statement import (
    JoinSecret,
    encode_join_secret,
    parse_join_secret,
)


def seal_join_secret(
    seat: Seat, sealer: Sealer, *, leader: VerifyKey, leader_kem_key: bytes
) -> RequestBox:
    """Return our opening and KEM keys, sealed to the leader."""
    secret = JoinSecret(
        opening=seat.opening,
        current=seat.kems.current.public,
        spare=seat.kems.spare.public,
    )
    info = request_info(
        seat.meeting,
        seat.entry,
        leader=leader,
        member=seat.signer.public,
        leader_kem_key=leader_kem_key,
    )
    padded = pad(encode_join_secret(secret))
    sealed = sealer.seal(leader_kem_key, info=info, plaintext=padded)
    wipe(padded)
    key_hash = kem_key_hash(leader_kem_key)
    return RequestBox(request=seat.entry, leader_key_hash=key_hash, sealed=sealed)


def open_join_secret(seat: Seat, box: RequestBox, joiner: VerifyKey) -> JoinSecret:
    """Return what a joiner sealed to us; PeerError MISSING_KEY, BAD_BOX or form."""
    kem = seat.kems.find(box.leader_key_hash)
    info = request_info(
        seat.meeting,
        box.request,
        leader=seat.signer.public,
        member=joiner,
        leader_kem_key=kem.public,
    )
    return parse_join_secret(open_request(kem.seed, box, info))

# SPDX-License-Identifier: Apache-2.0
"""Rates, counters and queues, without a network."""

from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from incamera.errors import Code, IncameraError
from incamera.node.gateway.intake import address_key
from incamera.node.gateway.limits import Buckets, Counter, Limits, Rate
from incamera.node.gateway.queues import ITEM_BYTES, Queue, Space, pack
from incamera.node.relay_frames import encode_frame, parse_frame
from incamera.protocol.encoding import encode
from incamera.protocol.envelope import Signed
from incamera.protocol.ids import VerifyKey
from incamera.protocol.message import encode_unsigned
from incamera.protocol.message_bodies import WrapOne
from incamera.protocol.wraps import Wrap

ANN, BOB = VerifyKey(b"a" * 32), VerifyKey(b"b" * 32)
LIMITS = Limits(queue_bytes=4000, requester_queue_bytes=2000, sender_bytes=2000)


def waiting(queue: Queue, now_ms: int = 0) -> list[bytes]:
    """Return the living messages of a queue, oldest first."""
    found, number = [], 0
    while (item := queue.after(number, now_ms)) is not None:
        found.append(item.parcel.message)
        number = item.number
    return found


def signed(kind: int, content: bytes) -> bytes:
    """Return something in the form of a signed message of a type."""
    return Signed(encode({16: kind}), content, bytes(64)).encode()


def test_a_bucket_lets_a_burst_through_and_then_its_rate(
    refused: Callable[[Code], Any],
) -> None:
    buckets = Buckets(Rate(per_s=2, burst=3))
    for _ in range(3):
        buckets.take("x", 0)
    for call in (buckets.take, buckets.check):
        with refused(Code.QUOTA):
            call("x", 0.4)
    buckets.take("y", 0)
    buckets.take("x", 0.5)


def test_connections_are_counted_each_and_in_all(
    refused: Callable[[Code], Any],
) -> None:
    counter = Counter(each=2, total=3)
    for key in ("x", "x", "y"):
        counter.open(key)
    for key in ("x", "y"):
        with refused(Code.QUOTA):
            counter.open(key)
    counter.close("x")
    counter.open("z")
    assert counter.total == 3


@pytest.mark.parametrize(
    ("host", "key"),
    [
        ("192.0.2.7", "192.0.2.7"),
        ("2001:db8::1", "2001:db8::/64"),
        ("2001:db8::ffff:1", "2001:db8::/64"),
        ("somewhere", "somewhere"),
    ],
)
def test_an_owner_of_a_network_is_one_address(host: str, key: str) -> None:
    assert address_key(host) == key


def test_a_queue_keeps_what_is_not_acknowledged() -> None:
    queue = Queue(LIMITS, space := Space())
    for message in (b"1", b"2", b"3"):
        queue.put(pack(ANN, message), 0)
    assert waiting(queue) == waiting(queue) == [b"1", b"2", b"3"]
    queue.delivered(2)
    assert waiting(queue) == [b"3"]
    assert space.used == 1 + ITEM_BYTES
    queue.clear()
    assert (len(queue), space.used) == (0, 0)


def test_wraps_die_before_other_messages() -> None:
    queue = Queue(LIMITS, Space())
    wrap = Wrap(slot=1, generation=0, step=0, sealed=bytes(48))
    queue.put(pack(ANN, encode_unsigned(WrapOne(key_id=bytes(32), wrap=wrap))), 0)  # type: ignore[arg-type]  # a KeyId
    queue.put(pack(ANN, b"chat"), 0)
    assert len(waiting(queue, 59_999)) == 2
    assert waiting(queue, 60_000) == [b"chat"]
    queue.expire(600_000)
    assert len(queue) == 0


def test_only_the_newest_heartbeat_of_a_sender_waits() -> None:
    queue = Queue(LIMITS, Space())
    for sender in (ANN, BOB):
        for content in (b"old", b"new"):
            queue.put(pack(sender, signed(69, content)), 0)
            queue.put(pack(sender, signed(66, content)), 0)
    found = waiting(queue)
    assert found.count(signed(69, b"old")) == 0
    assert found.count(signed(69, b"new")) == found.count(signed(66, b"old")) == 2


def test_strangers_and_single_senders_fill_only_their_share(
    refused: Callable[[Code], Any],
) -> None:
    queue = Queue(LIMITS, Space())
    queue.put(pack(ANN, bytes(1500)), 0)
    queue.put(pack(VerifyKey(b"s" * 32), bytes(1500), requester=True), 0)
    for sender, requester in ((ANN, False), (VerifyKey(b"t" * 32), True)):
        with refused(Code.QUEUE_FULL):
            queue.put(pack(sender, bytes(1500), requester=requester), 0)
    queue.put(pack(BOB, bytes(1500)), 0)


def test_all_queues_together_have_an_end(refused: Callable[[Code], Any]) -> None:
    queue = Queue(Limits(relay_bytes=1000), Space())
    queue.put(pack(ANN, bytes(500)), 0)
    with refused(Code.QUEUE_FULL):
        queue.put(pack(BOB, bytes(500)), 0)
    queue.put(pack(BOB, bytes(500)), 600_000)  # the first one has died of age


@given(st.binary(max_size=200))
def test_any_bytes_are_a_parcel(message: bytes) -> None:
    assert pack(ANN, message).message == message


@given(st.binary(max_size=200))
def test_bytes_are_a_frame_or_refused(data: bytes) -> None:
    try:
        frame = parse_frame(data)
    except IncameraError:
        return
    assert encode_frame(frame) == data

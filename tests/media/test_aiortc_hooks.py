# SPDX-License-Identifier: Apache-2.0
"""The hooks must not fail silently when aiortc changes."""

import queue
from types import SimpleNamespace
from typing import Any

import pytest
from aiortc import RTCConfiguration, RTCPeerConnection

from incamera.errors import MediaError
from incamera.media import aiortc_hooks


@pytest.fixture
async def transceiver() -> Any:
    connection = RTCPeerConnection(RTCConfiguration(iceServers=[]))
    yield connection.addTransceiver("video")
    await connection.close()


async def test_a_tapped_receiver_gives_frames_to_nobody_else(transceiver: Any) -> None:
    got: list[tuple[bytes, int]] = []
    aiortc_hooks.tap_receiver(
        transceiver.receiver, lambda data, time: got.append((data, time))
    )
    tap = transceiver.receiver._RTCRtpReceiver__decoder_queue
    tap.put(("VP8", SimpleNamespace(data=b"sealed", timestamp=90)))
    assert (got, tap.empty()) == ([(b"sealed", 90)], True)
    tap.put(None)
    assert tap.get() is None
    assert aiortc_hooks.is_tapped(transceiver.receiver)


async def test_an_untapped_receiver_is_noticed_control(transceiver: Any) -> None:
    assert not aiortc_hooks.is_tapped(transceiver.receiver)


async def test_a_receiver_in_use_is_refused(transceiver: Any) -> None:
    transceiver.receiver._RTCRtpReceiver__decoder_queue.put(("VP8", None))
    with pytest.raises(MediaError):
        aiortc_hooks.tap_receiver(transceiver.receiver, lambda data, time: None)


@pytest.mark.parametrize("part", [SimpleNamespace(), SimpleNamespace(_other=1)])
def test_an_unexpected_aiortc_is_refused(part: Any) -> None:
    with pytest.raises(MediaError):
        aiortc_hooks.tap_receiver(part, lambda data, time: None)
    with pytest.raises(MediaError):
        aiortc_hooks.hear_key_frame_requests(part, lambda: None)


async def test_requests_for_key_frames_are_heard(transceiver: Any) -> None:
    heard = queue.SimpleQueue[int]()
    aiortc_hooks.hear_key_frame_requests(transceiver.sender, lambda: heard.put(1))
    transceiver.sender._send_keyframe()
    assert heard.qsize() == 1

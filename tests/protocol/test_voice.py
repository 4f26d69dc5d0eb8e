# SPDX-License-Identifier: Apache-2.0
"""How a member speaks and listens."""

from collections.abc import Callable
from typing import Any

import pytest
from tests.sim.people import TOOLS

from incamera.errors import Code
from incamera.protocol.box import GroupBox
from incamera.protocol.ids import EntryId, KeyId, MeetingId
from incamera.protocol.keyring import EpochKey
from incamera.protocol.message import parse_message
from incamera.protocol.message_bodies import Chat
from incamera.protocol.schedule import EpochContext
from incamera.protocol.secret import Secret
from incamera.protocol.voice import HOLD_MS, MAX_HELD, MAX_WAITING, Voice

Refused = Callable[[Code], Any]
MEETING = MeetingId(bytes(32))
CONTEXT = EpochContext(MEETING, EntryId(bytes(32)), bytes(32), 0, 1)
CHAT = Chat(id=bytes(32), text="hello")


@pytest.fixture
def voices(signer: Callable[[int], Any]) -> list[Voice]:
    """Two members: the first speaks, the second listens."""
    return [
        Voice(signer(n), meeting=MEETING, boot=0, entropy=TOOLS.entropy) for n in (1, 2)
    ]


@pytest.fixture
def key(secret: Callable[[int], Secret]) -> EpochKey:
    return EpochKey(KeyId(bytes(32)), CONTEXT, secret(5), 0)


def box_of(data: bytes) -> GroupBox:
    box = parse_message(data)
    assert isinstance(box, GroupBox)
    return box


def test_what_is_sealed_is_opened_by_who_has_the_key(
    voices: list[Voice], key: EpochKey, signer: Callable[[int], Any], refused: Refused
) -> None:
    box = box_of(voices[0].seal(CHAT, key, slot=1))
    message = voices[1].open(box, key, signer(1).public)
    assert message.body == CHAT
    voices[1].guard.admit(message)
    with refused(Code.REPLAYED):
        voices[1].open(box, key, signer(1).public)


def test_another_key_or_sender_does_not_open(
    voices: list[Voice], key: EpochKey, signer: Callable[[int], Any], refused: Refused
) -> None:
    box = box_of(voices[0].seal(CHAT, key, slot=1))
    other = EpochKey(key.key_id, CONTEXT, Secret(bytearray(32)), 0)
    with refused(Code.BAD_BOX):
        voices[1].open(box, other, signer(1).public)
    with refused(Code.WRONG_SENDER):
        voices[1].open(box, key, signer(2).public)


def test_counters_rise(voices: list[Voice]) -> None:
    signed = [voices[0].sign(CHAT, 0).header.counter for _ in range(3)]
    assert signed == [0, 1, 2]


def test_boxes_wait_for_their_key_but_not_for_ever(
    voices: list[Voice], key: EpochKey
) -> None:
    voice, box = voices[1], box_of(voices[0].seal(CHAT, key, slot=1))
    for time in range(MAX_HELD + 10):
        voice.hold(box, time)
    assert len(voice.held) == MAX_HELD
    assert len(voice.release(HOLD_MS + 10)) == MAX_HELD - 1
    assert voice.release(0) == []


def test_own_messages_wait_in_bounds(voices: list[Voice], refused: Refused) -> None:
    voice = voices[0]
    for _ in range(MAX_WAITING):
        voice.require_room()
        voice.queue(None, CHAT)
    with refused(Code.QUEUE_FULL):
        voice.require_room()
    voice.queue(None, CHAT)  # of the machine itself: dropped
    assert len(voice.unqueue()) == MAX_WAITING
    assert voice.unqueue() == []


def test_nothing_waits_after_the_end(voices: list[Voice], key: EpochKey) -> None:
    voice = voices[0]
    voice.queue(None, CHAT)
    voice.hold(box_of(voice.seal(CHAT, key, slot=1)), 0)
    voice.wipe()
    assert voice.queued == []
    assert voice.held == []

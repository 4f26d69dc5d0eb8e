# SPDX-License-Identifier: Apache-2.0
import math
from array import array
from collections import Counter
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from incamera.errors import MediaError, UsageError
from incamera.media.recognition import (
    Recognition,
    Second,
    find_tone,
    read_picture,
    recognise,
)
from incamera.media.testcard import (
    MAX_SENDER,
    Card,
    code_of,
    draw,
    parse_code,
    tone_of,
)


@given(st.integers(0, MAX_SENDER), st.integers(0, 2**16 - 1))
def test_a_drawn_picture_is_read_back(sender: int, number: int) -> None:
    assert read_picture(draw(Card(sender), number)) == (sender, number)


@given(st.integers(0, 255), st.integers(0, 2**16 - 1), st.integers(0, 31))
def test_one_wrong_block_is_noticed(sender: int, number: int, bit: int) -> None:
    assert parse_code(code_of(sender, number)) == (sender, number)
    assert parse_code(code_of(sender, number) ^ 1 << bit) is None


def test_a_grey_picture_is_nobody_s() -> None:
    frame = draw(Card(1), 1)
    for plane in frame.planes:
        plane.update(bytes([128]) * plane.buffer_size)
    assert read_picture(frame) is None


@pytest.mark.parametrize(("width", "height"), [(160, 120), (320, 240), (641, 363)])
def test_pictures_of_other_sizes_are_read(width: int, height: int) -> None:
    card = Card(7, width=width, height=height)
    assert read_picture(draw(card, 1234)) == (7, 1234)


def samples(hertz: float, loudness: float = 8_000) -> "array[int]":

    step = 2 * math.pi * hertz / 8_000
    return array("h", (int(loudness * math.sin(step * at)) for at in range(2_000)))


@pytest.mark.parametrize("sender", range(MAX_SENDER + 1))
def test_each_tone_is_found_and_no_other(sender: int) -> None:
    assert find_tone(samples(tone_of(sender))) == sender


@pytest.mark.parametrize("hertz", [tone_of(1) + 75, 50, 3_900])
def test_another_tone_is_nobody_s(hertz: float) -> None:
    assert find_tone(samples(hertz)) is None


def test_silence_and_two_voices_are_nobody_s() -> None:
    both = zip(samples(tone_of(1)), samples(tone_of(2)), strict=True)
    two = [one + other for one, other in both]
    three = [a + b for a, b in zip(two, samples(tone_of(3)), strict=True)]
    assert find_tone(array("h", bytes(4_000))) is None
    assert find_tone(three) is None


def test_there_are_so_many_senders_and_no_more() -> None:
    with pytest.raises(UsageError):
        tone_of(MAX_SENDER + 1)


def test_a_card_is_recognised_from_its_file(cards: Path) -> None:
    found = recognise(cards / "1.webm")
    assert len(found.seconds) == 12
    assert found.shows_and_sounds(1, rate=15, seconds=12)


def test_a_card_is_not_another_s_control(cards: Path) -> None:
    found = recognise(cards / "1.webm")
    assert not found.shows_and_sounds(2, rate=15, seconds=12)


def second(picture: int | None, tone: int | None, count: int = 15) -> Second:
    return Second(Counter({picture: count}), Counter({tone: 4}))


@pytest.mark.parametrize(
    ("seconds", "holds"),
    [
        ([second(1, 1)] * 10, True),
        ([second(1, 1)] * 9, True),
        ([second(1, 1)] * 8, False),
        ([second(1, 2)] * 10, False),  # a swapped sound track
        ([second(2, 1)] * 10, False),  # a swapped picture track
        ([second(1, 1, count=12)] * 10, False),  # a fifth of the pictures is lost
        ([second(1, 1)] * 8 + [second(None, None)] * 2, False),
    ],
)
def test_ninety_percent_of_both_are_needed(seconds: list[Second], holds: bool) -> None:
    found = Recognition(tuple(seconds))
    assert found.shows_and_sounds(1, rate=15, seconds=10) is holds


def test_a_file_that_is_no_recording(tmp_path: Path) -> None:
    path = tmp_path / "x.webm"
    path.write_bytes(b"no recording at all")
    with pytest.raises(MediaError):
        recognise(path)

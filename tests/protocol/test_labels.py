# SPDX-License-Identifier: Apache-2.0
"""Labels keep uses apart only while no two are alike (spec/encoding.md)."""

from itertools import permutations

from incamera.protocol import labels

ALL = {
    name: value
    for name, value in vars(labels).items()
    if name.isupper() and isinstance(value, bytes)
}


def test_no_two_labels_are_alike() -> None:
    assert len(ALL) > 20
    assert len(set(ALL.values())) == len(ALL)


def test_no_label_begins_another() -> None:
    assert not [
        (one, other)
        for one, other in permutations(ALL, 2)
        if ALL[other].startswith(ALL[one])
    ]

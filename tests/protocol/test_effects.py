# SPDX-License-Identifier: Apache-2.0
"""What a machine asks the shell to do are plain values."""

from dataclasses import FrozenInstanceError
from typing import Any, get_args

import pytest

from incamera.protocol import effects as fx


@pytest.mark.parametrize("kind", [*get_args(fx.Effect), *get_args(fx.Event)])
def test_effects_and_events_are_frozen(kind: Any) -> None:
    value = kind(*kind.__match_args__)
    assert value == kind(*kind.__match_args__)
    for name in kind.__match_args__:
        with pytest.raises(FrozenInstanceError):
            setattr(value, name, None)

# SPDX-License-Identifier: Apache-2.0
"""Where does the secret of an epoch come from (spec/keys.md, sections 4 and 6)?

Whatever agrees on keys gives one function: from the epoch's place, which binds
`prev_epoch` and the root of the roster, to 32 bytes.  Today a star: the leader draws,
or everybody steps, and a wrap brings it to whoever cannot step.  A tree of keys (MLS)
could take its place; schedule and media know only what comes out.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from incamera.protocol.ids import EntryId, KeyId
from incamera.protocol.schedule import EpochContext, ratchet_seed
from incamera.protocol.secret import Secret
from incamera.protocol.wraps import MemberKek, Wrap, WrapContext


class EpochSecret(Protocol):
    """One source of an epoch's secret."""

    def __call__(self, context: EpochContext, /) -> Secret:
        """Return the seed of that epoch, 32 bytes, which the caller wipes.

        Raises PeerError if somebody else's part in it is wrong.
        """


@dataclass(frozen=True, slots=True)
class Drawn:
    """The leader draws it: whoever was dropped cannot know it."""

    draw: Callable[[], Secret]

    def __call__(self, _context: EpochContext, /) -> Secret:
        return self.draw()


@dataclass(frozen=True, slots=True)
class Stepped:
    """Everybody steps it from the key before: people only joined."""

    key: Secret

    def __call__(self, context: EpochContext, /) -> Secret:
        return ratchet_seed(self.key, context)


@dataclass(frozen=True, slots=True)
class Wrapped:
    """The leader's wrap brings it under a pairwise key; PeerError if it does not."""

    kek: MemberKek
    wrap: Wrap
    key_id: KeyId
    slot: int

    def __call__(self, context: EpochContext, /) -> Secret:
        place = WrapContext(EntryId(context.prev_epoch), self.key_id, self.slot)
        return self.kek.open(self.wrap, place)

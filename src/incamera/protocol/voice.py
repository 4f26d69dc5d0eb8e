# SPDX-License-Identifier: Apache-2.0
"""How a member speaks and listens over the relay (spec/relay.md, sections 3 and 4).

One counter for all that is said, one guard over all that is heard, and the boxes in
between.  A box is sealed under the newest key that is held; after a removal was seen
nothing is sealed under a key that the removed member holds, so such messages wait.
"""

from dataclasses import dataclass
from typing import Final

from incamera.errors import Code, UsageError
from incamera.protocol.box import GroupBox, GroupContext, seal_group
from incamera.protocol.ids import Kid, MeetingId, VerifyKey
from incamera.protocol.keyring import EpochKey
from incamera.protocol.message import (
    CounterGuard,
    Message,
    MessageCounter,
    encode_unsigned,
    open_message,
    sign_message,
)
from incamera.protocol.message_bodies import Body
from incamera.protocol.ports import Entropy, Signer
from incamera.protocol.schedule import SALT_BYTES, group_key

HOLD_MS: Final = 5_000
"""How long a box under a key that we lack may wait for it."""
MAX_HELD: Final = 64
"""Boxes held at once: a burst of signalling at a join, and no more."""
MAX_WAITING: Final = 64
"""Messages of our own that wait for the next key."""


@dataclass(frozen=True, slots=True)
class Held:
    """A box that came before its key."""

    box: GroupBox
    until_ms: int


@dataclass(frozen=True, slots=True)
class Queued:
    """A message of our own that waits for a key it may be sealed under."""

    to: Kid | None
    body: Body


class Voice:
    """Signs, seals, opens and admits the messages of one member."""

    def __init__(
        self, signer: Signer, *, meeting: MeetingId, boot: int, entropy: Entropy
    ) -> None:
        self.guard = CounterGuard()
        self.held: list[Held] = []
        self.queued: list[Queued] = []
        self.boot = boot
        self._signer = signer
        self._meeting = meeting
        self._counter = MessageCounter(boot)
        self._entropy = entropy

    def sign(self, body: Body, term: int) -> Message:
        """Return `body` signed under our next counter."""
        return sign_message(
            self._signer,
            body,
            meeting=self._meeting,
            counter=self._counter.take(),
            term=term,
        )

    def seal(self, body: Body, key: EpochKey, *, slot: int) -> bytes:
        """Return `body` signed and sealed to the holders of `key`."""
        content = self.sign(body, key.context.term).data
        group = group_key(key.key, key.key_id)
        salt = bytes(self._entropy.draw(SALT_BYTES))
        box = seal_group(group, content, context=_context(key), slot=slot, salt=salt)
        group.wipe()
        return encode_unsigned(box)

    def open(self, box: GroupBox, key: EpochKey, sender: VerifyKey) -> Message:
        """Return the verified message in a box of `sender`, which is new.

        The caller lets the guard admit it once it has taken effect.

        Raises PeerError: BAD_BOX, WRONG_SENDER, BAD_SIGNATURE, REPLAYED and as parsing.
        """
        group = group_key(key.key, key.key_id)
        try:
            message = open_message(group, box, context=_context(key), sender=sender)
        finally:
            group.wipe()
        self.guard.check(message)
        return message

    def hold(self, box: GroupBox, now_ms: int) -> None:
        """Keep a box whose key has not come; the oldest goes when they are many."""
        self.held = [*self.held[-MAX_HELD + 1 :], Held(box, now_ms + HOLD_MS)]

    def release(self, now_ms: int) -> list[GroupBox]:
        """Return the boxes to try again, and forget all that are held."""
        boxes = [held.box for held in self.held if held.until_ms > now_ms]
        self.held = []
        return boxes

    def require_room(self) -> None:
        """Raise UsageError(QUEUE_FULL) if the next message could not wait."""
        if len(self.queued) >= MAX_WAITING:
            raise UsageError(Code.QUEUE_FULL, "too much is waiting for the next key")

    def queue(self, to: Kid | None, body: Body) -> None:
        """Let a message wait for the next key; dropped when too many do.

        What the machine itself says is asked for again, and must not fail an input; a
        person is told by `require_room` first.
        """
        if len(self.queued) < MAX_WAITING:
            self.queued.append(Queued(to, body))

    def unqueue(self) -> list[Queued]:
        """Return what waited."""
        waiting, self.queued = self.queued, []
        return waiting

    def wipe(self) -> None:
        """Forget what waits: some of it carries keys."""
        self.held, self.queued = [], []


def _context(key: EpochKey) -> GroupContext:
    context = key.context
    return GroupContext(context.meeting, context.prev_epoch, key.key_id)

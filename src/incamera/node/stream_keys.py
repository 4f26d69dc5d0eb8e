# SPDX-License-Identifier: Apache-2.0
"""Which base key each stream has in each live epoch (spec/media.md, sections 2 and 3).

The machine says which epochs exist and which one to send under; here every own stream
and every announced stream of the others gets its key, and loses it again.
"""

import logging
from collections.abc import Iterable

from incamera.errors import IncameraError
from incamera.protocol.frames import StreamId, StreamKind, StreamReceiver, StreamSender
from incamera.protocol.ids import EntryId
from incamera.protocol.member import Member

KINDS = 4
"""Stream number = KINDS x generation + kind."""

_log = logging.getLogger(__name__)


class SessionKeys:
    """The mesh's `StreamKeys`, over one member's machine."""

    def __init__(self, member: Member) -> None:
        self._member = member
        self._numbers: dict[StreamKind, StreamId] = {}
        self._senders: dict[StreamKind, StreamSender] = {}
        self._receivers: dict[int, tuple[EntryId, StreamReceiver]] = {}
        self._epochs: list[int] = []

    def open_streams(self, kinds: Iterable[StreamKind], generation: int) -> None:
        """Begin our own streams, under every live epoch."""
        room = self._member.room
        slot = room.require_inside().slot
        for kind in kinds:
            stream = StreamId(slot, KINDS * generation + kind)
            self._numbers[kind] = stream
            self._senders[kind] = StreamSender(room.seat.meeting, stream)
        for key in room.keyring.live():
            self.install(key.epoch)

    def sender(self, kind: StreamKind) -> StreamSender:
        """Return the sealing end of our own stream of this kind."""
        return self._senders[kind]

    def stream(self, kind: StreamKind) -> StreamId:
        """Return our slot and the number of that stream."""
        return self._numbers[kind]

    def receiver(self, slot: int) -> StreamReceiver:
        """Return the opening end for whoever sits in `slot` now."""
        room = self._member.room
        member = room.meeting_state.roster[slot].id
        known = self._receivers.get(slot)
        if known is None or known[0] != member:
            if known is not None:
                known[1].wipe()
            receiver = StreamReceiver(room.seat.meeting, slot)
            self._receivers[slot] = member, receiver
        return self._receivers[slot][1]

    def install(self, epoch: int) -> None:
        """Give every stream its key of this epoch."""
        if epoch in self._epochs:
            return
        self._epochs.append(epoch)
        for kind, sender in self._senders.items():
            stream = self._numbers[kind]
            key = self._member.stream_key(epoch, slot=stream.slot, number=stream.number)
            sender.install(epoch, key)
            key.wipe()
        for slot, (_, receiver) in self._receivers.items():
            self._install_theirs(slot, receiver, epoch)

    def announced(self, slot: int) -> None:
        """Give a member's newly announced streams their keys of all live epochs."""
        receiver = self.receiver(slot)
        for epoch in self._epochs:
            self._install_theirs(slot, receiver, epoch)

    def _install_theirs(self, slot: int, receiver: StreamReceiver, epoch: int) -> None:
        for number in receiver.numbers:
            try:
                key = self._member.stream_key(epoch, slot=slot, number=number)
                receiver.install(epoch, number, key)
                key.wipe()
            except IncameraError as error:
                # Installed already, or dropped meanwhile: nothing to do.
                _log.debug("stream key of epoch %d: %s", epoch, error.code.value)

    def switch(self, epoch: int) -> None:
        """Send under this epoch."""
        for sender in self._senders.values():
            if sender.epoch != epoch:
                sender.switch(epoch)

    def stop(self) -> None:
        """Send nothing until the next switch."""
        for sender in self._senders.values():
            sender.stop()

    def drop(self, epoch: int) -> None:
        """Forget the keys of this epoch."""
        self._epochs = [known for known in self._epochs if known != epoch]
        for sender in self._senders.values():
            sender.uninstall(epoch)
        for _, receiver in self._receivers.values():
            receiver.uninstall(epoch)

    def forget(self, member: EntryId) -> None:
        """Drop every key of a member that is gone."""
        for slot, (known, receiver) in list(self._receivers.items()):
            if known == member:
                receiver.wipe()
                del self._receivers[slot]

    def wipe(self) -> None:
        """Forget everything."""
        for sender in self._senders.values():
            sender.wipe()
        for _, receiver in self._receivers.values():
            receiver.wipe()

# SPDX-License-Identifier: Apache-2.0
"""Who are we connected to, and who no longer? (spec/media.md, section 7)

One link per member, by the id of the entry that brought it in.  Which side offers is
the caller's decision.  A removed member is cut in the same instant and cannot connect
again: entry ids never return.
"""

import asyncio
import logging
from collections.abc import Callable, Coroutine, Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Final, Protocol

from incamera.errors import Code, IncameraError, MediaError, PeerError, UsageError
from incamera.media.description import Description
from incamera.media.outgoing import FrameSource, Outgoing
from incamera.media.peer import FrameSink, LinkPorts, PeerLink
from incamera.media.statistics import StreamStatistics, snapshot
from incamera.protocol.frames import StreamId, StreamKind, StreamReceiver, StreamSender
from incamera.protocol.ids import EntryId

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Remote:
    """Another member: the entry that asked for it, and its slot in the roster."""

    member: EntryId
    slot: int


class StreamKeys(Protocol):
    """All that media knows of keys; the node installs and removes them."""

    def sender(self, kind: StreamKind) -> StreamSender:
        """Return the sealing end of our own stream of this kind."""

    def stream(self, kind: StreamKind) -> StreamId:
        """Return our slot and the number of that stream."""

    def receiver(self, slot: int) -> StreamReceiver:
        """Return the opening end for the member in `slot`."""


class OpenMemberSink(Protocol):
    """Makes the sink of one member's frames."""

    def __call__(self, remote: Remote, kinds: frozenset[StreamKind]) -> FrameSink:
        """Return the sink."""


@dataclass(frozen=True, slots=True)
class MeshPorts:
    """What a mesh calls, and where it may listen.

    `source_ended` hears the kind of an own stream that ended, and why if it broke.
    `link_changed` hears the states of a link, "failed" and "closed" among them.
    `addresses`: our addresses to offer; None for all of this machine.
    """

    open_sink: OpenMemberSink
    source_ended: Callable[[StreamKind, MediaError | None], None]
    link_changed: Callable[[Remote, str], None] = lambda remote, state: None  # noqa: ARG005
    addresses: tuple[str, ...] | None = None


class Mesh:
    """Our streams out to every member and every member's streams in."""

    def __init__(
        self, keys: StreamKeys, sources: Sequence[FrameSource], ports: MeshPorts
    ) -> None:
        self._keys = keys
        self._ports = ports
        self._outgoing: Final = tuple(
            Outgoing(source, keys.sender(source.kind), keys.stream(source.kind))
            for source in sources
        )
        self._links: dict[EntryId, PeerLink] = {}
        self._removed: set[EntryId] = set()
        self._tasks: set[asyncio.Task[None]] = set()
        self._runs: list[asyncio.Task[None]] = []

    def start(self) -> None:
        """Start our sources; call it once, inside the event loop."""
        self._runs = [asyncio.ensure_future(self._run(out)) for out in self._outgoing]

    async def offer(self, remote: Remote) -> Description:
        """Return an offer for `remote`; an older link to it is replaced.

        Raises PeerError(NOT_ALLOWED) for a removed member.
        """
        return await self._open(remote).create_offer()

    async def accept_offer(self, remote: Remote, offer: Description) -> Description:
        """Return the answer to an offer that `remote` signed; replaces an older link.

        Raises PeerError: NOT_ALLOWED for a removed member, BAD_FINGERPRINT, SCHEMA.
        """
        link = self._open(remote)
        try:
            return await link.accept_offer(offer)
        except IncameraError:
            self.drop(remote.member)
            raise

    async def accept_answer(self, member: EntryId, answer: Description) -> None:
        """Take the answer that `member` signed to our last offer.

        Raises PeerError as `accept_offer`, UsageError if there is no link.
        """
        await self.link(member).accept_answer(answer)

    def link(self, member: EntryId) -> PeerLink:
        """Return the link to `member`; raises UsageError(WRONG_STATE) without one."""
        try:
            return self._links[member]
        except KeyError:
            raise UsageError(Code.WRONG_STATE, "no link to this member") from None

    @property
    def members(self) -> tuple[EntryId, ...]:
        """The members that we have a link to."""
        return tuple(self._links)

    def remove(self, member: EntryId) -> None:
        """Cut a removed member: nothing is sent from this call on, no offer taken."""
        self._removed.add(member)
        self.drop(member)

    def drop(self, member: EntryId) -> None:
        """End the link to `member`, if there is one, at once; it may connect again."""
        link = self._links.pop(member, None)
        if link is not None:
            link.mute()
            self._start(_end(link))

    def keys_changed(self) -> None:
        """Try waiting frames again, after keys were installed."""
        for link in self._links.values():
            link.keys_changed()

    def statistics(self) -> tuple[StreamStatistics, ...]:
        """Return a snapshot per stream: our own first, then every member's."""
        own = (snapshot(out.stream.slot, out.kind, out.tally) for out in self._outgoing)
        return (*own, *self._received())

    async def close(self) -> None:
        """End everything: sources, links and sinks."""
        for member in self.members:
            self.drop(member)
        for run in self._runs:
            run.cancel()
        await asyncio.gather(*self._runs, *self._tasks, return_exceptions=True)

    def _received(self) -> Iterable[StreamStatistics]:
        for link in self._links.values():
            yield from link.statistics().values()

    def _open(self, remote: Remote) -> PeerLink:
        if remote.member in self._removed:
            raise PeerError(Code.NOT_ALLOWED, "a removed member")
        self.drop(remote.member)
        link = PeerLink(remote.slot, self._link_ports(remote))
        self._links[remote.member] = link
        return link

    def _link_ports(self, remote: Remote) -> LinkPorts:
        return LinkPorts(
            outgoing=self._outgoing,
            receiver=self._keys.receiver(remote.slot),
            open_sink=lambda kinds: self._ports.open_sink(remote, kinds),
            state_changed=lambda state: self._ports.link_changed(remote, state),
            addresses=self._ports.addresses,
        )

    async def _run(self, outgoing: Outgoing) -> None:
        try:
            await outgoing.run()
        except MediaError as error:
            self._ports.source_ended(outgoing.kind, error)
        else:
            self._ports.source_ended(outgoing.kind, None)

    def _start(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.ensure_future(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)


async def _end(link: PeerLink) -> None:
    try:
        await link.close()
    except MediaError as error:
        _log.warning("the recording of slot %d is incomplete: %s", link.slot, error)

# SPDX-License-Identifier: Apache-2.0
"""Which entries does the gateway take, before the ledger's rules (spec/relay.md, 6)?

Rates only, and who opens topics.  Whether an entry is legal is `apply`'s question, in
the ledger, which also refuses new topics before running ones when space gets short.
"""

import ipaddress
import time
from collections.abc import Collection
from dataclasses import dataclass, field
from typing import Final

from incamera.errors import Code, LedgerError, PeerError
from incamera.ledger.base import Ledger
from incamera.node.gateway.limits import Buckets, Limits
from incamera.node.permits import verify_permit
from incamera.protocol.entry import Entry, EntryType, parse_entry
from incamera.protocol.ids import TopicId, VerifyKey
from incamera.protocol.proof import Proof, Receipt

_IPV6_PREFIX: Final = 64
"""Bits of an IPv6 address that its owner cannot choose freely."""
_OPENING: Final = frozenset({EntryType.USER_ROOT, EntryType.PUBLISH})


def address_key(host: str) -> str:
    """Return whose address it is: the host in IPv4, the network in IPv6."""
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return host
    if isinstance(address, ipaddress.IPv4Address):
        return str(address)
    return str(ipaddress.ip_network((address, _IPV6_PREFIX), strict=False))


@dataclass(slots=True)
class Intake:
    """The checks that every append passes."""

    ledger: Ledger
    limits: Limits
    owners: Collection[VerifyKey]
    _appends: Buckets = field(init=False)
    _refusals: Buckets = field(init=False)
    _requests: Buckets = field(init=False)
    _entries: Buckets = field(init=False)
    _users: Buckets = field(init=False)
    _meetings: Buckets = field(init=False)

    def __post_init__(self) -> None:
        limits = self.limits
        self._appends = Buckets(limits.appends)
        self._refusals = Buckets(limits.refusals)
        self._requests = Buckets(limits.topic_requests)
        self._entries = Buckets(limits.topic_entries)
        self._users = Buckets(limits.user_topics)
        self._meetings = Buckets(limits.stranger_meetings)

    async def append(
        self, data: bytes, *, address: str, permit: str | None
    ) -> tuple[Entry, Receipt, Proof]:
        """Append an entry and return it with its receipt and a proof of its topic.

        Raises LedgerError: QUOTA, STORAGE; PeerError: NOT_ALLOWED, those of parsing and
        of the rules.
        """
        now = time.monotonic()
        self._appends.take(address, now)
        self._refusals.check(address, now)
        try:
            entry = parse_entry(data)
            await self._allow(entry, address=address, permit=permit)
            receipt = await self.ledger.append(data)
        except PeerError:
            self._refusals.take(address, now)
            raise
        return entry, receipt, await self.ledger.prove(receipt.topic)

    async def _allow(self, entry: Entry, *, address: str, permit: str | None) -> None:
        opening = entry.header.type in _OPENING
        if opening and await self.ledger.read(TopicId(entry.id), limit=1):
            return  # the same first entry again: its receipt costs nothing
        now = time.monotonic()
        match entry.header.type:
            case EntryType.USER_ROOT:
                self._users.take(address, now)
            case EntryType.PUBLISH:
                self._allow_meeting(entry, address=address, permit=permit)
            case EntryType.REQUEST:
                self._requests.take(entry.header.place, now)
            case _:
                self._entries.take(entry.header.place, now)

    def _allow_meeting(self, entry: Entry, *, address: str, permit: str | None) -> None:
        if permit is None:
            try:
                self._meetings.take(address, time.monotonic())
            except LedgerError:
                message = "only owners and invited people open meetings here"
                raise PeerError(Code.NOT_ALLOWED, message) from None
            return
        verify_permit(
            permit,
            entry.id,
            ledger_id=self.ledger.ledger_id,
            owners=self.owners,
            now_ms=time.time_ns() // 1_000_000,
        )

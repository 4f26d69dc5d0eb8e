# SPDX-License-Identifier: Apache-2.0
"""How this home reaches ledgers, and what it remembers of them.

One `Memory` per ledger, kept in the store: whatever was verified once must still hold
after a restart.  And one note per meeting: where it is, what it is called.
"""

from dataclasses import dataclass
from typing import Final

from incamera.errors import Code, IncameraError, UsageError
from incamera.ledger.remembered import Memory, encode_memory, parse_memory
from incamera.ledger.remote import RemoteLedger
from incamera.node.gateway_client import GatewayClient, Opener
from incamera.node.own_gateway import Reachable
from incamera.node.store import Store
from incamera.protocol.encoding import Value, encode, parse
from incamera.protocol.ids import LedgerId, MeetingId
from incamera.protocol.ports import Clock

FORMAT: Final = 1
MAX_NOTE: Final = 16_384


@dataclass(slots=True)
class Note:
    """Where a meeting is and what is played and recorded there; no secret."""

    place: Reachable
    title: str
    play: str | None
    record: str | None
    public: bool
    over: bool = False


class Places:
    """Opens ledgers and keeps what was verified of them."""

    def __init__(self, store: Store, clock: Clock) -> None:
        self._store = store
        self._clock = clock
        self._memories: dict[LedgerId, Memory] = {}
        self._sizes: dict[LedgerId, int] = {}

    async def open(
        self, place: Reachable, *, opener: Opener | None = None
    ) -> tuple[RemoteLedger, GatewayClient]:
        """Connect to a gateway and check that it fronts that ledger.

        Raises LedgerError: UNREACHABLE, TLS_PIN, WRONG_LEDGER.
        """
        client = GatewayClient(
            place.address, place.pin, clock=self._clock, opener=opener
        )
        memory = self._memory(place.ledger_id)
        try:
            ledger = await RemoteLedger.connect(
                client, place.ledger_id, memory=memory, clock=self._clock
            )
        except IncameraError:
            await client.close()
            raise
        return ledger, client

    def remember(self) -> None:
        """Make durable what was verified since the last call."""
        for ledger_id, memory in self._memories.items():
            if memory.log.size != self._sizes.get(ledger_id):
                self._sizes[ledger_id] = memory.log.size
                self._store.save(_item(ledger_id), bytearray(encode_memory(memory)))

    def _memory(self, ledger_id: LedgerId) -> Memory:
        if ledger_id not in self._memories:
            item, memory = _item(ledger_id), Memory()
            if item in self._store.names():
                memory = parse_memory(bytes(self._store.load(item)))
            self._memories[ledger_id] = memory
            self._sizes[ledger_id] = memory.log.size
        return self._memories[ledger_id]

    # ------------------------------------------------------------------------- notes

    def note(self, meeting: MeetingId, note: Note) -> None:
        """Keep where a meeting is."""
        place = note.place
        value: Value = [
            FORMAT,
            [place.address, place.pin, place.ledger_id],
            [note.title, note.play, note.record],
            [note.public, note.over],
        ]
        self._store.save(_note_item(meeting), bytearray(encode(value)))

    def find(self, meeting: MeetingId) -> Note:
        """Return the note of a meeting; UsageError: NO_MEETING, STORAGE."""
        data = bytes(self._store.load(_note_item(meeting)))
        match parse(data, MAX_NOTE):
            case [
                1,
                [str() as address, bytes() | None as pin, bytes() as ledger],
                [str() as title, str() | None as play, str() | None as record],
                [bool() as public, bool() as over],
            ]:
                place = Reachable(address, pin, LedgerId(ledger))
                return Note(place, title, play, record, public, over)
        raise UsageError(Code.STORAGE, "the note of a meeting is damaged")

    def noted(self) -> list[MeetingId]:
        """Return every meeting that has a note."""
        names = [n for n in self._store.names() if n.startswith("note-")]
        return [MeetingId(bytes.fromhex(n.partition("-")[2])) for n in names]


def _item(ledger_id: LedgerId) -> str:
    return f"ledger-{ledger_id.hex()}"


def _note_item(meeting: MeetingId) -> str:
    return f"note-{meeting.hex()}"

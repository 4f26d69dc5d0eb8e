# SPDX-License-Identifier: Apache-2.0
"""What a member's state machine asks the shell to do (spec/meeting.md, section 7).

Every input of a `Member` returns a tuple of effects.  The shell saves the member's
state first and runs the effects after, in order: *save, then send*.
"""

from dataclasses import dataclass
from typing import TypeAlias

from incamera.errors import Code
from incamera.protocol.identity import Identified
from incamera.protocol.ids import EntryId, Kid
from incamera.protocol.message_bodies import Answer, Offer, StreamMessage

# ------------------------------------------------------------------ what people hear


@dataclass(frozen=True, slots=True)
class Asked:
    """Somebody asks to come in; `identified` is the proven identity."""

    request: EntryId
    identified: Identified


@dataclass(frozen=True, slots=True)
class AskRefused:
    """A request's identity did not hold; the leader's machine declined it."""

    request: EntryId
    code: Code


@dataclass(frozen=True, slots=True)
class Waiting:
    """Our request is on the ledger; the leader decides."""

    request: EntryId


@dataclass(frozen=True, slots=True)
class Declined:
    """The leader did not let us in."""

    reason: int


@dataclass(frozen=True, slots=True)
class CameIn:
    """A member is in the roster (ourselves included)."""

    member: EntryId


@dataclass(frozen=True, slots=True)
class WentOut:
    """A member is no longer in the roster: 1 left, 2 lost, 3 removed."""

    member: EntryId
    how: int


@dataclass(frozen=True, slots=True)
class Leaving:
    """A member said goodbye; it leaves the roster with the next fresh key."""

    member: EntryId


@dataclass(frozen=True, slots=True)
class Checked:
    """We verified a member's identity ourselves."""

    member: EntryId
    identified: Identified


@dataclass(frozen=True, slots=True)
class CheckFailed:
    """A member's identity proof does not hold; it stays marked."""

    member: EntryId
    code: Code


@dataclass(frozen=True, slots=True)
class Keyed:
    """We hold the meeting key of this epoch and checked its commitment."""

    epoch: int


@dataclass(frozen=True, slots=True)
class Switched:
    """Our sending moved to this epoch."""

    epoch: int


@dataclass(frozen=True, slots=True)
class Said:
    """A chat message, signed by its sender and read under the group key."""

    member: EntryId
    text: str


@dataclass(frozen=True, slots=True)
class DoorsChanged:
    """The policy's doors: 0 open, 1 closed."""

    doors: int


@dataclass(frozen=True, slots=True)
class Suspect:
    """Something did not verify; nothing was changed by it."""

    code: Code
    what: str


@dataclass(frozen=True, slots=True)
class Ended:
    """The meeting is over for us: dismissed, left, removed or expired."""

    reason: str


Event: TypeAlias = (
    Asked
    | AskRefused
    | Waiting
    | Declined
    | CameIn
    | WentOut
    | Leaving
    | Checked
    | CheckFailed
    | Keyed
    | Switched
    | Said
    | DoorsChanged
    | Suspect
    | Ended
)

# ------------------------------------------------------------------- what is to be done


@dataclass(frozen=True, slots=True)
class Append:
    """Append this entry to the meeting's ledger; append again until it is there."""

    entry: bytes


@dataclass(frozen=True, slots=True)
class Post:
    """Send a message over the relay: to one member, or to all (`to` is None)."""

    to: Kid | None
    message: bytes


@dataclass(frozen=True, slots=True)
class StoreBlob:
    """Keep this at the gateway for members who come later."""

    name: str
    data: bytes


@dataclass(frozen=True, slots=True)
class FetchBlob:
    """Fetch a blob; the answer comes back through `got_blob`."""

    name: str


@dataclass(frozen=True, slots=True)
class KeysInstalled:
    """Media may install this epoch's stream keys for every member in the roster."""

    epoch: int


@dataclass(frozen=True, slots=True)
class SendUnder:
    """Media sends under this epoch from now on."""

    epoch: int


@dataclass(frozen=True, slots=True)
class StopSending:
    """A removal was seen: nothing leaves until the next `SendUnder`."""


@dataclass(frozen=True, slots=True)
class KeysDropped:
    """Media forgets this epoch."""

    epoch: int


@dataclass(frozen=True, slots=True)
class Cut:
    """Close the connection to this member and refuse it until admitted again."""

    member: EntryId


@dataclass(frozen=True, slots=True)
class Signal:
    """A member's verified offer or answer for a media connection."""

    member: EntryId
    body: Offer | Answer


@dataclass(frozen=True, slots=True)
class Streams:
    """A member's verified list of its live streams."""

    member: EntryId
    body: StreamMessage


@dataclass(frozen=True, slots=True)
class WakeAt:
    """Call `tick` at this time (ms since 1970) or soon after."""

    at_ms: int


@dataclass(frozen=True, slots=True)
class Tell:
    """Tell the person."""

    event: Event


@dataclass(frozen=True, slots=True)
class Erase:
    """Destroy the saved state and every key of the meeting."""


Effect: TypeAlias = (
    Append
    | Post
    | StoreBlob
    | FetchBlob
    | KeysInstalled
    | SendUnder
    | StopSending
    | KeysDropped
    | Cut
    | Signal
    | Streams
    | WakeAt
    | Tell
    | Erase
)

# SPDX-License-Identifier: Apache-2.0
"""How an event of the machine is told to a person (spec/local-api.md, section 1)."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, TypeAlias, assert_never

from incamera.protocol import effects as fx
from incamera.protocol.identity import Identified
from incamera.protocol.ids import EntryId
from incamera.protocol.policy import Doors

REMOVED: Final = 3
HOW: Final = {1: "left", 2: "was lost", REMOVED: "was removed"}
REASONS: Final = {
    "dismissed": "the leader ended the meeting",
    "left": "you left; the keys of the meeting are erased here",
    "removed": "you were removed; the keys of the meeting are erased here",
    "everybody left": "everybody left",
    "expired": "the meeting's last hour has struck; its keys are erased here",
    "refused": "the meeting did not take the request",
}


@dataclass(frozen=True, slots=True)
class Sentence:
    """What is told: one of EVENT_KINDS, the words, and whom it is about."""

    kind: str
    text: str
    member: EntryId | None = None
    request: EntryId | None = None


_OfTheRoom: TypeAlias = fx.Keyed | fx.Switched | fx.DoorsChanged | fx.Suspect | fx.Ended


def name_of(who: Identified) -> str:
    """Return the name that a proven identity claims, else its user id."""
    return who.info or f"user {who.user_id.hex()[:8]}"


def tell(event: fx.Event, name: Callable[[EntryId], str]) -> Sentence:
    """Return the sentence; `name` says how to call a member."""
    if isinstance(event, _OfTheRoom):
        return _of_the_room(event)
    if isinstance(event, fx.Asked | fx.AskRefused | fx.Waiting | fx.Declined):
        return _of_a_request(event)
    return _of_a_member(event, name)


def _of_a_request(
    event: fx.Asked | fx.AskRefused | fx.Waiting | fx.Declined,
) -> Sentence:
    match event:
        case fx.Asked(request=request, identified=who):
            text = f"{name_of(who)} asks to come in"
            return Sentence("request", text, request=request)
        case fx.AskRefused(code=code):
            return Sentence("warning", f"a request did not check out [{code.value}]")
        case fx.Waiting():
            text = "your request is on the ledger; the leader decides"
            return Sentence("waiting", text)
        case fx.Declined():
            return Sentence("refused", "the leader did not let you in")
    assert_never(event)


def _of_a_member(
    event: fx.CameIn | fx.WentOut | fx.Leaving | fx.Checked | fx.CheckFailed | fx.Said,
    name: Callable[[EntryId], str],
) -> Sentence:
    match event:
        case fx.CameIn(member=member):
            return Sentence("joined", f"{name(member)} came in", member)
        case fx.WentOut(member=member, how=how):
            kind = "removed" if how == REMOVED else "left"
            verb = (
                HOW[how] if name(member) != "you" else HOW[how].replace("was", "were")
            )
            return Sentence(kind, f"{name(member)} {verb}", member)
        case fx.Leaving(member=member):
            return Sentence("left", f"{name(member)} is leaving", member)
        case fx.Checked(member=member, identified=who):
            return Sentence("joined", f"{name_of(who)}: identity checked", member)
        case fx.CheckFailed(member=member, code=code):
            text = f"{name(member)}: identity proof fails [{code.value}]"
            return Sentence("warning", text, member)
        case fx.Said(member=member, text=said):
            return Sentence("message", f"{name(member)}: {said}", member)
    assert_never(event)


def _of_the_room(
    event: _OfTheRoom,
) -> Sentence:
    match event:
        case fx.Keyed(epoch=epoch):
            return Sentence("epoch", f"key of epoch {epoch} received and confirmed")
        case fx.Switched(epoch=epoch):
            return Sentence("epoch", f"sending under epoch {epoch}")
        case fx.DoorsChanged(doors=doors):
            word = "closed" if doors == Doors.CLOSED else "open"
            return Sentence("warning", f"the doors are {word}")
        case fx.Suspect(code=code, what=what):
            return Sentence("warning", f"{what} was refused [{code.value}]")
        case fx.Ended(reason=reason):
            return Sentence("ended", REASONS.get(reason, reason))
    assert_never(event)

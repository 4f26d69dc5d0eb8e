# SPDX-License-Identifier: Apache-2.0
"""Which kinds of topic are there, and how is one told (spec/ledger.md, section 3)?

A kind is a row: the body that opens it, its state, the two steps of its rules, how its
state is written, and whether it names a parent.  Users and meetings stand in `topic`.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final, Generic, Protocol, TypeVar

from incamera.errors import Code, PeerError
from incamera.protocol.bodies import Parent
from incamera.protocol.context import RULES, Context
from incamera.protocol.encoding import Value
from incamera.protocol.entry import Entry


class Opening(Protocol):
    """The body of a first entry."""

    @property
    def rules(self) -> int:
        """By which rules the topic is judged for ever."""


S = TypeVar("S")
B = TypeVar("B", bound=Opening)


def no_parent(_: object) -> Parent | None:
    """Return None: topics of this kind stand alone."""
    return None


@dataclass(frozen=True, slots=True, kw_only=True)
class TopicKind(Generic[S, B]):
    """One kind of topic; `open` and `apply` raise PeerError and change nothing."""

    opening: type[B]
    state: type[S]
    open: Callable[[Entry, B, Context], S]
    apply: Callable[[S, Entry, Context], S]
    value: Callable[[S], Value]
    """The state as it is hashed; its key 0 is the kind's number."""
    parent: Callable[[B], Parent | None] = no_parent

    def begin(self, entry: Entry, body: Opening, context: Context) -> S:
        """Return the state after a first entry."""
        assert isinstance(body, self.opening)  # found by the body's type
        return self.open(entry, body, context)

    def follow(self, state: object, entry: Entry, context: Context) -> S:
        """Return the state after a later entry."""
        assert isinstance(state, self.state)  # found by the state's type
        return self.apply(state, entry, context)

    def encode(self, state: object) -> Value:
        """Return the canonical value of a state."""
        assert isinstance(state, self.state)  # as above
        return self.value(state)

    def parent_of(self, body: object) -> Parent | None:
        """Return the topic that a first entry names as its parent."""
        assert isinstance(body, self.opening)  # as above
        return self.parent(body)


T_co = TypeVar("T_co", covariant=True)


class AnyKind(Protocol[T_co]):
    """A kind whose body's and state's types do not matter."""

    @property
    def opening(self) -> type:
        """The type of the body that opens it."""

    @property
    def state(self) -> type:
        """The type of its state."""

    def begin(self, entry: Entry, body: Opening, context: Context) -> T_co:
        """Return the state after a first entry."""

    def follow(self, state: object, entry: Entry, context: Context) -> T_co:
        """Return the state after a later entry."""

    def encode(self, state: object) -> Value:
        """Return the canonical value of a state."""

    def parent_of(self, body: object) -> Parent | None:
        """Return the parent that a first entry names."""


class Topics(Generic[S]):
    """The registry: finds a kind by its first entry's body, or by its state."""

    def __init__(self, kinds: Sequence[AnyKind[S]]) -> None:
        self._by_opening: Final = {kind.opening: kind for kind in kinds}
        self._by_state: Final = {kind.state: kind for kind in kinds}

    def apply(self, state: S | None, entry: Entry, context: Context) -> S:
        """Return the state after `entry`; see `topic.apply`."""
        if context.rules != RULES:
            raise PeerError(Code.UNKNOWN_RULES, f"rules version {context.rules}")
        if state is None:
            return self._open(entry, context)
        return self._by_state[type(state)].follow(state, entry, context)

    def _open(self, entry: Entry, context: Context) -> S:
        header, body = entry.header, entry.body
        kind = self._by_opening.get(type(body))
        if kind is None:
            raise PeerError(Code.UNKNOWN_TOPIC, "opens no topic, and there is none")
        if header.place != context.ledger_id:
            raise PeerError(Code.WRONG_PLACE, "for another ledger")
        if (header.seq, header.prev) != (0, None):
            raise PeerError(Code.OUT_OF_SEQUENCE, "not a first entry")
        rules: int = body.rules  # type: ignore[union-attr]  # it is an Opening
        if rules != RULES:
            raise PeerError(Code.UNKNOWN_RULES, f"rules version {rules}")
        return kind.begin(entry, body, context)  # type: ignore[arg-type]  # as above

    def encode(self, state: S) -> Value:
        """Return the canonical value of a state."""
        return self._by_state[type(state)].encode(state)

    def parent_of(self, entry: Entry) -> Parent | None:
        """Return the parent that a first entry names; None for every other entry.

        A claim like a name: no rule follows it, for no rule reads another topic.
        """
        kind = self._by_opening.get(type(entry.body))
        return None if kind is None else kind.parent_of(entry.body)

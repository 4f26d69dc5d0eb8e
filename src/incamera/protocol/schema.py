# SPDX-License-Identifier: Apache-2.0
"""How a record is written as a CBOR map or array (spec/encoding.md, section 3).

A codec turns a typed value into a CBOR value and back.  A class decorated with
`@record` lists its map keys and codecs once, beside its fields; that list is the only
place where its wire form stands.  Decoding refuses everything the CDDL refuses:
missing, unknown and mistyped fields, wrong sizes, lists above their maximum.
"""

from collections.abc import Callable
from dataclasses import MISSING, dataclass, field, fields
from enum import IntEnum
from typing import Final, Protocol, TypeVar, dataclass_transform

from incamera.errors import Code, PeerError
from incamera.protocol.encoding import MAX_UINT, Value, encode, parse

T = TypeVar("T")
T_co = TypeVar("T_co", covariant=True)
E = TypeVar("E", bound=IntEnum)


class Codec(Protocol[T]):
    """One wire form of one type."""

    def encode(self, value: T, /) -> Value:
        """Return the CBOR value."""

    def decode(self, value: Value, /) -> T:
        """Return the typed value; PeerError(SCHEMA) if the CDDL refuses it."""


def refuse(what: str) -> PeerError:
    """Return the error for a value that the CDDL refuses."""
    return PeerError(Code.SCHEMA, what)


@dataclass(frozen=True, slots=True)
class Simple(Codec[T]):
    """A CBOR value that stands for itself once `check` accepts it."""

    check: Callable[[Value], T]

    def encode(self, value: T, /) -> Value:
        return self.check(value)  # type: ignore[return-value,arg-type]  # T is a Value

    def decode(self, value: Value, /) -> T:
        return self.check(value)


def uint(maximum: int = MAX_UINT, minimum: int = 0) -> Codec[int]:
    """An unsigned integer within bounds."""

    def check(value: Value) -> int:
        if type(value) is not int or not minimum <= value <= maximum:
            raise refuse(f"not an integer from {minimum} to {maximum}")
        return value

    return Simple(check)


def octets(size: int, maximum: int | None = None) -> Codec[bytes]:
    """A byte string of exactly `size` bytes, or of `size` to `maximum`."""
    top = size if maximum is None else maximum

    def check(value: Value) -> bytes:
        if type(value) is not bytes or not size <= len(value) <= top:
            raise refuse(f"not {size} to {top} bytes")
        return value

    return Simple(check)


def text(maximum: int, minimum: int = 0) -> Codec[str]:
    """A text of at most `maximum` UTF-8 bytes."""

    def check(value: Value) -> str:
        if type(value) is not str or not minimum <= len(value.encode()) <= maximum:
            raise refuse(f"not a text of {minimum} to {maximum} bytes")
        return value

    return Simple(check)


def _boolean(value: Value) -> bool:
    if type(value) is not bool:
        raise refuse("not a boolean")
    return value


BOOL: Final[Codec[bool]] = Simple(_boolean)


@dataclass(frozen=True, slots=True)
class As(Codec[T]):
    """A codec whose Python type has a name of its own: a NewType or a checked one."""

    inner: Codec[bytes]
    make: Callable[[bytes], T]

    def encode(self, value: T, /) -> Value:
        return self.inner.encode(value)  # type: ignore[arg-type]  # a bytes NewType

    def decode(self, value: Value, /) -> T:
        return self.make(self.inner.decode(value))


@dataclass(frozen=True, slots=True)
class Enumerated(Codec[E]):
    """One of the members of an IntEnum."""

    kind: type[E]

    def encode(self, value: E, /) -> Value:
        return int(value)

    def decode(self, value: Value, /) -> E:
        try:
            return self.kind(uint().decode(value))
        except ValueError:
            raise refuse(f"not a {self.kind.__name__}") from None


@dataclass(frozen=True, slots=True)
class Nullable(Codec[T | None]):
    """A value or null."""

    inner: Codec[T]

    def encode(self, value: T | None, /) -> Value:
        return None if value is None else self.inner.encode(value)

    def decode(self, value: Value, /) -> T | None:
        return None if value is None else self.inner.decode(value)


@dataclass(frozen=True, slots=True)
class ListOf(Codec[tuple[T, ...]]):
    """An array of `minimum` to `maximum` items of one kind."""

    item: Codec[T]
    maximum: int
    minimum: int = 0

    def encode(self, value: tuple[T, ...], /) -> Value:
        self._check(len(value))
        return [self.item.encode(item) for item in value]

    def decode(self, value: Value, /) -> tuple[T, ...]:
        if type(value) is not list:
            raise refuse("not an array")
        self._check(len(value))
        return tuple(self.item.decode(item) for item in value)

    def _check(self, length: int) -> None:
        if not self.minimum <= length <= self.maximum:
            raise refuse(f"not {self.minimum} to {self.maximum} items")


@dataclass(frozen=True, slots=True)
class Embedded(Codec[T]):
    """`bstr .cbor T`: a byte string that holds the encoding of `inner`."""

    inner: Codec[T]
    maximum: int

    def encode(self, value: T, /) -> Value:
        return octets(1, self.maximum).encode(encode(self.inner.encode(value)))

    def decode(self, value: Value, /) -> T:
        data = octets(1, self.maximum).decode(value)
        return self.inner.decode(parse(data, self.maximum))


@dataclass(frozen=True, slots=True)
class Either(Codec[T]):
    """The first of several forms whose CBOR type fits."""

    forms: tuple[Codec[T], ...]

    def encode(self, value: T, /) -> Value:
        return self._first(lambda form: form.encode(value))

    def decode(self, value: Value, /) -> T:
        return self._first(lambda form: form.decode(value))

    def _first(self, attempt: Callable[[Codec[T]], T_co]) -> T_co:
        for form in self.forms[:-1]:
            try:
                return attempt(form)
            except (PeerError, AttributeError, TypeError):
                continue
        return attempt(self.forms[-1])


@dataclass(frozen=True, slots=True)
class _Key:
    number: int
    codec: Codec[object]


def key(number: int, codec: Codec[T], *, default: object = MISSING) -> T:
    """Declare a record field: its map key (or array position) and its codec.

    With `default=None` the field is optional and absent from the wire when None.
    """
    metadata = {"key": _Key(number, codec)}  # type: ignore[arg-type]  # Codec is invariant
    if default is MISSING:
        return field(metadata=metadata)  # type: ignore[no-any-return]  # dataclasses.field
    return field(default=default, metadata=metadata)  # type: ignore[return-value]  # dataclasses.field


C = TypeVar("C")


@dataclass_transform(frozen_default=True, kw_only_default=True, field_specifiers=(key,))
def record(cls: type[C]) -> type[C]:
    """Make `cls` a frozen, keyword-only dataclass whose fields are `key(...)`s."""
    return dataclass(frozen=True, slots=True, kw_only=True)(cls)


class MapOf(Codec[C]):
    """A record as a map from its key numbers."""

    def __init__(self, kind: type[C]) -> None:
        self.kind = kind
        self.keys = _keys(kind)

    def encode(self, value: C, /) -> Value:
        return {
            k.number: k.codec.encode(getattr(value, name))
            for name, k, optional in self.keys
            if not (optional and getattr(value, name) is None)
        }

    def decode(self, value: Value, /) -> C:
        if type(value) is not dict:
            raise refuse(f"{self.kind.__name__} is not a map")
        rest = dict(value)
        found: dict[str, object] = {}
        for name, k, optional in self.keys:
            if k.number in rest:
                found[name] = k.codec.decode(rest.pop(k.number))
            elif not optional:
                raise refuse(f"{self.kind.__name__} lacks key {k.number}")
        if rest:
            raise refuse(f"{self.kind.__name__} has an unknown key {min(rest)}")
        return self.kind(**found)


class ArrayOf(Codec[C]):
    """A record as an array, its fields in the order of their numbers; none optional."""

    def __init__(self, kind: type[C]) -> None:
        self.kind = kind
        self.keys = sorted(_keys(kind), key=lambda entry: entry[1].number)

    def encode(self, value: C, /) -> Value:
        return [k.codec.encode(getattr(value, name)) for name, k, _ in self.keys]

    def decode(self, value: Value, /) -> C:
        if type(value) is not list or len(value) != len(self.keys):
            raise refuse(f"{self.kind.__name__} is not {len(self.keys)} items")
        items = zip(self.keys, value, strict=True)
        return self.kind(**{name: k.codec.decode(v) for (name, k, _), v in items})


def _keys(kind: type) -> list[tuple[str, _Key, bool]]:
    return [(f.name, f.metadata["key"], f.default is not MISSING) for f in fields(kind)]

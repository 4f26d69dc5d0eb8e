// SPDX-License-Identifier: Apache-2.0
// How records are read from CBOR maps and arrays (spec/encoding.md, section 3).
//
// A codec turns a CBOR value into a typed one or refuses it, as the CDDL does: missing,
// unknown and mistyped fields, wrong sizes, lists out of bounds.

import type { Bytes } from "./bytes.js";
import type { Value } from "./cbor.js";
import { PeerError } from "./errors.js";

/** Returns the typed value; PeerError schema (or a narrower code) if it is refused. */
export type Codec<T> = (value: Value) => T;

/** Return the error for a value that the CDDL refuses. */
export function refuse(what: string): PeerError {
  return new PeerError("schema", what);
}

/** An unsigned integer within bounds. */
export function uint(maximum = Number.MAX_SAFE_INTEGER, minimum = 0): Codec<number> {
  return (value) => {
    if (typeof value !== "number" || value < minimum || value > maximum) {
      throw refuse(`not an integer from ${minimum} to ${maximum}`);
    }
    return value;
  };
}

/** A byte string of `size` bytes, or of `size` to `maximum`. */
export function octets(size: number, maximum = size): Codec<Bytes> {
  return (value) => {
    if (!(value instanceof Uint8Array) || value.length < size || value.length > maximum) {
      throw refuse(`not ${size} to ${maximum} bytes`);
    }
    return value;
  };
}

/** A text of `minimum` to `maximum` bytes of UTF-8. */
export function text(maximum: number, minimum = 0): Codec<string> {
  return (value) => {
    if (typeof value !== "string") throw refuse("not a text");
    const size = new TextEncoder().encode(value).length;
    if (size < minimum || size > maximum) throw refuse(`not ${minimum} to ${maximum} bytes`);
    return value;
  };
}

export const bool: Codec<boolean> = (value) => {
  if (typeof value !== "boolean") throw refuse("not a boolean");
  return value;
};

/** A value or null. */
export function nullable<T>(inner: Codec<T>): Codec<T | null> {
  return (value) => (value === null ? null : inner(value));
}

/** An array of `minimum` to `maximum` items of one kind. */
export function list<T>(item: Codec<T>, maximum: number, minimum = 0): Codec<readonly T[]> {
  return (value) => {
    if (!Array.isArray(value) || value.length < minimum || value.length > maximum) {
      throw refuse(`not ${minimum} to ${maximum} items`);
    }
    return value.map(item);
  };
}

/** One field of a record: its map key, its codec, whether it may be absent. */
export interface Field<T, Optional extends boolean> {
  readonly number: number;
  readonly codec: Codec<T>;
  readonly optional: Optional;
}

export function field<T>(number: number, codec: Codec<T>): Field<T, false> {
  return { number, codec, optional: false };
}

export function optional<T>(number: number, codec: Codec<T>): Field<T, true> {
  return { number, codec, optional: true };
}

type Fields = Record<string, Field<unknown, boolean>>;
type Read<F> = F extends Field<infer T, infer O> ? (true extends O ? T | undefined : T) : never;
/** The typed record of some fields. */
export type RecordOf<F extends Fields> = { readonly [Name in keyof F]: Read<F[Name]> };

/** A record as a map from its key numbers. */
export function record<F extends Fields>(fields: F): Codec<RecordOf<F>> {
  return (value) => {
    if (!(value instanceof Map)) throw refuse("not a map");
    const rest = new Map(value);
    const found: Record<string, unknown> = {};
    for (const [name, { number, codec, optional: mayLack }] of Object.entries(fields)) {
      const item = rest.get(number);
      if (item === undefined && !mayLack) throw refuse(`key ${number} is missing`);
      found[name] = item === undefined ? undefined : codec(item);
      rest.delete(number);
    }
    if (rest.size > 0) throw refuse("unknown key");
    return found as RecordOf<F>;
  };
}

/** An array of exactly these items. */
export function tuple<T extends readonly unknown[]>(
  ...items: { readonly [At in keyof T]: Codec<T[At]> }
): Codec<T> {
  return (value) => {
    if (!Array.isArray(value) || value.length !== items.length) {
      throw refuse(`not ${items.length} items`);
    }
    return items.map((item, at) => item(value[at] as Value)) as unknown as T;
  };
}

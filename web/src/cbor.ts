// SPDX-License-Identifier: Apache-2.0
// Which bytes are canonical CBOR in our profile (spec/encoding.md, section 2).
//
// The reader refuses everything that is not the shortest form as it goes, so what it
// accepts has one encoding; the tests hold it to that by encoding again.

import { type Bytes, concat, utf8 } from "./bytes.js";
import { PeerError } from "./errors.js";

/** Containers inside each other. */
export const MAX_DEPTH = 8;
/** Bytes of one ledger entry. */
export const MAX_ENTRY = 16_384;
/** Bytes of one relay message. */
export const MAX_MESSAGE = 65_536;

export type Value = number | Bytes | string | boolean | null | Value[] | ValueMap;
/** Keys are unsigned integers; they are written in ascending order. */
export type ValueMap = Map<number, Value>;

const UINT = 0;
const BYTES = 2;
const TEXT = 3;
const ARRAY = 4;
const MAP = 5;
const FALSE = 0xf4;
const TRUE = 0xf5;
const NULL = 0xf6;
/** Least value that needs 1, 2, 4, 8 bytes after the first. */
const LEAST = [24, 0x100, 0x1_0000, 0x1_0000_0000] as const;

/** Return the one encoding of `value`; the caller keeps to the profile. */
export function encode(value: Value): Bytes {
  if (value === null) return Uint8Array.of(NULL);
  if (typeof value === "boolean") return Uint8Array.of(value ? TRUE : FALSE);
  if (typeof value === "number") return head(UINT, value);
  if (typeof value === "string") {
    const text = utf8(value);
    return concat(head(TEXT, text.length), text);
  }
  if (value instanceof Uint8Array) return concat(head(BYTES, value.length), value);
  if (Array.isArray(value)) return concat(head(ARRAY, value.length), ...value.map(encode));
  const items = [...value].sort(([one], [other]) => one - other);
  return concat(head(MAP, value.size), ...items.flatMap(([k, v]) => [head(UINT, k), encode(v)]));
}

function head(major: number, value: number): Bytes {
  if (!Number.isSafeInteger(value) || value < 0) throw new TypeError("not an unsigned integer");
  const size = LEAST.filter((least) => value >= least).length;
  if (size === 0) return Uint8Array.of((major << 5) | value);
  const out = new Uint8Array(1 + 2 ** (size - 1));
  out[0] = (major << 5) | (23 + size);
  for (let at = out.length - 1; at > 0; at -= 1) {
    out[at] = value % 256;
    value = Math.floor(value / 256);
  }
  return out;
}

/**
 * Return the value that `data` encodes.
 * @throws PeerError too-large above `limit` bytes, not-canonical for anything else
 */
export function parse(data: Uint8Array, limit = MAX_ENTRY): Value {
  if (data.length > limit) throw new PeerError("too-large", `more than ${limit} bytes`);
  const reader = new Reader(data);
  const value = reader.value(MAX_DEPTH);
  if (!reader.ended) throw refusal();
  return value;
}

function refusal(): PeerError {
  return new PeerError("not-canonical", "not canonical CBOR");
}

class Reader {
  readonly #data: Uint8Array;
  #at = 0;

  constructor(data: Uint8Array) {
    this.#data = data;
  }

  get ended(): boolean {
    return this.#at === this.#data.length;
  }

  value(depth: number): Value {
    const first = this.#byte();
    if (first === FALSE || first === TRUE) return first === TRUE;
    if (first === NULL) return null;
    const argument = this.#argument(first & 31);
    const major = first >> 5;
    if (major === UINT) return argument;
    if (major === BYTES) return this.#take(argument);
    if (major === TEXT) return this.#text(argument);
    if (depth === 0) throw refusal();
    if (major === ARRAY) return this.#array(argument, depth - 1);
    if (major === MAP) return this.#map(argument, depth - 1);
    throw refusal();
  }

  #array(length: number, depth: number): Value[] {
    // Nothing is reserved for `length` items: each one present costs a byte of data.
    const items: Value[] = [];
    for (let n = 0; n < length; n += 1) items.push(this.value(depth));
    return items;
  }

  #map(length: number, depth: number): ValueMap {
    const items: ValueMap = new Map();
    let last = -1;
    for (let n = 0; n < length; n += 1) {
      const first = this.#byte();
      if (first >> 5 !== UINT) throw refusal();
      const key = this.#argument(first & 31);
      if (key <= last) throw refusal();
      last = key;
      items.set(key, this.value(depth));
    }
    return items;
  }

  #argument(short: number): number {
    if (short < 24) return short;
    const least = LEAST[short - 24];
    if (least === undefined) throw refusal(); // reserved, or of indefinite length
    let value = 0;
    for (const byte of this.#take(2 ** (short - 24))) value = value * 256 + byte;
    if (value < least || value > Number.MAX_SAFE_INTEGER) throw refusal();
    return value;
  }

  #text(length: number): string {
    try {
      return new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(this.#take(length));
    } catch (error) {
      if (error instanceof PeerError) throw error;
      throw refusal();
    }
  }

  #byte(): number {
    const byte = this.#data[this.#at];
    if (byte === undefined) throw refusal();
    this.#at += 1;
    return byte;
  }

  #take(size: number): Bytes {
    if (size > this.#data.length - this.#at) throw refusal();
    const out = Uint8Array.from(this.#data.subarray(this.#at, this.#at + size));
    this.#at += size;
    return out;
  }
}

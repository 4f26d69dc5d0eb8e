// SPDX-License-Identifier: Apache-2.0
// How a set of slots or request ordinals is written (spec/encoding.md, section 7).

import { type Bytes, equal } from "./bytes.js";
import { type Value, type ValueMap, encode } from "./cbor.js";
import { PeerError } from "./errors.js";
import { type Codec, list, octets, refuse, uint } from "./schema.js";

/** (start, length) pairs of one set. */
export const MAX_RANGES = 64;
/** Bytes of one bitmap. */
export const MAX_BITMAP = 1024;

/** Ascending (start, length) pairs that do not touch. */
export type IndexSet = readonly (readonly [start: number, length: number])[];

const rangeItems = list(uint(), 2 * MAX_RANGES);
const bitmapBase = uint();
const bitmapBits = octets(1, MAX_BITMAP);

/**
 * An index set below `limit` with at most `count` members.
 * @throws PeerError schema, or not-canonical for a set in its longer form
 */
export function indexSet(limit: number, count: number): Codec<IndexSet> {
  return (value) => {
    const found = value instanceof Map ? fromBitmap(value) : fromRanges(value);
    const size = found.reduce((sum, [, length]) => sum + length, 0);
    if (size > count || endOf(found.at(-1)) > limit) {
      throw refuse(`not at most ${count} indices below ${limit}`);
    }
    const form = shorter(toRanges(found), toBitmap(found));
    if (form === undefined || !equal(encode(form), encode(value))) {
      throw new PeerError("not-canonical", "not the one form of this set");
    }
    return found;
  };
}

function endOf(range: IndexSet[number] | undefined): number {
  return range === undefined ? 0 : range[0] + range[1];
}

function fromRanges(value: Value): IndexSet {
  const numbers = rangeItems(value);
  if (numbers.length % 2 === 1) throw refuse("a range lacks its length");
  const found: [number, number][] = [];
  for (let at = 0; at < numbers.length; at += 2) {
    const [start, length] = numbers.slice(at, at + 2) as [number, number];
    const touches = at > 0 && start <= endOf(found.at(-1));
    if (touches || length === 0) throw refuse("ranges are empty, touch or do not rise");
    found.push([start, length]);
  }
  return found;
}

function fromBitmap(value: ValueMap): IndexSet {
  const [base, bits] = [value.get(1), value.get(2)];
  if (value.size !== 2 || base === undefined || bits === undefined) {
    throw refuse("a bitmap is not base and bits");
  }
  return rangesOf(bitmapBase(base), bitmapBits(bits));
}

function rangesOf(base: number, bits: Bytes): IndexSet {
  const found: [number, number][] = [];
  for (let at = 0; at < 8 * bits.length; at += 1) {
    if ((((bits[at >> 3] ?? 0) >> (at & 7)) & 1) === 0) continue;
    const last = found.at(-1);
    if (last !== undefined && endOf(last) === base + at) last[1] += 1;
    else found.push([base + at, 1]);
  }
  return found;
}

function toRanges(found: IndexSet): Value | undefined {
  return found.length > MAX_RANGES ? undefined : found.flat();
}

function toBitmap(found: IndexSet): Value | undefined {
  const [first] = found;
  if (first === undefined) return undefined;
  const base = first[0] - (first[0] % 8);
  const size = Math.ceil((endOf(found.at(-1)) - base) / 8);
  if (size > MAX_BITMAP) return undefined;
  const bits = new Uint8Array(size);
  for (const [start, length] of found) {
    for (let at = start - base; at < start - base + length; at += 1) {
      bits[at >> 3] = (bits[at >> 3] ?? 0) | (1 << (at & 7));
    }
  }
  return new Map<number, Value>([
    [1, base],
    [2, bits],
  ]);
}

/** Return the form whose encoding is shorter, ranges on a tie. */
function shorter(ranges: Value | undefined, bitmap: Value | undefined): Value | undefined {
  if (ranges === undefined || bitmap === undefined) return ranges ?? bitmap;
  return encode(bitmap).length < encode(ranges).length ? bitmap : ranges;
}

// SPDX-License-Identifier: Apache-2.0
// The CBOR profile: spec/vectors/encoding.json, published items, random bytes.

import assert from "node:assert/strict";
import { test } from "node:test";

import { fromHex } from "../src/bytes.js";
import { type Value, encode, parse } from "../src/cbor.js";
import { IncameraError } from "../src/errors.js";
import { published, refused, vectors } from "./files.js";

interface EncodingCase {
  data: string;
  limit: number;
  expect?: { canonical: boolean };
}

for (const { name, data, limit, expect, error } of vectors<EncodingCase>("encoding")) {
  test(`encoding vector: ${name}`, () => {
    const bytes = fromHex(data);
    if (error !== undefined) {
      assert.throws(() => parse(bytes, limit), refused(error));
      return;
    }
    assert.deepEqual(expect, { canonical: true });
    assert.deepEqual(encode(parse(bytes, limit)), bytes);
  });
}

test("the items of RFC 8949, appendix A: read and written alike, or refused", () => {
  const items = published<{ hex: string }[]>("cbor/rfc8949-appendix_a.json");
  let read = 0;
  for (const { hex } of items) {
    const data = fromHex(hex);
    try {
      assert.deepEqual(encode(parse(data)), data);
      read += 1;
    } catch (error) {
      refused("not-canonical")(error);
    }
  }
  assert.ok(items.length > 80);
  assert.equal(read, 28); // 25 that JSON can hold, two byte strings, a map with integer keys
});

test("maps with a key twice are refused", () => {
  for (const { hex } of published<{ hex: string }[]>("cbor/dag-cbor-duplicate-keys.json")) {
    assert.throws(() => parse(fromHex(hex)), refused("not-canonical"));
  }
});

test("random bytes are the one encoding of a value or refused", () => {
  let read = 0;
  for (let run = 0; run < 50_000; run += 1) {
    const data = crypto.getRandomValues(new Uint8Array(1 + (run % 12)));
    if (run % 2 === 0) data[0] = 0x80 | ((data[0] ?? 0) & 0x23);
    try {
      assert.deepEqual(encode(parse(data)), data);
      read += 1;
    } catch (error) {
      assert.ok(error instanceof IncameraError, String(error));
    }
  }
  assert.ok(read > 100);
});

test("only unsigned integers below 2^53 are written", () => {
  for (const value of [-1, 0.5, 2 ** 53, Number.NaN]) {
    assert.throws(() => encode(value), TypeError);
  }
});

test("map keys are written in ascending order", () => {
  const map = new Map<number, Value>([
    [256, 1],
    [2, null],
    [24, true],
  ]);
  assert.deepEqual(encode(map), fromHex("a302f61818f519010001"));
});

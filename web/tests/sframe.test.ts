// SPDX-License-Identifier: Apache-2.0
// SFrame: the published vectors, strict headers, each counter and each frame once.

import assert from "node:assert/strict";
import { test } from "node:test";

import { type Bytes, concat, fromHex, toHex, utf8 } from "../src/bytes.js";
import { ReplayWindow, WINDOW } from "../src/replay.js";
import {
  MAX_COUNTER,
  OpenContext,
  SUITE,
  SealContext,
  TAG_BYTES,
  encodeHeader,
  parseHeader,
} from "../src/sframe.js";
import { published, refused } from "./files.js";

const NONE: Bytes = new Uint8Array();
const BASE = fromHex("01".repeat(32));
const PLAIN = utf8("frame");

// JSON numbers above 2^53 are rounded; the published headers have 64 bits.
interface PublishedFrame {
  cipher_suite: number;
  kid: number;
  ctr: number;
  base_key: string;
  metadata: string;
  pt: string;
  ct: string;
}
interface Published {
  header: { kid: number; ctr: number; encoded: string }[];
  sframe: PublishedFrame[];
}

test("all published headers", () => {
  const { header } = published<Published>("sframe/sframe.json");
  assert.equal(header.length, 289);
  for (const { kid, ctr, encoded } of header) {
    const data = fromHex(encoded);
    const found = parseHeader(concat(data, PLAIN));
    assert.equal(Number(found.kid), kid);
    assert.equal(Number(found.counter), ctr);
    assert.equal(found.size, data.length);
    assert.deepEqual(encodeHeader(found.kid, found.counter), data);
  }
});

test("the published frame of suite 5", async () => {
  const { sframe } = published<Published>("sframe/sframe.json");
  const cases = sframe.filter((one) => one.cipher_suite === SUITE);
  assert.equal(cases.length, 1);
  for (const { kid, ctr, base_key, metadata, pt, ct } of cases) {
    const seal = await SealContext.make(fromHex(base_key), BigInt(kid), BigInt(ctr));
    assert.equal(toHex(await seal.protect(fromHex(pt), fromHex(metadata))), ct);
    const open = await OpenContext.make(fromHex(base_key), BigInt(kid));
    assert.equal(toHex(await open.open(fromHex(ct), fromHex(metadata))), pt);
  }
});

test("every flipped bit is refused", async () => {
  const data = await (await SealContext.make(BASE, 0x31n)).protect(PLAIN, NONE);
  const open = await OpenContext.make(BASE, 0x31n);
  for (let bit = 0; bit < 8 * data.length; bit += 1) {
    const spoiled = data.slice();
    spoiled[bit >> 3] = (spoiled[bit >> 3] ?? 0) ^ (1 << (bit & 7));
    await assert.rejects(open.open(spoiled, NONE));
  }
  assert.deepEqual(await open.open(data, NONE), PLAIN);
});

test("random bytes are the one encoding of a header or refused", () => {
  for (let run = 0; run < 20_000; run += 1) {
    const data = crypto.getRandomValues(new Uint8Array(run % 20));
    try {
      const { kid, counter, size } = parseHeader(data);
      assert.deepEqual(encodeHeader(kid, counter), data.slice(0, size));
    } catch (error) {
      refused("not-canonical")(error);
    }
  }
});

test("metadata, key and KID are bound", async () => {
  const data = await (await SealContext.make(BASE, 5n)).protect(PLAIN, NONE);
  const other = await OpenContext.make(fromHex("02".repeat(32)), 5n);
  await assert.rejects(other.open(data, NONE), refused("bad-box"));
  const open = await OpenContext.make(BASE, 5n);
  await assert.rejects(open.open(data, PLAIN), refused("bad-box"));
  const elsewhere = await OpenContext.make(BASE, 6n);
  await assert.rejects(elsewhere.open(data, NONE), refused("missing-key"));
});

test("a body too short for a tag is refused", async () => {
  const open = await OpenContext.make(BASE, 5n);
  for (let size = 0; size < TAG_BYTES; size += 1) {
    const data = concat(encodeHeader(5n, 0n), new Uint8Array(size));
    await assert.rejects(open.open(data, NONE), refused("bad-box"));
  }
});

test("counters end and do not wrap", async () => {
  const seal = await SealContext.make(BASE, 5n, MAX_COUNTER);
  await seal.protect(PLAIN, NONE);
  for (let run = 0; run < 3; run += 1) {
    await assert.rejects(seal.protect(PLAIN, NONE), refused("counter-exhausted"));
  }
});

test("[Z1-11] counters are taken before anything is awaited", async () => {
  const seal = await SealContext.make(BASE, 5n);
  const frames = await Promise.all(Array.from({ length: 2000 }, () => seal.protect(PLAIN, NONE)));
  const counters = frames.map((data) => parseHeader(data).counter);
  assert.deepEqual(counters, Array.from({ length: 2000 }, (_, n) => BigInt(n)));
});

test("[Z1-11] counters are taken before anything is awaited, control", async () => {
  const pair = [await SealContext.make(BASE, 5n), await SealContext.make(BASE, 5n)];
  const [one, other] = await Promise.all(pair.map((seal) => seal.protect(PLAIN, NONE)));
  assert.deepEqual(one, other); // two contexts of one key do repeat: the test can tell
});

test("[Z1-11] of copies that are opened at once one passes", async () => {
  const data = await (await SealContext.make(BASE, 5n)).protect(PLAIN, NONE);
  const open = await OpenContext.make(BASE, 5n);
  const results = await Promise.allSettled([data, data, data].map((copy) => open.open(copy, NONE)));
  assert.equal(results.filter((result) => result.status === "fulfilled").length, 1);
  for (const result of results) {
    if (result.status === "rejected") refused("replayed")(result.reason);
  }
});

test("[Z1-11] of copies that are opened at once one passes, control", async () => {
  const data = await (await SealContext.make(BASE, 5n)).protect(PLAIN, NONE);
  for (let run = 0; run < 2; run += 1) {
    assert.deepEqual(await (await OpenContext.make(BASE, 5n)).open(data, NONE), PLAIN);
  }
});

test("the replay window agrees with a set", () => {
  const window = new ReplayWindow();
  const seen = new Set<number>();
  let highest = 0;
  for (let run = 0; run < 20_000; run += 1) {
    const counter = Math.floor(run / 4 + Math.random() * 1500);
    const fresh = !seen.has(counter) && counter > highest - WINDOW;
    if (!fresh) {
      assert.throws(() => window.check(BigInt(counter)), refused("replayed"));
      continue;
    }
    window.check(BigInt(counter));
    window.commit(BigInt(counter));
    seen.add(counter);
    highest = Math.max(highest, counter);
  }
  assert.ok(seen.size > WINDOW);
});

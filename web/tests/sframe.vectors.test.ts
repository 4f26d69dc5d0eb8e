// SPDX-License-Identifier: Apache-2.0
// spec/vectors/sframe.json: every case, by its operation; an unknown one fails.

import assert from "node:assert/strict";
import { test } from "node:test";

import { type Bytes, fromBigEndian, fromHex, toHex } from "../src/bytes.js";
import { IncameraError } from "../src/errors.js";
import { StreamReceiver, StreamSender, kidOfStream, metadataOf } from "../src/frames.js";
import { OpenContext, SealContext, encodeHeader, parseHeader } from "../src/sframe.js";
import { refused, vectors } from "./files.js";

interface InstalledKey {
  epoch: number;
  number: number;
  base_key: string;
}
interface FrameCase {
  operation: string;
  expect?: { [field: string]: unknown };
  kid: string;
  counter: string;
  data: string;
  base_key: string;
  metadata: string;
  plaintext: string;
  frames: string[];
  meeting: string;
  slot: number;
  keys: InstalledKey[];
  dummy: number | string;
  epoch: number;
  frame_zeros: number;
}
type Check = (one: FrameCase & { error?: string }) => Promise<void>;

const u64 = (value: bigint) => value.toString(16).padStart(16, "0");
const integer = (text: string) => fromBigEndian(fromHex(text));

const CHECKS: Record<string, Check> = {
  async header({ kid, counter, expect }) {
    const data = encodeHeader(integer(kid), integer(counter));
    assert.deepEqual(expect, { header: toHex(data) });
    const found = { kid: integer(kid), counter: integer(counter), size: data.length };
    assert.deepEqual(parseHeader(data), found);
  },

  async parse({ data, error }) {
    assert.ok(error);
    assert.throws(() => parseHeader(fromHex(data)), refused(error));
  },

  async seal({ base_key, kid, counter, metadata, plaintext, expect }) {
    const seal = await SealContext.make(fromHex(base_key), integer(kid), integer(counter));
    const sealed = await seal.protect(fromHex(plaintext), fromHex(metadata));
    assert.deepEqual(expect, { sealed: toHex(sealed) });
    const open = await OpenContext.make(fromHex(base_key), integer(kid));
    assert.equal(toHex(await open.open(sealed, fromHex(metadata))), plaintext);
  },

  async open({ base_key, kid, metadata, frames, expect }) {
    const open = await OpenContext.make(fromHex(base_key), integer(kid));
    const results = [];
    for (const data of frames) {
      try {
        results.push({ plaintext: toHex(await open.open(fromHex(data), fromHex(metadata))) });
      } catch (error) {
        assert.ok(error instanceof IncameraError);
        results.push({ error: error.code });
      }
    }
    assert.deepEqual(expect, { results });
  },

  async receive(one) {
    const receiver = await receiverOf(one);
    const data = fromHex(one.data);
    const dummy = Number(one.dummy);
    if (one.error !== undefined) {
      await assert.rejects(receiver.open(data, dummy), refused(one.error));
      return;
    }
    const { kind, number, epoch, counter, frame } = await receiver.open(data, dummy);
    const stream = { slot: one.slot, number };
    assert.deepEqual(one.expect, {
      kid: u64(kidOfStream(stream, epoch)),
      metadata: toHex(metadataOf(fromHex(one.meeting), stream, data.subarray(0, dummy))),
      kind,
      number,
      epoch,
      counter: u64(counter),
      frame: toHex(frame),
    });
  },

  async largest({ meeting, slot, keys, epoch, dummy, frame_zeros, expect }) {
    const [key] = keys;
    assert.ok(key);
    const sender = new StreamSender(fromHex(meeting), { slot, number: key.number });
    await sender.install(epoch, fromHex(key.base_key));
    sender.switch(epoch);
    const data = await sender.protect(new Uint8Array(frame_zeros), fromHex(String(dummy)));
    assert.deepEqual(expect, { size: data.length, sha256: await sha256(data) });
    const oneMore = sender.protect(new Uint8Array(frame_zeros + 1));
    await assert.rejects(oneMore, refused("too-large"));
  },
};

async function receiverOf({ meeting, slot, keys }: FrameCase): Promise<StreamReceiver> {
  const receiver = new StreamReceiver(fromHex(meeting), slot);
  for (const { epoch, number, base_key } of keys) {
    receiver.announce(number);
    await receiver.install(epoch, number, fromHex(base_key));
  }
  return receiver;
}

async function sha256(data: Bytes): Promise<string> {
  return toHex(new Uint8Array(await crypto.subtle.digest("SHA-256", data)));
}

for (const one of vectors<FrameCase>("sframe")) {
  test(`frame vector: ${one.name}`, async () => {
    const check = CHECKS[one.operation];
    assert.ok(check, `unknown operation ${one.operation}`);
    await check(one);
  });
}

test("the frame vectors use every operation", () => {
  const used = new Set(vectors<FrameCase>("sframe").map((one) => one.operation));
  assert.deepEqual([...used].sort(), Object.keys(CHECKS).sort());
});

// SPDX-License-Identifier: Apache-2.0
// Streams: what the vectors cannot say, above all the order of events.

import assert from "node:assert/strict";
import { test } from "node:test";

import { type Bytes, fromHex, utf8 } from "../src/bytes.js";
import {
  KINDS,
  MAX_DUMMY,
  MAX_PROTECTED,
  StreamReceiver,
  StreamSender,
} from "../src/frames.js";
import { baseKey } from "../src/schedule.js";
import { parseHeader } from "../src/sframe.js";
import { refused } from "./files.js";

const MEETING = fromHex("11".repeat(32));
const SLOT = 3;
const VIDEO = 5;
const FRAME = utf8("picture");

function keyOf(epoch: number, number = VIDEO): Promise<Bytes> {
  const meetingKey = new Uint8Array(32).fill(epoch);
  return baseKey(meetingKey, { meeting: MEETING, epoch, slot: SLOT, number });
}

async function senderOf(epochs: number[], number = VIDEO): Promise<StreamSender> {
  const sender = new StreamSender(MEETING, { slot: SLOT, number });
  for (const epoch of epochs) await sender.install(epoch, await keyOf(epoch, number));
  sender.switch(epochs[0] ?? 0);
  return sender;
}

async function receiverOf(epochs: number[], number = VIDEO): Promise<StreamReceiver> {
  const receiver = new StreamReceiver(MEETING, SLOT);
  receiver.announce(number);
  for (const epoch of epochs) await receiver.install(epoch, number, await keyOf(epoch, number));
  return receiver;
}

test("frames of two epochs arrive while both are installed", async () => {
  const [sender, receiver] = [await senderOf([1, 2]), await receiverOf([1, 2])];
  const old = await sender.protect(FRAME);
  sender.switch(2);
  assert.equal((await receiver.open(await sender.protect(FRAME))).epoch, 2);
  assert.equal((await receiver.open(old)).epoch, 1);
  receiver.uninstall(1);
  await assert.rejects(receiver.open(old), refused("missing-key"));
});

test("key and counter of a frame are those of the moment of the call", async () => {
  const sender = await senderOf([1, 2]);
  const frames = [sender.protect(FRAME), sender.protect(FRAME)];
  sender.switch(2);
  frames.push(sender.protect(FRAME));
  const headers = (await Promise.all(frames)).map(parseHeader);
  assert.deepEqual(
    headers.map(({ kid, counter }) => [kid & 3n, counter]),
    [
      [1n, 0n],
      [1n, 1n],
      [2n, 0n],
    ],
  );
});

test("[Z1-10] [Z1-31] kinds have keys of their own", async () => {
  for (const kind of KINDS.keys()) {
    const data = await (await senderOf([1], kind)).protect(FRAME);
    assert.equal((await (await receiverOf([1], kind)).open(data)).kind, kind);
    const other = new StreamReceiver(MEETING, SLOT);
    other.announce(kind);
    await other.install(1, kind, await keyOf(1, (kind + 1) % 4));
    await assert.rejects(other.open(data), refused("bad-box"));
  }
});

test("[Z1-10] [Z1-31] kinds have keys of their own, control", async () => {
  const receiver = await receiverOf([1]);
  const opened = await receiver.open(await (await senderOf([1])).protect(FRAME));
  assert.deepEqual(opened.frame, FRAME);
});

test("after a removal only its epoch protects", async () => {
  const sender = await senderOf([4]);
  sender.stop(6);
  await sender.install(5, await keyOf(5)); // late, and known to the removed member
  for (const epoch of [4, 5]) assert.throws(() => sender.switch(epoch), refused("wrong-state"));
  await assert.rejects(sender.protect(FRAME), refused("missing-key"));
  await sender.install(6, await keyOf(6));
  sender.switch(6);
  assert.equal(sender.epoch, 6);
});

test("stop alone asks for an epoch later than all, never the one in use", async () => {
  const sender = await senderOf([1, 2]);
  sender.stop();
  assert.throws(() => sender.switch(2), refused("wrong-state"));
  await sender.install(3, await keyOf(3));
  sender.switch(3);
  sender.stop(1);
  assert.throws(() => sender.switch(3), refused("wrong-state"));
});

test("[Z1-11] a key never comes back", async () => {
  const [sender, receiver] = [await senderOf([1]), await receiverOf([1])];
  const data = await sender.protect(FRAME);
  await receiver.open(data);
  await assert.rejects(sender.install(1, await keyOf(2)), refused("wrong-state"));
  sender.uninstall(1);
  assert.equal(sender.epoch, undefined);
  receiver.uninstall(1);
  for (const epoch of [1, 5]) {
    await assert.rejects(sender.install(epoch, await keyOf(1)), refused("wrong-state"));
    const again = receiver.install(epoch, VIDEO, await keyOf(1));
    await assert.rejects(again, refused("wrong-state"));
  }
});

test("[Z1-11] a key never comes back, control", async () => {
  const sender = await senderOf([1]);
  sender.uninstall(1);
  await sender.install(1, await keyOf(2)); // the same epoch with another key may
  sender.switch(1);
});

test("of two installs of one key at once, one fails", async () => {
  const sender = new StreamSender(MEETING, { slot: SLOT, number: VIDEO });
  const key = await keyOf(1);
  const results = await Promise.allSettled([sender.install(1, key), sender.install(1, key)]);
  assert.deepEqual(results.map(({ status }) => status).sort(), ["fulfilled", "rejected"]);
});

test("an epoch four later takes the place, never the other way", async () => {
  const sender = await senderOf([1]);
  await sender.install(5, await keyOf(5));
  await assert.rejects(sender.protect(FRAME), refused("missing-key"));
  await assert.rejects(sender.install(1, await keyOf(9)), refused("wrong-state"));
});

test("a new generation takes the place of the old, also while a key is derived", async () => {
  const receiver = await receiverOf([1]);
  const late = receiver.install(2, VIDEO, await keyOf(2));
  receiver.announce(VIDEO + 4);
  await assert.rejects(late, refused("wrong-state"));
  const data = await (await senderOf([1])).protect(FRAME);
  await assert.rejects(receiver.open(data), refused("missing-key"));
  assert.throws(() => receiver.announce(VIDEO), refused("out-of-sequence"));
  await assert.rejects(receiver.install(1, VIDEO, await keyOf(3)), refused("wrong-state"));
});

test("wiping is for good, also while a key is derived", async () => {
  const [sender, receiver] = [await senderOf([1]), await receiverOf([1])];
  const data = await sender.protect(FRAME);
  const late = sender.install(2, await keyOf(2));
  sender.wipe();
  receiver.wipe();
  await assert.rejects(late, refused("wrong-state"));
  await assert.rejects(sender.protect(FRAME), refused("missing-key"));
  await assert.rejects(receiver.open(data), refused("missing-key"));
  await assert.rejects(receiver.install(2, VIDEO, await keyOf(2)), refused("wrong-state"));
});

test("sizes and numbers out of range", async () => {
  const sender = await senderOf([1]);
  const tooLong = sender.protect(FRAME, new Uint8Array(MAX_DUMMY + 1));
  await assert.rejects(tooLong, refused("too-large"));
  const receiver = await receiverOf([1]);
  const tooLarge = receiver.open(new Uint8Array(MAX_PROTECTED + 1));
  await assert.rejects(tooLarge, refused("too-large"));
  assert.throws(() => sender.switch(7), refused("missing-key"));
  for (const [slot, number] of [
    [-1, 0],
    [4096, 0],
    [0, -1],
    [0, 2 ** 53],
    [0, 0.5],
  ] as const) {
    assert.throws(() => new StreamSender(MEETING, { slot, number }), refused("bad-argument"));
  }
});

test("every flipped bit of a frame is refused", async () => {
  const receiver = await receiverOf([1]);
  const data = await (await senderOf([1])).protect(FRAME, fromHex("11"));
  for (let bit = 0; bit < 8 * data.length; bit += 1) {
    const spoiled = data.slice();
    spoiled[bit >> 3] = (spoiled[bit >> 3] ?? 0) ^ (1 << (bit & 7));
    await assert.rejects(receiver.open(spoiled, 1));
  }
  assert.deepEqual((await receiver.open(data, 1)).frame, FRAME);
});

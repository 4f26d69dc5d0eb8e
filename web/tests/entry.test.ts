// SPDX-License-Identifier: Apache-2.0
// Entries: every case of spec/vectors/entries.json, and all entries of the histories.

import assert from "node:assert/strict";
import { test } from "node:test";

import { type Bytes, fromHex, toHex } from "../src/bytes.js";
import { type Entry, parseEntry, verifyEntry } from "../src/entry.js";
import { encodeSigned } from "../src/envelope.js";
import { IncameraError } from "../src/errors.js";
import { kidOf } from "../src/signing.js";
import { refused, vectors } from "./files.js";

interface EntryCase {
  entry: string;
  key?: string;
  expect?: {
    id: string;
    author: string;
    type: number;
    place: string;
    seq: number;
    prev: string | null;
    payload: string;
    key: string;
  };
}

async function parseAndVerify(entry: string, key: string | undefined): Promise<Entry> {
  const parsed = await parseEntry(fromHex(entry));
  if (key !== undefined) await verifyEntry(parsed, fromHex(key));
  return parsed;
}

for (const { name, entry, key, expect, error } of vectors<EntryCase>("entries")) {
  test(`entry vector: ${name}`, async () => {
    if (error !== undefined) {
      await assert.rejects(parseAndVerify(entry, key), refused(error));
      return;
    }
    assert.ok(expect);
    const { header, signed, id } = await parseAndVerify(entry, expect.key);
    assert.deepEqual(expect, {
      id: toHex(id),
      author: toHex(header.author),
      type: header.type,
      place: toHex(header.place),
      seq: header.seq,
      prev: header.prev === null ? null : toHex(header.prev),
      payload: toHex(signed.payload),
      key: expect.key,
    });
    assert.deepEqual(await kidOf(fromHex(expect.key)), header.author);
    assert.equal(toHex(encodeSigned(signed)), entry);
  });
}

type Pair = [timeMs: number, entry: string];
interface HistoryCase {
  history: Pair[];
  next?: Pair;
}

/** Remember the key that an entry brings, by its kid. */
async function learn(keys: Map<string, Bytes>, { body }: Entry): Promise<void> {
  let key: Bytes;
  if (body.type === 32 || body.type === 33) key = body.fields.mvk;
  else if (body.type === 1) key = body.fields.device.ivk;
  else return;
  keys.set(toHex(await kidOf(key)), key);
}

for (const topic of ["meeting", "user"]) {
  test(`all entries of the ${topic} histories parse and are signed by their author`, async () => {
    let read = 0;
    for (const { name, history } of vectors<HistoryCase>(topic)) {
      const keys = new Map<string, Bytes>();
      for (const [, text] of history) {
        const entry = await parseEntry(fromHex(text));
        await learn(keys, entry);
        const author = keys.get(toHex(entry.header.author));
        assert.ok(author, name);
        await verifyEntry(entry, author);
        assert.equal(toHex(encodeSigned(entry.signed)), text);
        read += 1;
      }
    }
    assert.ok(read > 0);
  });

  test(`what a ${topic} history refuses has the form of an entry`, async () => {
    const refusals = vectors<HistoryCase>(topic).filter((one) => one.next !== undefined);
    assert.ok(refusals.length > 0);
    for (const { next } of refusals) await parseEntry(fromHex(next?.[1] ?? ""));
  });
}

test("every flipped bit of an entry is refused", async () => {
  const whole = vectors<EntryCase>("entries").filter(({ expect }) => expect !== undefined);
  const shortest = whole.sort((one, other) => one.entry.length - other.entry.length)[0];
  assert.ok(shortest?.expect);
  const { key } = shortest.expect;
  const data = fromHex(shortest.entry);
  for (let bit = 0; bit < 8 * data.length; bit += 1) {
    const spoiled = data.slice();
    spoiled[bit >> 3] = (spoiled[bit >> 3] ?? 0) ^ (1 << (bit & 7));
    await assert.rejects(parseAndVerify(toHex(spoiled), key), IncameraError);
  }
  await parseAndVerify(shortest.entry, key);
});

// SPDX-License-Identifier: Apache-2.0
// One verdict on every signature: spec/vectors/signing.json, that is all of CCTV and
// Wycheproof, honest signatures and single faults.

import assert from "node:assert/strict";
import { generateKeyPairSync, sign } from "node:crypto";
import { test } from "node:test";

import { type Bytes, fromHex, utf8 } from "../src/bytes.js";
import { IncameraError } from "../src/errors.js";
import { verifySignature } from "../src/signing.js";
import { published, vectors } from "./files.js";

const CCTV = "cctv/ed25519vectors.json.gz";
const WYCHEPROOF = "wycheproof/ed25519_test.json";

interface Judged {
  key: Bytes;
  signature: Bytes;
  message: Bytes;
}
interface SigningCase {
  published?: [file: string, number: number];
  key?: string;
  signature?: string;
  message?: string;
  expect?: { valid: boolean };
}

function publishedCases(): Map<string, Judged> {
  const found = new Map<string, Judged>();
  type Cctv = { number: number; key: string; sig: string; msg: string }[];
  for (const { number, key, sig, msg } of published<Cctv>(CCTV)) {
    found.set(`${CCTV} ${number}`, {
      key: fromHex(key),
      signature: fromHex(sig),
      message: utf8(msg),
    });
  }
  type Group = { publicKey: { pk: string }; tests: { tcId: number; sig: string; msg: string }[] };
  const { testGroups } = published<{ testGroups: Group[] }>(WYCHEPROOF);
  for (const { publicKey, tests } of testGroups) {
    for (const { tcId, sig, msg } of tests) {
      const key = fromHex(publicKey.pk);
      found.set(`${WYCHEPROOF} ${tcId}`, { key, signature: fromHex(sig), message: fromHex(msg) });
    }
  }
  return found;
}

async function verdict({ key, signature, message }: Judged): Promise<string> {
  try {
    await verifySignature(key, signature, message);
    return "valid";
  } catch (error) {
    assert.ok(error instanceof IncameraError, String(error));
    return error.code;
  }
}

test("every case has the verdict of the Python core", async () => {
  const all = publishedCases();
  for (const one of vectors<SigningCase>("signing")) {
    const judged =
      one.published === undefined
        ? {
            key: fromHex(one.key ?? "missing"),
            signature: fromHex(one.signature ?? "missing"),
            message: fromHex(one.message ?? "missing"),
          }
        : all.get(one.published.join(" "));
    assert.ok(judged, one.name);
    assert.equal(await verdict(judged), one.error ?? "valid", one.name);
  }
});

test("the vectors judge every published case", () => {
  const judged = vectors<SigningCase>("signing").flatMap(({ published: p }) => (p ? [p] : []));
  const names = new Set(judged.map((pair) => pair.join(" ")));
  assert.deepEqual(names, new Set(publishedCases().keys()));
  assert.equal(judged.filter(([file]) => file === CCTV).length, 914);
});

test("Wycheproof's own results agree", () => {
  type Group = { tests: { tcId: number; result: string }[] };
  const { testGroups } = published<{ testGroups: Group[] }>(WYCHEPROOF);
  const results = new Map(testGroups.flatMap(({ tests }) => tests).map((t) => [t.tcId, t.result]));
  const ours = vectors<SigningCase>("signing").filter(({ published: p }) => p?.[0] === WYCHEPROOF);
  assert.equal(ours.length, results.size);
  for (const { published: p, error } of ours) {
    assert.equal(error === undefined ? "valid" : "invalid", results.get(p?.[1] ?? -1));
  }
});

test("signatures of another implementation verify, and no changed one does", async () => {
  for (let run = 0; run < 20; run += 1) {
    const { publicKey, privateKey } = generateKeyPairSync("ed25519");
    const key = new Uint8Array(publicKey.export({ type: "spki", format: "der" }).subarray(-32));
    const message = crypto.getRandomValues(new Uint8Array(run * 7));
    const signature = new Uint8Array(sign(null, message, privateKey));
    assert.equal(await verdict({ key, signature, message }), "valid");
    const at = run * 3;
    signature[at] = (signature[at] ?? 0) ^ 4;
    assert.equal(await verdict({ key, signature, message }), "bad-signature");
  }
});

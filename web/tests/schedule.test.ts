// SPDX-License-Identifier: Apache-2.0
// spec/vectors/schedule.json: every case, by its operation; an unknown one fails.

import assert from "node:assert/strict";
import { test } from "node:test";

import { type Bytes, fromHex, toHex } from "../src/bytes.js";
import * as schedule from "../src/schedule.js";
import { type Case, published, refused, vectors } from "./files.js";

/** Inputs of a case; asking for one that is not there fails. */
class Inputs {
  readonly #fields: Record<string, unknown>;

  constructor(fields: Record<string, unknown>) {
    this.#fields = fields;
  }

  has(name: string): boolean {
    return name in this.#fields;
  }

  bytes(name: string): Bytes {
    const value = this.#fields[name];
    assert.ok(typeof value === "string", name);
    return fromHex(value);
  }

  number(name: string): number {
    const value = this.#fields[name];
    assert.ok(typeof value === "number", name);
    return value;
  }

  get context(): schedule.EpochContext {
    const inner = new Inputs(this.#fields["context"] as Record<string, unknown>);
    return {
      meeting: inner.bytes("meeting"),
      prevEpoch: inner.bytes("prev_epoch"),
      rosterRoot: inner.bytes("roster_root"),
      term: inner.number("term"),
      epoch: inner.number("epoch"),
    };
  }
}

type Results = Record<string, Bytes>;

function keyAndNonce(box: Bytes): Results {
  return { box_key: box.slice(0, 32), nonce: box.slice(32) };
}

const DERIVE: Record<string, (one: Inputs) => Promise<Results>> = {
  async epoch(one) {
    const key = await schedule.meetingKey(one.bytes("seed"), one.context);
    return { meeting_key: key, commitment: await schedule.commitment(key) };
  },

  async ratchet(one) {
    return { seed: await schedule.ratchetSeed(one.bytes("meeting_key"), one.context) };
  },

  async committed(one) {
    const [seed, committed] = [one.bytes("seed"), one.bytes("commitment")];
    return { meeting_key: await schedule.committedKey(seed, one.context, committed) };
  },

  async stream(one) {
    const [meeting, epoch] = [one.bytes("meeting"), one.number("epoch")];
    const [slot, number] = [one.number("slot"), one.number("number")];
    const stream = { meeting, epoch, slot, number };
    return { base_key: await schedule.baseKey(one.bytes("meeting_key"), stream) };
  },

  async group(one) {
    const keyId = one.bytes("key_id");
    const group = await schedule.groupKey(one.bytes("meeting_key"), keyId);
    const box = { keyId, slot: one.number("slot"), salt: one.bytes("salt") };
    return { group_key: group, ...keyAndNonce(await schedule.groupBoxKey(group, box)) };
  },

  async "proof-box"(one) {
    const [meeting, owner] = [one.bytes("meeting"), one.bytes("owner")];
    const box = { meeting, owner, salt: one.bytes("salt") };
    return keyAndNonce(await schedule.proofBoxKey(one.bytes("proof_key"), box));
  },

  async link(one) {
    const passcode = one.has("passcode_key") ? one.bytes("passcode_key") : undefined;
    const root = await schedule.linkRoot(one.bytes("secret"), passcode);
    return { root, gate_seed: await schedule.gateSeed(root, one.bytes("ledger_id")) };
  },

  async "gate-box"(one) {
    const [meeting, gate, salt] = [one.bytes("meeting"), one.bytes("gate"), one.bytes("salt")];
    return { box_key: await schedule.gateBoxKey(one.bytes("root"), { meeting, gate, salt }) };
  },

  async hash(one) {
    if (one.has("current")) {
      return { kem_hash: await schedule.kemHash(one.bytes("current"), one.bytes("spare")) };
    }
    const secret = one.bytes("user_secret");
    if (!one.has("nonce")) return { commitment: await schedule.userSecretCommitment(secret) };
    const [ledgerId, leader] = [one.bytes("ledger_id"), one.bytes("leader")];
    return { tag: await schedule.userTag(secret, { ledgerId, leader, nonce: one.bytes("nonce") }) };
  },

  async commit(one) {
    const [nonce, content] = [one.bytes("nonce"), one.bytes("content")];
    return {
      identity: await schedule.identityCommitment(nonce, content),
      info: await schedule.infoCommitment(nonce, content),
    };
  },
};

interface ScheduleCase extends Case {
  readonly operation: string;
  readonly expect?: Record<string, string>;
}

for (const one of vectors<ScheduleCase>("schedule")) {
  test(`schedule vector: ${one.name}`, async () => {
    const derive = DERIVE[one.operation];
    assert.ok(derive, `unknown operation ${one.operation}`);
    const result = derive(new Inputs(one));
    if (one.error !== undefined) {
      await assert.rejects(result, refused(one.error));
      return;
    }
    const found = Object.entries(await result).map(([name, data]) => [name, toHex(data)]);
    assert.deepEqual(Object.fromEntries(found), one.expect);
  });
}

test("the schedule vectors use every operation", () => {
  const used = new Set(vectors<ScheduleCase>("schedule").map((one) => one.operation));
  assert.deepEqual([...used].sort(), Object.keys(DERIVE).sort());
});

test("expand is HKDF-Expand of Wycheproof, where Extract is an HMAC", async () => {
  type Hkdf = { ikm: string; salt: string; info: string; size: number; okm: string; result: string };
  const file = published<{ testGroups: { tests: Hkdf[] }[] }>("wycheproof/hkdf_sha256_test.json");
  const cases = file.testGroups.flatMap(({ tests }) => tests);
  const valid = cases.filter(({ result, salt }) => result === "valid" && salt !== "");
  assert.ok(valid.length > 50);
  for (const { ikm, salt, info, size, okm } of valid) {
    const hmac = { name: "HMAC", hash: "SHA-256" };
    const key = await crypto.subtle.importKey("raw", fromHex(salt), hmac, false, ["sign"]);
    const prk = new Uint8Array(await crypto.subtle.sign("HMAC", key, fromHex(ikm)));
    assert.equal(toHex(await schedule.expand(prk, fromHex(info), size)), okm);
  }
});

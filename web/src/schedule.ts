// SPDX-License-Identifier: Apache-2.0
// Which key follows from which (spec/keys.md, section 4).
//
// Every step is HKDF-Expand-SHA-256 under its own label.  Secrets are byte arrays that
// their owner wipes; what the page keeps is a non-extractable CryptoKey (sframe.ts).

import { type Bytes, concat, u32, u64 } from "./bytes.js";
import * as labels from "./labels.js";

/** Bytes of every key, seed and commitment here: one block of SHA-256. */
export const KEY_BYTES = 32;

/** Where a meeting key belongs: all that its derivation binds. */
export interface EpochContext {
  readonly meeting: Bytes;
  readonly prevEpoch: Bytes;
  readonly rosterRoot: Bytes;
  readonly term: number;
  readonly epoch: number;
}

/** Which stream of which member in which epoch. */
export interface StreamPlace {
  readonly meeting: Bytes;
  readonly epoch: number;
  readonly slot: number;
  readonly number: number;
}

/** Return HKDF-Expand-SHA-256(key, info, 32): a single block is one HMAC. */
export async function expand(key: Bytes, info: Bytes): Promise<Bytes> {
  const hmac = await crypto.subtle.importKey("raw", key, { name: "HMAC", hash: "SHA-256" }, false, [
    "sign",
  ]);
  return new Uint8Array(await crypto.subtle.sign("HMAC", hmac, concat(info, Uint8Array.of(1))));
}

/** Return the seed of the epoch `context`, from the meeting key before it. */
export function ratchetSeed(meetingKey: Bytes, context: EpochContext): Promise<Bytes> {
  return expand(meetingKey, concat(labels.RATCHET, place(context), u64(context.epoch)));
}

/** Return MK_e, from a fresh or ratcheted seed. */
export function meetingKey(seed: Bytes, context: EpochContext): Promise<Bytes> {
  const when = concat(u64(context.term), u64(context.epoch));
  return expand(seed, concat(labels.MEETING_KEY, place(context), when));
}

/** Return what the epoch entry says of a meeting key; public. */
export function commitment(meetingKey: Bytes): Promise<Bytes> {
  return expand(meetingKey, labels.COMMITMENT);
}

/** Return the SFrame base key of one stream. */
export function baseKey(meetingKey: Bytes, stream: StreamPlace): Promise<Bytes> {
  const { meeting, epoch, slot, number } = stream;
  return expand(
    meetingKey,
    concat(labels.SFRAME, meeting, u64(epoch), u32(slot), u64(number)),
  );
}

function place(context: EpochContext): Bytes {
  return concat(context.meeting, context.prevEpoch, context.rosterRoot);
}

// SPDX-License-Identifier: Apache-2.0
// Which key follows from which, and what each is bound to (spec/keys.md, section 4).
//
// Every step is HKDF-Expand-SHA-256 under its own label.  Secrets are byte arrays that
// their owner wipes; what the page keeps is a non-extractable CryptoKey (sframe.ts).

import { type Bytes, concat, equalSecrets, u32, u64 } from "./bytes.js";
import { PeerError } from "./errors.js";
import * as labels from "./labels.js";

/** Bytes of every key, seed, commitment and nonce here: one block of SHA-256. */
export const KEY_BYTES = 32;
const TAG_BYTES = 16;
const BOX_KEY_BYTES = 44; // key || nonce

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

/** Return HKDF-Expand-SHA-256(key, info, length) (RFC 5869, section 2.3). */
export async function expand(key: Bytes, info: Bytes, length = KEY_BYTES): Promise<Bytes> {
  let out: Bytes = new Uint8Array();
  let block: Bytes = new Uint8Array();
  for (let count = 1; out.length < length; count += 1) {
    block = await hmac(key, concat(block, info, Uint8Array.of(count)));
    out = concat(out, block);
  }
  return out.slice(0, length);
}

async function hmac(key: Bytes, message: Bytes): Promise<Bytes> {
  const algorithm = { name: "HMAC", hash: "SHA-256" };
  const imported = await crypto.subtle.importKey("raw", key, algorithm, false, ["sign"]);
  return new Uint8Array(await crypto.subtle.sign("HMAC", imported, message));
}

async function sha256(...parts: Bytes[]): Promise<Bytes> {
  return new Uint8Array(await crypto.subtle.digest("SHA-256", concat(...parts)));
}

function place(context: EpochContext): Bytes {
  return concat(context.meeting, context.prevEpoch, context.rosterRoot);
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

/** Return MK_e if it is the committed one, else throw PeerError bad-commitment. */
export async function committedKey(
  seed: Bytes,
  context: EpochContext,
  committed: Bytes,
): Promise<Bytes> {
  const key = await meetingKey(seed, context);
  if (!equalSecrets(await commitment(key), committed)) {
    key.fill(0);
    throw new PeerError("bad-commitment", "key does not match its commitment");
  }
  return key;
}

/** Return the SFrame base key of one stream: sender's slot, stream number. */
export function baseKey(meetingKey: Bytes, stream: StreamPlace): Promise<Bytes> {
  const { meeting, epoch, slot, number } = stream;
  const info = concat(labels.SFRAME, meeting, u64(epoch), u32(slot), u64(number));
  return expand(meetingKey, info);
}

/** Return the key under which the members' signed messages are sealed. */
export function groupKey(meetingKey: Bytes, keyId: Bytes): Promise<Bytes> {
  return expand(meetingKey, concat(labels.GROUP, keyId));
}

/** Return key || nonce of one group box of one sender. */
export function groupBoxKey(
  group: Bytes,
  box: { readonly keyId: Bytes; readonly slot: number; readonly salt: Bytes },
): Promise<Bytes> {
  return expand(group, concat(labels.BOX, box.keyId, u32(box.slot), box.salt), BOX_KEY_BYTES);
}

/** Return key || nonce of one member's stored identity proof. */
export function proofBoxKey(
  key: Bytes,
  box: { readonly meeting: Bytes; readonly owner: Bytes; readonly salt: Bytes },
): Promise<Bytes> {
  return expand(key, concat(labels.PROOF, box.meeting, box.owner, box.salt), BOX_KEY_BYTES);
}

/** Return the root of a link's keys; a passcode adds 32 bytes of Argon2id. */
export function linkRoot(secret: Bytes, passcodeKey: Bytes = new Uint8Array()): Promise<Bytes> {
  return hmac(labels.LINK, concat(secret, passcodeKey)); // HKDF-Extract
}

/** Return the Ed25519 seed of the gate. */
export function gateSeed(root: Bytes, ledgerId: Bytes): Promise<Bytes> {
  return expand(root, concat(labels.GATE, ledgerId));
}

/** Return the key of the leader's blob, for those who have the link. */
export function gateBoxKey(
  root: Bytes,
  box: { readonly meeting: Bytes; readonly gate: Bytes; readonly salt: Bytes },
): Promise<Bytes> {
  return expand(root, concat(labels.GATE_BOX, box.meeting, box.gate, box.salt));
}

/** Return the hash by which an entry names its author's two KEM keys. */
export function kemHash(current: Bytes, spare: Bytes): Promise<Bytes> {
  return sha256(labels.KEM, current, spare);
}

/** Return the tag that all devices of a user have in one meeting. */
export async function userTag(
  userSecret: Bytes,
  place: { readonly ledgerId: Bytes; readonly leader: Bytes; readonly nonce: Bytes },
): Promise<Bytes> {
  const message = concat(labels.TAG, place.ledgerId, place.leader, place.nonce);
  return (await hmac(userSecret, message)).slice(0, TAG_BYTES);
}

/** Return what a user topic says of the user secret. */
export function userSecretCommitment(userSecret: Bytes): Promise<Bytes> {
  return sha256(labels.USER_SECRET, userSecret);
}

/** Return what an entry says of its author's identity; PeerError bad-opening. */
export async function identityCommitment(nonce: Bytes, statement: Bytes): Promise<Bytes> {
  return hmac(checkedNonce(nonce), concat(labels.IDENTITY, statement));
}

/** Return what stands for private information; PeerError bad-opening. */
export async function infoCommitment(nonce: Bytes, info: Bytes): Promise<Bytes> {
  return hmac(checkedNonce(nonce), concat(labels.INFO, info));
}

function checkedNonce(nonce: Bytes): Bytes {
  // HMAC pads short keys and hashes long ones: of two lengths, two would open one.
  if (nonce.length !== KEY_BYTES) throw new PeerError("bad-opening", "nonce is not 32 bytes");
  return nonce;
}

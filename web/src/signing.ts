// SPDX-License-Identifier: Apache-2.0
// One verdict on every Ed25519 signature (spec/encoding.md, section 5).
//
// The four rules are computed here from curve arithmetic and not left to the engine's
// own verify, on which engines differ.  All inputs are public.

import { ed25519 } from "@noble/curves/ed25519.js";

import { type Bytes, concat, equal, fromBigEndian, toHex } from "./bytes.js";
import { PeerError } from "./errors.js";

export const KEY_BYTES = 32;
export const SIGNATURE_BYTES = 64;
/** L, the order of the prime-order subgroup (RFC 8032, section 5.1). */
export const ORDER = 2n ** 252n + 27742317777372353535851937790883648493n;
const KID_BYTES = 16;
/** Keys whose check is remembered: the members of our largest meeting. */
const CACHED_KEYS = 4096;

type Point = InstanceType<typeof ed25519.Point>;
const { Point } = ed25519;
const IDENTITY = Point.ZERO.toBytes();
const checked = new Map<string, Point>();

/**
 * Accept by the four rules.
 * @throws PeerError bad-key (rule 2) or bad-signature (all else)
 */
export async function verifySignature(
  key: Uint8Array,
  signature: Uint8Array,
  message: Uint8Array,
): Promise<void> {
  const a = load(key);
  const s = littleEndian(signature.subarray(32));
  const r = signature.subarray(0, 32);
  if (signature.length !== SIGNATURE_BYTES || s >= ORDER || equal(r, IDENTITY)) {
    throw new PeerError("bad-signature", "malformed signature");
  }
  const digest = await crypto.subtle.digest("SHA-512", concat(r, key, message));
  const k = littleEndian(new Uint8Array(digest)) % ORDER;
  const expected = Point.BASE.multiplyUnsafe(s).subtract(a.multiplyUnsafe(k)).toBytes();
  if (!equal(r, expected)) throw new PeerError("bad-signature", "signature does not verify");
}

/** Throw PeerError bad-key unless `key` is a canonical point of prime order. */
export function verifyKey(key: Uint8Array): void {
  load(key);
}

/** Return the key id that headers carry: SHA-256(key)[0:16]. */
export async function kidOf(key: Bytes): Promise<Bytes> {
  return new Uint8Array(await crypto.subtle.digest("SHA-256", key)).slice(0, KID_BYTES);
}

function load(key: Uint8Array): Point {
  const name = toHex(key);
  const known = checked.get(name);
  if (known !== undefined) return known;
  const point = decode(key);
  // Prime order: [L]A is the identity and A is not.
  if (point === undefined || point.is0() || !point.isTorsionFree()) {
    throw new PeerError("bad-key", "not a valid Ed25519 key");
  }
  if (checked.size >= CACHED_KEYS) checked.clear();
  checked.set(name, point);
  return point;
}

function decode(key: Uint8Array): Point | undefined {
  if (key.length !== KEY_BYTES) return undefined;
  try {
    return Point.fromBytes(Uint8Array.from(key)); // strict: refuses y >= p and "-0"
  } catch {
    return undefined;
  }
}

function littleEndian(data: Uint8Array): bigint {
  return fromBigEndian(Uint8Array.from(data).reverse());
}

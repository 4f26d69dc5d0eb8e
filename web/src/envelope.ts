// SPDX-License-Identifier: Apache-2.0
// The signed envelope of entries, messages and statements (spec/encoding.md, section 6).

import { type Bytes, concat, utf8 } from "./bytes.js";
import { MAX_ENTRY, encode, parse } from "./cbor.js";
import { PeerError } from "./errors.js";
import { SIGNATURE_BYTES, verifySignature } from "./signing.js";

const TAG_18 = 0xd2;

/** An envelope in parts; header and payload are the very bytes that were signed. */
export interface Signed {
  readonly protected: Bytes;
  readonly payload: Bytes;
  readonly signature: Bytes;
}

/**
 * Parse an envelope.
 * @throws PeerError too-large, not-canonical or schema
 */
export function parseSigned(data: Bytes, limit = MAX_ENTRY): Signed {
  if (data.length > limit) throw new PeerError("too-large", `more than ${limit} bytes`);
  if (data[0] !== TAG_18) throw notEnvelope();
  const items = parse(data.subarray(1), limit);
  if (!Array.isArray(items) || items.length !== 4) throw notEnvelope();
  const [header, unprotected, payload, signature] = items;
  if (!(unprotected instanceof Map) || unprotected.size !== 0) throw notEnvelope();
  if (!(header instanceof Uint8Array) || !(payload instanceof Uint8Array)) throw notEnvelope();
  if (!(signature instanceof Uint8Array) || signature.length !== SIGNATURE_BYTES) {
    throw notEnvelope();
  }
  return { protected: header, payload, signature };
}

function notEnvelope(): PeerError {
  return new PeerError("schema", "not a signed envelope");
}

/** Return the envelope's bytes. */
export function encodeSigned(signed: Signed): Bytes {
  const items = [signed.protected, new Map(), signed.payload, signed.signature];
  return concat(Uint8Array.of(TAG_18), encode(items));
}

/** Return the bytes that the signature covers (RFC 9052, section 4.4). */
export function sigStructure(signed: Signed, label: string): Bytes {
  return encode(["Signature1", signed.protected, utf8(label), signed.payload]);
}

/** Return SHA-256 of the Sig_structure: the id, which no signature can fork. */
export async function identify(signed: Signed, label: string): Promise<Bytes> {
  return new Uint8Array(await crypto.subtle.digest("SHA-256", sigStructure(signed, label)));
}

/** Throw PeerError bad-key or bad-signature unless `key` signed this under `label`. */
export async function verifySigned(signed: Signed, key: Bytes, label: string): Promise<void> {
  await verifySignature(key, signed.signature, sigStructure(signed, label));
}

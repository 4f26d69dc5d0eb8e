// SPDX-License-Identifier: Apache-2.0
// How one frame is sealed under one stream key (spec/media.md, section 4).
//
// SFrame (RFC 9605) with suite 0x0005, AES_256_GCM_SHA512_128, and no other, by
// WebCrypto.  Everything that decides about a counter happens before the first await.

import { type Bytes, bigEndian, concat, fromBigEndian, toHex, u64, utf8 } from "./bytes.js";
import { PeerError, UsageError } from "./errors.js";
import { ReplayWindow } from "./replay.js";

export const SUITE = 0x0005;
export const TAG_BYTES = 16;
/** Bytes of the longest header: one, and eight each for KID and counter. */
export const MAX_HEADER = 17;
/** Highest counter and KID. */
export const MAX_COUNTER = 2n ** 64n - 1n;

const KEY_BITS = 256;
const NONCE_BYTES = 12;
const EXTENDED = 8; // the bit of a half byte that says "a length, not a value"
const KEY_LABEL = utf8("SFrame 1.0 Secret key "); // the blank at the end is the RFC's
const SALT_LABEL = utf8("SFrame 1.0 Secret salt ");

/** A parsed header: key id, counter and its size in bytes. */
export interface Header {
  readonly kid: bigint;
  readonly counter: bigint;
  readonly size: number;
}

/** Return the one header of `kid` and `counter`, 1 to 17 bytes (RFC 9605, 4.3). */
export function encodeHeader(kid: bigint, counter: bigint): Bytes {
  const high = field(kid);
  const low = field(counter);
  return concat(Uint8Array.of((high.half << 4) | low.half), high.rest, low.rest);
}

/**
 * Return the header that `data` starts with.
 * @throws PeerError not-canonical if it is cut short or not of minimal length
 */
export function parseHeader(data: Uint8Array): Header {
  const first = data[0];
  if (first === undefined) throw malformed();
  const kid = parseField(data, first >> 4, 1);
  const counter = parseField(data, first & 15, kid.end);
  return { kid: kid.value, counter: counter.value, size: counter.end };
}

function field(value: bigint): { half: number; rest: Bytes } {
  if (value < EXTENDED) return { half: Number(value), rest: new Uint8Array() };
  const size = Math.ceil(value.toString(16).length / 2);
  return { half: EXTENDED | (size - 1), rest: bigEndian(value, size) };
}

function parseField(data: Uint8Array, half: number, start: number): { value: bigint; end: number } {
  if (half < EXTENDED) return { value: BigInt(half), end: start };
  const end = start + half - EXTENDED + 1;
  if (end > data.length) throw malformed();
  const value = fromBigEndian(data.subarray(start, end));
  // One byte must be needed at all, several must not begin with zero.
  const least = half === EXTENDED ? BigInt(EXTENDED) : 1n << BigInt(8 * (half - EXTENDED));
  if (value < least) throw malformed();
  return { value, end };
}

function malformed(): PeerError {
  return new PeerError("not-canonical", "frame header is not minimal");
}

/** One AEAD key, not extractable, and its salt. */
interface Keys {
  readonly key: CryptoKey;
  readonly salt: bigint;
  /** Equal for equal (base key, KID) only; tells nothing about them. */
  readonly identity: string;
}

async function derive(baseKey: Bytes, kid: bigint): Promise<Keys> {
  const root = await crypto.subtle.importKey("raw", baseKey, "HKDF", false, [
    "deriveKey",
    "deriveBits",
  ]);
  const gcm = { name: "AES-GCM", length: KEY_BITS };
  const [key, bits] = await Promise.all([
    crypto.subtle.deriveKey(hkdf(KEY_LABEL, kid), root, gcm, false, ["encrypt", "decrypt"]),
    crypto.subtle.deriveBits(hkdf(SALT_LABEL, kid), root, 8 * NONCE_BYTES),
  ]);
  const identity = toHex(new Uint8Array(await crypto.subtle.digest("SHA-256", bits)));
  return { key, salt: fromBigEndian(new Uint8Array(bits)), identity };
}

function hkdf(label: Bytes, kid: bigint): HkdfParams {
  const info = concat(label, u64(kid), bigEndian(BigInt(SUITE), 2));
  return { name: "HKDF", hash: "SHA-512", salt: new Uint8Array(), info };
}

function gcm(salt: bigint, counter: bigint, additionalData: Bytes): AesGcmParams {
  return { name: "AES-GCM", iv: bigEndian(salt ^ counter, NONCE_BYTES), additionalData };
}

/** Seals the frames of one stream; no (key, counter) is ever used twice. */
export class SealContext {
  readonly kid: bigint;
  readonly #keys: Keys;
  #next: bigint;

  private constructor(keys: Keys, kid: bigint, first: bigint) {
    this.#keys = keys;
    this.kid = kid;
    this.#next = first;
  }

  /** Derive from `baseKey`, once per key; counters below `first` are skipped. */
  static async make(baseKey: Bytes, kid: bigint, first = 0n): Promise<SealContext> {
    return new SealContext(await derive(baseKey, kid), kid, first);
  }

  get identity(): string {
    return this.#keys.identity;
  }

  /**
   * Return header || ciphertext || tag under the next counter; `metadata` is
   * authenticated but not sent.  The counter is taken before this returns.
   * @throws UsageError counter-exhausted
   */
  protect(plaintext: Bytes, metadata: Bytes): Promise<Bytes> {
    const counter = this.#next;
    if (counter > MAX_COUNTER) {
      return Promise.reject(new UsageError("counter-exhausted", "all counters are used"));
    }
    this.#next = counter + 1n;
    return this.#protect(plaintext, metadata, counter);
  }

  async #protect(plaintext: Bytes, metadata: Bytes, counter: bigint): Promise<Bytes> {
    const header = encodeHeader(this.kid, counter);
    const params = gcm(this.#keys.salt, counter, concat(header, metadata));
    const sealed = await crypto.subtle.encrypt(params, this.#keys.key, plaintext);
    return concat(header, new Uint8Array(sealed));
  }
}

/** Opens the frames of one stream, each once. */
export class OpenContext {
  readonly kid: bigint;
  readonly #keys: Keys;
  readonly #window = new ReplayWindow();

  private constructor(keys: Keys, kid: bigint) {
    this.#keys = keys;
    this.kid = kid;
  }

  /** Derive from `baseKey`; the window starts empty, so do this once per key. */
  static async make(baseKey: Bytes, kid: bigint): Promise<OpenContext> {
    return new OpenContext(await derive(baseKey, kid), kid);
  }

  get identity(): string {
    return this.#keys.identity;
  }

  /**
   * Return the plaintext of header || ciphertext || tag.
   * @throws PeerError not-canonical (header), missing-key (another KID), replayed,
   * and bad-box for whatever fails to authenticate
   */
  async open(data: Bytes, metadata: Bytes): Promise<Bytes> {
    const header = parseHeader(data);
    if (header.kid !== this.kid) throw new PeerError("missing-key", "frame is under another key");
    return this.openParsed(header, data, metadata);
  }

  /** Open `data`, of which `header` has been parsed and whose KID is ours. */
  async openParsed(header: Header, data: Bytes, metadata: Bytes): Promise<Bytes> {
    this.#window.check(header.counter);
    const aad = concat(data.subarray(0, header.size), metadata);
    const plain = await this.#decrypt(header.counter, aad, data.subarray(header.size));
    this.#window.commit(header.counter);
    return plain;
  }

  async #decrypt(counter: bigint, aad: Bytes, body: Bytes): Promise<Bytes> {
    try {
      const params = gcm(this.#keys.salt, counter, aad);
      return new Uint8Array(await crypto.subtle.decrypt(params, this.#keys.key, body));
    } catch {
      // WebCrypto says no more than that, also for a body too short to hold a tag.
      throw new PeerError("bad-box", "frame does not authenticate");
    }
  }
}

// SPDX-License-Identifier: Apache-2.0
// Byte strings: joining, comparing, big-endian integers, hex.

/** Bytes that WebCrypto takes: never backed by shared memory. */
export type Bytes = Uint8Array<ArrayBuffer>;

/** Return the parts joined. */
export function concat(...parts: readonly Uint8Array[]): Bytes {
  const out = new Uint8Array(parts.reduce((size, part) => size + part.length, 0));
  let at = 0;
  for (const part of parts) {
    out.set(part, at);
    at += part.length;
  }
  return out;
}

/** Say whether two public byte strings are equal; not for secrets. */
export function equal(one: Uint8Array, other: Uint8Array): boolean {
  return one.length === other.length && one.every((byte, at) => byte === other[at]);
}

/** Say whether two secrets of one length are equal, in time that tells nothing. */
export function equalSecrets(one: Uint8Array, other: Uint8Array): boolean {
  if (one.length !== other.length) return false;
  let difference = 0;
  one.forEach((byte, at) => (difference |= byte ^ (other[at] ?? 0)));
  return difference === 0;
}

/** Return `value` as `size` bytes, big endian. */
export function bigEndian(value: bigint, size: number): Bytes {
  const out = new Uint8Array(size);
  for (let at = size - 1; at >= 0; at -= 1) {
    out[at] = Number(value & 0xffn);
    value >>= 8n;
  }
  return out;
}

/** Return the unsigned integer that big-endian `data` stands for. */
export function fromBigEndian(data: Uint8Array): bigint {
  let value = 0n;
  for (const byte of data) value = (value << 8n) | BigInt(byte);
  return value;
}

/** Return `value` as four bytes, big endian. */
export function u32(value: number): Bytes {
  return bigEndian(BigInt(value), 4);
}

/** Return `value` as eight bytes, big endian. */
export function u64(value: number | bigint): Bytes {
  return bigEndian(BigInt(value), 8);
}

/** Return `text` in UTF-8. */
export function utf8(text: string): Bytes {
  return new TextEncoder().encode(text);
}

/** Return lower-case hex. */
export function toHex(data: Uint8Array): string {
  return Array.from(data, (byte) => byte.toString(16).padStart(2, "0")).join("");
}

/** Return the bytes of lower-case hex; for constants and tests. */
export function fromHex(text: string): Bytes {
  if (!/^([0-9a-f]{2})*$/.test(text)) throw new TypeError("not lower-case hex");
  return Uint8Array.from(text.match(/../g) ?? [], (pair) => Number.parseInt(pair, 16));
}

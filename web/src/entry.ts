// SPDX-License-Identifier: Apache-2.0
// How an entry is parsed and named (spec/meeting.md, section 2).

import * as bodies from "./bodies.js";
import type { Bytes } from "./bytes.js";
import { MAX_ENTRY, type Value, parse } from "./cbor.js";
import { type Signed, identify, parseSigned, verifySigned } from "./envelope.js";
import { PeerError } from "./errors.js";
import { ENTRY } from "./labels.js";
import { type Codec, field, nullable, octets, record, uint } from "./schema.js";

const EPOCH = 34;
/** Bytes of one epoch entry, so that it fits into an exhibit (M-MTG-3). */
const MAX_EPOCH = 15_872;

/** Body codecs by entry type, header label 16; other types belong to later rules. */
const BODIES = {
  1: bodies.userRoot,
  32: bodies.publish,
  33: bodies.request,
  34: bodies.epoch,
  35: bodies.leave,
  36: bodies.policyChange,
  42: bodies.dismiss,
} as const;

export type EntryType = keyof typeof BODIES;

const entryType: Codec<EntryType> = (value) => {
  const number = uint()(value);
  if (!Object.hasOwn(BODIES, number)) throw new PeerError("unknown-type", `entry type ${number}`);
  return number as EntryType;
};

const header = record({
  author: field(4, octets(16)),
  type: field(16, entryType),
  place: field(70, octets(32)),
  seq: field(71, uint()),
  prev: field(72, nullable(octets(32))),
});

/** The protected header: who says what kind of thing where, in which order. */
export type EntryHeader = ReturnType<typeof header>;

/** A body with its type. */
export type Body = {
  [Type in EntryType]: { readonly type: Type; readonly fields: ReturnType<(typeof BODIES)[Type]> };
}[EntryType];

/** A parsed entry; its signature is *not* yet verified. */
export interface Entry {
  readonly signed: Signed;
  readonly header: EntryHeader;
  readonly body: Body;
  /** SHA-256 of the Sig_structure. */
  readonly id: Bytes;
}

/**
 * Parse an entry, checking form only.
 * @throws PeerError too-large, not-canonical, schema, unknown-type, unknown-extension
 * or bad-key
 */
export async function parseEntry(data: Bytes): Promise<Entry> {
  const signed = parseSigned(data, MAX_ENTRY);
  const read = header(parse(signed.protected));
  if (read.type === EPOCH && data.length > MAX_EPOCH) {
    throw new PeerError("too-large", `an epoch of ${data.length} bytes`);
  }
  const codec: Codec<unknown> = BODIES[read.type];
  const fields = codec(parse(signed.payload) satisfies Value);
  const body = { type: read.type, fields } as Body;
  return { signed, header: read, body, id: await identify(signed, ENTRY) };
}

/** Throw PeerError bad-key or bad-signature unless `author` signed this entry. */
export async function verifyEntry(entry: Entry, author: Bytes): Promise<void> {
  await verifySigned(entry.signed, author, ENTRY);
}

// SPDX-License-Identifier: Apache-2.0
// What each entry of rules version 1 says (spec/incamera.cddl, sections 3 and 4).

import type { Bytes } from "./bytes.js";
import type { Value, ValueMap } from "./cbor.js";
import { PeerError } from "./errors.js";
import { indexSet } from "./index-set.js";
import {
  type Codec,
  bool,
  field,
  list,
  octets,
  optional,
  record,
  refuse,
  text,
  tuple,
  uint,
} from "./schema.js";
import { SIGNATURE_BYTES, verifyKey } from "./signing.js";

export const MAX_SLOTS = 4096;
export const MAX_REQUESTS = 65_536;
const MAX_EXTENSIONS = 16;
const MAX_COSIGNS = 4;
const MAX_GATEWAYS = 8;
const MAX_LEDGERS = 4;
const MAX_GRANTS = 64;
const MAX_REFRESHES = 64;
const MAX_SUPERSEDES = 8;
const MAX_NAME = 128;
const MAX_TEXT = 1024;
const MAX_HOST = 255;
const MAX_STATEMENT = 1024;
const ML_DSA_BYTES = 1952;

const id32 = octets(32);
const id16 = octets(16);
const time = uint();
const rules = uint();
const slots = indexSet(MAX_SLOTS, MAX_SLOTS);
const ordinals = indexSet(MAX_REQUESTS, MAX_SLOTS);

const key: Codec<Bytes> = (value) => {
  const data = id32(value);
  verifyKey(data);
  return data;
};

/** Odd ids are critical: refused, as rules version 1 knows none. */
const extensions: Codec<ValueMap> = (value) => {
  if (!(value instanceof Map) || value.size > MAX_EXTENSIONS) {
    throw refuse(`not a map of at most ${MAX_EXTENSIONS} extensions`);
  }
  for (const number of value.keys()) {
    if (number % 2 === 1) throw new PeerError("unknown-extension", `extension ${number}`);
  }
  return value;
};

/** A commitment, or something in clear. */
function committedOr<T>(clear: Codec<T>, isClear: (value: Value) => boolean): Codec<Bytes | T> {
  return (value) => (isClear(value) ? clear(value) : id32(value));
}

const isText = (value: Value) => typeof value === "string";
const isMap = (value: Value) => value instanceof Map;
const kind = uint(5, 1);
const cosigns = list(
  tuple<[number, Bytes, Bytes]>(uint(7, 1), id16, octets(SIGNATURE_BYTES)),
  MAX_COSIGNS,
  1,
);
const gateway = record({ host: field(1, text(MAX_HOST, 1)), pin: optional(2, id32) });
const gateways = list(gateway, MAX_GATEWAYS);
const fallbacks = list(id32, MAX_LEDGERS);

const device = record({
  ivk: field(1, key),
  id: field(2, id16),
  kind: field(3, kind),
  name: field(4, committedOr(text(MAX_NAME), isText)),
  secretKeyHash: optional(5, id32),
  mlDsa: optional(6, octets(ML_DSA_BYTES)),
});

const clearInfo = record({ name: field(1, text(MAX_NAME)), note: optional(2, text(MAX_TEXT)) });

const userPolicy = record({
  lockdown: field(1, bool),
  policyKey: optional(2, key),
  attesterKey: optional(3, key),
  recoveryWaitMs: field(4, time),
});

const limits = record({
  members: field(1, uint(MAX_SLOTS, 1)),
  unreachableS: field(2, uint()),
  identityStaleS: field(3, uint()),
  leaderlessS: field(4, uint()),
  beforeHostS: field(5, uint()),
});

const policy = record({
  doors: field(1, uint(2)),
  strict: field(2, bool),
  verifyFirst: field(3, bool),
  identities: field(4, uint(3, 1)),
  succession: field(5, uint(3, 1)),
  appointed: optional(6, id32),
  grants: field(7, list(tuple<[Bytes, number]>(id32, uint(5, 1)), MAX_GRANTS)),
  limits: field(8, limits),
  minimumStrength: field(9, uint(4)),
  beforeHost: field(10, bool),
  follow: field(11, uint(2, 1)),
});

const parent = record({
  kind: field(1, uint(3, 1)),
  meeting: field(2, id32),
  ledger: field(3, id32),
  head: field(4, id32),
  count: field(5, uint()),
});

export const userRoot = record({
  rules: field(1, rules),
  nonce: field(2, id32),
  device: field(3, device),
  info: field(4, committedOr(clearInfo, isMap)),
  policy: field(5, userPolicy),
  gateways: field(6, gateways),
  backup: optional(7, device),
  userSecret: optional(8, id32),
  cosigns: optional(22, cosigns),
  extensions: optional(23, extensions),
});

export const publish = record({
  rules: field(1, rules),
  nonce: field(2, id32),
  mvk: field(3, key),
  kemHash: field(4, id32),
  tag: field(5, id16),
  kind: field(6, kind),
  code: field(7, id32),
  identity: field(8, octets(32, MAX_STATEMENT)),
  info: field(9, committedOr(text(MAX_TEXT), isText)),
  policy: field(10, policy),
  gate: field(11, key),
  gateways: field(12, gateways),
  fallbacks: field(13, fallbacks),
  parent: optional(14, parent),
  opensMs: field(15, time),
  endsMs: field(16, time),
  extensions: optional(23, extensions),
});

export const request = record({
  mvk: field(1, key),
  tag: field(2, id16),
  kemHash: field(3, id32),
  nonce: field(4, id32),
  kind: field(5, kind),
  code: field(6, id32),
  identity: field(7, octets(32, MAX_STATEMENT)),
  cosigns: optional(22, cosigns),
  extensions: optional(23, extensions),
});

export const epoch = record({
  term: field(1, uint()),
  number: field(2, uint()),
  prevEpoch: field(3, id32),
  kind: field(4, uint(2, 1)),
  admitted: field(5, ordinals),
  left: field(6, slots),
  lost: field(7, slots),
  removed: field(8, slots),
  rosterRoot: field(9, id32),
  commitment: field(10, id32),
  refreshes: field(11, list(id32, MAX_REFRESHES)),
  supersedes: optional(12, list(id32, MAX_SUPERSEDES, 1)),
  cause: optional(13, uint(8, 1)),
  extensions: optional(23, extensions),
});

export const leave = record({ reason: field(1, uint(3)), extensions: optional(23, extensions) });

export const policyChange = record({
  term: field(1, uint()),
  version: field(2, uint()),
  policy: field(3, policy),
  gate: optional(4, key),
  gateways: optional(5, gateways),
  fallbacks: optional(6, fallbacks),
  extensions: optional(23, extensions),
});

export const dismiss = record({
  term: field(1, uint()),
  reason: field(2, uint(3)),
  extensions: optional(23, extensions),
});

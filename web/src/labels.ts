// SPDX-License-Identifier: Apache-2.0
// The labels of derivations and signatures (spec/keys.md, section 3).

import { type Bytes, utf8 } from "./bytes.js";

const VERSION = "incamera/0";

/** A derivation's label ends in a zero byte: none is a prefix of another's input. */
function derivation(name: string): Bytes {
  return utf8(`${VERSION} ${name}\0`);
}

// hashes and commitments
export const KEM = derivation("kem");
export const IDENTITY = derivation("identity");
export const INFO = derivation("info");
export const TAG = derivation("tag");
export const USER_SECRET = derivation("user-secret");
// link and gate
export const LINK = derivation("link");
export const GATE = derivation("gate");
export const GATE_BOX = derivation("gate-box");
// the meeting key and what follows from it
export const RATCHET = derivation("ratchet");
export const MEETING_KEY = derivation("mk");
export const COMMITMENT = derivation("mk-commit");
export const SFRAME = derivation("sframe");
export const GROUP = derivation("group");
export const BOX = derivation("box");
export const PROOF = derivation("proof");

/** Signature labels: external_aad of a Sig_structure. */
export const ENTRY = `${VERSION} entry`;
export const MESSAGE = `${VERSION} message`;
export const STATEMENT = `${VERSION} statement`;

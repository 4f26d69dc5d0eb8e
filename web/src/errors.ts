// SPDX-License-Identifier: Apache-2.0
// The errors that this code raises and their stable codes (spec/errors.md).

export const CODES = [
  "too-large",
  "not-canonical",
  "schema",
  "unknown-type",
  "unknown-extension",
  "bad-key",
  "bad-signature",
  "out-of-sequence",
  "bad-opening",
  "bad-commitment",
  "bad-box",
  "missing-key",
  "replayed",
  "wrong-sender",
  "counter-exhausted",
  "bad-argument",
  "wrong-state",
] as const;

/** What went wrong; compare codes, never messages. */
export type Code = (typeof CODES)[number];

/** Root of both sides; the message is short and without secrets. */
export abstract class IncameraError extends Error {
  readonly code: Code;

  constructor(code: Code, message: string) {
    super(message);
    this.code = code;
  }
}

/** Somebody sent something wrong; state is unchanged. */
export class PeerError extends IncameraError {
  override readonly name = "PeerError";
}

/** We asked for something wrong. */
export class UsageError extends IncameraError {
  override readonly name = "UsageError";
}

// SPDX-License-Identifier: Apache-2.0
// Which counters have been seen under one key (spec/media.md, section 5).

import { PeerError } from "./errors.js";

/** Counters behind the highest that may still arrive. */
export const WINDOW = 1024;
const MASK = (1n << BigInt(WINDOW)) - 1n;

/** Remembers the highest counter and which of the `WINDOW` up to it were seen. */
export class ReplayWindow {
  #highest = -1n;
  #seen = 0n; // bit i: counter #highest - i has been seen

  /** Throw PeerError replayed if `counter` was seen or is behind the window. */
  check(counter: bigint): void {
    const age = this.#highest - counter;
    if (age < 0n) return;
    if (age >= BigInt(WINDOW) || ((this.#seen >> age) & 1n) === 1n) {
      throw new PeerError("replayed", "frame counter is not new");
    }
  }

  /**
   * Remember an authenticated counter.  It is checked again, because another copy of
   * the frame may have been opened between `check` and now.
   */
  commit(counter: bigint): void {
    this.check(counter);
    const ahead = counter - this.#highest;
    if (ahead <= 0n) {
      this.#seen |= 1n << -ahead;
      return;
    }
    // A jump by 2^63 must not build a huge integer.
    this.#seen = ahead < BigInt(WINDOW) ? ((this.#seen << ahead) | 1n) & MASK : 1n;
    this.#highest = counter;
  }
}

// SPDX-License-Identifier: Apache-2.0
// Which key protects which frame of which stream (spec/media.md, section 2).
//
// The same rules as in the Python core.  Deriving a key takes turns of the event loop;
// so each install decides again, when its key is there, whether it may still happen.

import { type Bytes, concat, u32, u64 } from "./bytes.js";
import { PeerError, UsageError } from "./errors.js";
import { MAX_HEADER, OpenContext, SealContext, TAG_BYTES, parseHeader } from "./sframe.js";

/** Highest slot whose KID fits in two bytes. */
export const MAX_SLOT = 4095;
/** Bytes of one frame. */
export const MAX_FRAME = 2 ** 22;
/** Bytes in front of the SFrame: their number is one byte of the metadata. */
export const MAX_DUMMY = 255;
/** Bytes of one protected frame. */
export const MAX_PROTECTED = MAX_DUMMY + MAX_HEADER + MAX_FRAME + TAG_BYTES;
const MEETING_BYTES = 8;

/** What a stream shows: its number modulo 4. */
export const KINDS = ["audio", "video", "screen", "screen-audio"] as const;

/** One stream: its sender's slot, and number = 4 * generation + kind. */
export interface StreamId {
  readonly slot: number;
  readonly number: number;
}

/** An authentic frame, its stream, and its counter: a gap is a lost frame. */
export interface Opened {
  readonly kind: number;
  readonly number: number;
  readonly epoch: number;
  readonly counter: bigint;
  readonly frame: Bytes;
}

/** Return the KID: slot << 4 | kind << 2 | epoch mod 4. */
export function kidOfStream(stream: StreamId, epoch: number): bigint {
  return BigInt(stream.slot * 16 + (stream.number % 4) * 4 + (epoch % 4));
}

/** Return u8 len(dummy) || dummy || M[0:8] || u32 slot || u64 number. */
export function metadataOf(meeting: Bytes, stream: StreamId, dummy: Bytes): Bytes {
  const tail = concat(meeting.subarray(0, MEETING_BYTES), u32(stream.slot), u64(stream.number));
  return concat(Uint8Array.of(dummy.length), dummy, tail);
}

function checkStream(stream: StreamId): void {
  const { slot, number } = stream;
  if (!Number.isSafeInteger(slot) || slot < 0 || slot > MAX_SLOT) throw noStream();
  if (!Number.isSafeInteger(number) || number < 0) throw noStream();
}

function noStream(): UsageError {
  return new UsageError("bad-argument", "no such stream");
}

interface Live<Context> {
  readonly context: Context;
  readonly stream: StreamId;
  readonly epoch: number;
}

/** The installed keys by KID; none of them is ever installed twice. */
class Keys<Context extends { readonly identity: string }> {
  live = new Map<bigint, Live<Context>>();
  readonly #make: (baseKey: Bytes, kid: bigint) => Promise<Context>;
  readonly #used = new Set<string>();
  #wiped = false;

  constructor(make: (baseKey: Bytes, kid: bigint) => Promise<Context>) {
    this.#make = make;
  }

  async install(
    stream: StreamId,
    epoch: number,
    baseKey: Bytes,
    stillWanted: () => boolean,
  ): Promise<void> {
    const kid = kidOfStream(stream, epoch);
    this.#check(kid, epoch);
    const context = await this.#make(baseKey, kid);
    this.#check(kid, epoch);
    if (!stillWanted() || this.#used.has(context.identity)) {
      throw new UsageError("wrong-state", "this key was installed before or is not wanted");
    }
    this.#used.add(context.identity);
    this.live.set(kid, { context, stream, epoch });
  }

  #check(kid: bigint, epoch: number): void {
    const there = this.live.get(kid);
    if (this.#wiped || (there !== undefined && epoch <= there.epoch)) {
      throw new UsageError("wrong-state", "this or a later epoch is installed");
    }
  }

  find(epoch: number): Live<Context> | undefined {
    return [...this.live.values()].find((live) => live.epoch === epoch);
  }

  keep(wanted: (live: Live<Context>) => boolean): void {
    this.live = new Map([...this.live].filter(([, live]) => wanted(live)));
  }

  wipe(): void {
    this.#wiped = true;
    this.live.clear();
  }
}

/** Protects the frames of one own stream, whose number must be new in the meeting. */
export class StreamSender {
  readonly #meeting: Bytes;
  readonly #stream: StreamId;
  readonly #keys = new Keys(SealContext.make);
  #active: Live<SealContext> | undefined;
  #earliest = 0; // the first epoch that can be switched to

  constructor(meeting: Bytes, stream: StreamId) {
    checkStream(stream);
    this.#meeting = meeting;
    this.#stream = stream;
  }

  /** The epoch that protects at present; undefined if nothing can be protected. */
  get epoch(): number | undefined {
    return this.#active?.epoch;
  }

  /**
   * Make `epoch` ready to switch to, in place of the one with its last two bits.
   * @throws UsageError wrong-state if it or a later one with these bits is there, if
   * this very key ever was (its counters would repeat), or after `wipe`
   */
  async install(epoch: number, baseKey: Bytes): Promise<void> {
    await this.#keys.install(this.#stream, epoch, baseKey, () => true);
    this.#checkActive();
  }

  /**
   * Protect under `epoch` from now on.
   * @throws UsageError missing-key, or wrong-state: keys never move back
   */
  switch(epoch: number): void {
    const live = this.#keys.find(epoch);
    if (live === undefined) throw new UsageError("missing-key", "epoch is not installed");
    const inUse = this.#active?.epoch ?? -1;
    if (epoch < this.#earliest || epoch <= inUse) {
      throw new UsageError("wrong-state", "keys never move back");
    }
    this.#active = live;
  }

  /**
   * Protect nothing: a removal was seen.  Only epoch `until` (the first without the
   * removed member) and later ones can be switched to, none up to the one in use;
   * without it, only epochs later than all installed so far.  The last call counts.
   */
  stop(until?: number): void {
    const newest = Math.max(-1, ...[...this.#keys.live.values()].map((live) => live.epoch));
    this.#earliest = Math.max(until ?? newest + 1, (this.#active?.epoch ?? -1) + 1);
    this.#active = undefined;
  }

  /** Drop the key of `epoch`, if there is one; in use, nothing is protected. */
  uninstall(epoch: number): void {
    this.#keys.keep((live) => live.epoch !== epoch);
    this.#checkActive();
  }

  #checkActive(): void {
    const active = this.#active;
    if (active !== undefined && this.#keys.live.get(active.context.kid) !== active) {
      this.#active = undefined;
    }
  }

  /**
   * Return dummy || SFrame of `frame`; the dummy is authenticated.  Key and counter are
   * taken before this returns.
   * @throws UsageError missing-key (also after `stop`), too-large, counter-exhausted
   */
  async protect(frame: Bytes, dummy: Bytes = new Uint8Array()): Promise<Bytes> {
    const live = this.#active;
    if (live === undefined) throw new UsageError("missing-key", "no key to protect with");
    if (frame.length > MAX_FRAME || dummy.length > MAX_DUMMY) {
      throw new UsageError("too-large", "frame or dummy is too large");
    }
    const metadata = metadataOf(this.#meeting, this.#stream, dummy);
    return concat(dummy, await live.context.protect(frame, metadata));
  }

  /** Drop all keys for good. */
  wipe(): void {
    this.#keys.wipe();
    this.#active = undefined;
  }
}

/** Opens the frames of all streams of one other member. */
export class StreamReceiver {
  readonly #meeting: Bytes;
  readonly #slot: number;
  readonly #keys = new Keys(OpenContext.make);
  readonly #streams = new Map<number, StreamId>(); // by kind

  constructor(meeting: Bytes, slot: number) {
    checkStream({ slot, number: 0 });
    this.#meeting = meeting;
    this.#slot = slot;
  }

  /**
   * Take note of an announced stream; it replaces the one of its kind and its keys.
   * @throws PeerError out-of-sequence for an earlier generation
   */
  announce(number: number): void {
    const stream = { slot: this.#slot, number };
    checkStream(stream);
    const there = this.#streams.get(number % 4);
    if (there?.number === number) return;
    if (there !== undefined && number < there.number) {
      throw new PeerError("out-of-sequence", "stream number was used before");
    }
    this.#keys.keep((live) => live.stream.number % 4 !== number % 4);
    this.#streams.set(number % 4, stream);
  }

  /**
   * Open frames of stream `number` in `epoch`.
   * @throws UsageError wrong-state as for the sender (a window would start again), or
   * if the stream is not announced
   */
  async install(epoch: number, number: number, baseKey: Bytes): Promise<void> {
    const stream = this.#streams.get(number % 4);
    if (stream?.number !== number) throw new UsageError("wrong-state", "stream is not announced");
    const stillWanted = () => this.#streams.get(number % 4) === stream;
    await this.#keys.install(stream, epoch, baseKey, stillWanted);
  }

  /** Drop the keys of `epoch` for all streams. */
  uninstall(epoch: number): void {
    this.#keys.keep((live) => live.epoch !== epoch);
  }

  /**
   * Return the frame in `data`, whose first `dummy` bytes stand in clear.
   * @throws PeerError too-large, not-canonical (header), wrong-sender (KID of another
   * slot), missing-key (no attack: wait), replayed, bad-box
   */
  async open(data: Bytes, dummy = 0): Promise<Opened> {
    if (data.length > MAX_PROTECTED) throw new PeerError("too-large", "frame is too large");
    const sealed = data.subarray(dummy);
    const header = parseHeader(sealed);
    const live = this.#keys.live.get(header.kid);
    if (live === undefined) throw this.#unknown(header.kid);
    const { context, stream, epoch } = live;
    const metadata = metadataOf(this.#meeting, stream, data.subarray(0, dummy));
    const frame = await context.openParsed(header, sealed, metadata);
    const { number } = stream;
    return { kind: number % 4, number, epoch, counter: header.counter, frame };
  }

  #unknown(kid: bigint): PeerError {
    if (kid >> 4n !== BigInt(this.#slot)) {
      return new PeerError("wrong-sender", "frame names another member");
    }
    return new PeerError("missing-key", "no key for this frame");
  }

  /** Drop all keys for good. */
  wipe(): void {
    this.#keys.wipe();
  }
}

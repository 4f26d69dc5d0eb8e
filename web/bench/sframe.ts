// SPDX-License-Identifier: Apache-2.0
// Time per frame beside the bare WebCrypto call, awaited one by one: the page's worker
// may take twice as long.  Prints a table and one line of JSON.

import { fromHex } from "../src/bytes.js";
import { StreamReceiver, StreamSender } from "../src/frames.js";

const FRAMES = 2000;
const RUNS = 7;
const SIZES = [100, 1200, 5000, 20_000];
const MEETING = fromHex("11".repeat(32));

type Run = (frame: number) => Promise<unknown>;

async function microseconds(run: Run): Promise<number> {
  const start = performance.now();
  for (let frame = 0; frame < FRAMES; frame += 1) await run(frame);
  return ((performance.now() - start) * 1000) / FRAMES;
}

function median(values: number[]): number {
  return values.sort((one, other) => one - other)[values.length >> 1] ?? Number.NaN;
}

async function measure(size: number): Promise<Record<string, number>> {
  const plain = crypto.getRandomValues(new Uint8Array(size));
  const gcm = { name: "AES-GCM", iv: new Uint8Array(12), additionalData: new Uint8Array(22) };
  const key = await crypto.subtle.generateKey({ name: "AES-GCM", length: 256 }, false, [
    "encrypt",
    "decrypt",
  ]);
  const sealed = await crypto.subtle.encrypt(gcm, key, plain);
  const times: Record<string, number[]> = { bareSeal: [], bareOpen: [], seal: [], open: [] };
  for (let run = 0; run < RUNS; run += 1) {
    const base = crypto.getRandomValues(new Uint8Array(32));
    const sender = new StreamSender(MEETING, { slot: 3, number: 1 });
    await sender.install(1, base);
    sender.switch(1);
    const receiver = new StreamReceiver(MEETING, 3);
    receiver.announce(1);
    await receiver.install(1, 1, base);
    const frames: Awaited<ReturnType<StreamSender["protect"]>>[] = [];
    const empty = new Uint8Array();
    times["bareSeal"]?.push(await microseconds(() => crypto.subtle.encrypt(gcm, key, plain)));
    times["bareOpen"]?.push(await microseconds(() => crypto.subtle.decrypt(gcm, key, sealed)));
    times["seal"]?.push(
      await microseconds(async () => frames.push(await sender.protect(plain))),
    );
    times["open"]?.push(await microseconds((at) => receiver.open(frames[at] ?? empty)));
  }
  const rows = Object.entries(times).map(([name, values]) => [name, median(values)] as const);
  return Object.fromEntries(rows.map(([name, value]) => [name, Number(value.toFixed(1))]));
}

const results: Record<string, Record<string, number>> = {};
for (const size of SIZES) results[size] = await measure(size);
console.table(results);
console.log(JSON.stringify({ bench: "web-sframe", unit: "us per frame", results }));

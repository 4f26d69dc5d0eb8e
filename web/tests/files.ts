// SPDX-License-Identifier: Apache-2.0
// Reads the vector files that the Python core and this code share.

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { gunzipSync } from "node:zlib";

import { IncameraError } from "../src/errors.js";

const TOP = new URL("../../../", import.meta.url);

/** One case: what it contains is the file's own. */
export interface Case {
  readonly name: string;
  readonly error?: string;
  readonly [field: string]: unknown;
}

/** Return a file below tests/published. */
export function published<T>(name: string): T {
  const data = readFileSync(new URL(`tests/published/${name}`, TOP));
  return JSON.parse(String(name.endsWith(".gz") ? gunzipSync(data) : data)) as T;
}

/** Return all cases of spec/vectors/<topic>.json, of which there must be some. */
export function vectors<T extends object>(topic: string): readonly (Case & T)[] {
  const text = readFileSync(new URL(`spec/vectors/${topic}.json`, TOP), "utf8");
  const file = JSON.parse(text) as { format: string; cases: (Case & T)[] };
  assert.equal(file.format, "incamera vectors 0");
  assert.ok(file.cases.length > 0, `${topic} has no cases`);
  for (const { name, expect, error } of file.cases) {
    assert.ok((expect === undefined) !== (error === undefined), name);
  }
  return file.cases;
}

/** Return what `assert.rejects` and `assert.throws` take to demand this very code. */
export function refused(code: string): (error: unknown) => true {
  return (error) => {
    assert.ok(error instanceof IncameraError, String(error));
    assert.equal(error.code, code);
    return true;
  };
}

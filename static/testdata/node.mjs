// Runs what it is told on its standard input: a line is {"code"}, JavaScript
// that is an expression; the answer is {"value"} or {"error"}, one at a time.
import { createRequire } from 'node:module';
import { webcrypto } from 'node:crypto';
import { createInterface } from 'node:readline';
import * as warren from '../warren.js';
import { install } from './rig.mjs';

globalThis.crypto ??= webcrypto; // not there by itself before Node 19
install(warren, createRequire(import.meta.url)('ws'));

for await (const line of createInterface({ input: process.stdin })) {
  let answer;
  try {
    answer = { value: await (0, eval)(JSON.parse(line).code) };
  } catch (err) {
    answer = { error: String(err?.stack ?? err) };
  }
  process.stdout.write(`${JSON.stringify(answer)}\n`);
}
process.exit(0);

import assert from "node:assert/strict";
import { test } from "node:test";
import type { Fate } from "../src/fate.ts";
import { isOpen, nextLookMs, sentence } from "../src/fate.ts";
import { ENGLISH, fill } from "../src/texts.ts";
import { readToken } from "../src/token.ts";

const fate = (change: Partial<Fate>): Fate => ({ status: "stored", trained_into: [], serving: false, ...change });

test("the first version that learned from it is named, and whether it answers now", () => {
  assert.match(sentence(fate({ trained_into: ["7", "9"] }), ENGLISH), /taught version 7\.$/);
  assert.match(sentence(fate({ trained_into: ["7"], serving: true }), ENGLISH), /version 7, which answers now/);
});

test("what is only received adds nothing to the thanks", () => {
  assert.equal(sentence(fate({ status: "received" }), ENGLISH), "");
});

test("a fate is open until a version that learned from it serves, or nothing more can become of it", () => {
  assert.ok(isOpen(undefined));
  assert.ok(isOpen(fate({ status: "quarantined" })));
  assert.ok(isOpen(fate({ trained_into: ["7"] })));
  assert.ok(!isOpen(fate({ trained_into: ["7"], serving: true })));
  assert.ok(!isOpen(fate({ status: "erased" })));
});

test("looks become rarer, to one in five minutes", () => {
  assert.equal(nextLookMs(0), 2_000);
  assert.equal(nextLookMs(50), 300_000);
});

test("texts take their values, and a placeholder without one stays visible", () => {
  assert.equal(fill("{n} of {m}", { n: 3 }), "3 of {m}");
});

test("a token says model, answer and whether feedback was asked for, in any script", () => {
  const payload = ["id", "flüge", "3", "champion", "verspätet", true, 1_700_000_000];
  const token = `${Buffer.from(JSON.stringify(payload)).toString("base64url")}.c2ln`;
  assert.deepEqual(readToken(token), { model: "flüge", predicted: "verspätet", asked: true });
});

test("what is no token is told apart", () => {
  for (const text of ["", "x", "####.x", `${btoa("{}")}.x`, `${btoa("[1,2]")}.x`]) assert.equal(readToken(text), undefined);
});

import assert from "node:assert/strict";
import { test } from "node:test";
import type { Said } from "../src/feedback.ts";
import { readChoices, toEvent } from "../src/feedback.ts";

const STAMP = { eventId: "5f0c5f3e-7e0c-4c53-a7b4-3f3a3c9d8f4e", now: new Date("2026-11-24T12:00:00Z") };
const event = (said: Said) => toEvent(said, "late", { token: "t", source: "shop", userId: "ada" }, STAMP);

test("an answer that was right is confirmed, with no label of its own", () => {
  assert.deepEqual(event({ right: true, comment: "  " }), {
    event_id: STAMP.eventId,
    kind: "confirmation",
    feedback_token: "t",
    user_id: "ada",
    source: "shop",
    occurred_at: "2026-11-24T12:00:00.000Z",
  });
});

test("another label is a correction, the same one a confirmation", () => {
  assert.equal(event({ right: false, label: "on_time" })?.kind, "correction");
  assert.equal(event({ right: false, label: "on_time" })?.label, "on_time");
  assert.equal(event({ label: "late" })?.kind, "confirmation");
  assert.equal(event({ label: 0 })?.label, 0);
});

test("stars and comment ride along; stars alone are a rating", () => {
  const both = event({ right: true, stars: 4, comment: " nice " });
  assert.deepEqual([both?.kind, both?.rating, both?.comment], ["confirmation", 4, "nice"]);
  assert.equal(event({ stars: 1 })?.kind, "rating");
});

test("wrong without what would have been right, or a comment alone, is nothing to send", () => {
  assert.equal(event({ right: false }), undefined);
  assert.equal(event({ comment: "hm" }), undefined);
});

test("choices are a list, or labels with their names; anything else is refused", () => {
  assert.deepEqual([...readChoices('["a", "b"]')!], [["a", "a"], ["b", "b"]]);
  assert.deepEqual([...readChoices('{"on_time": "On time"}')!], [["on_time", "On time"]]);
  assert.equal(readChoices("late, on_time"), undefined);
});

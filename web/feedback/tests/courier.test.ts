import assert from "node:assert/strict";
import { test } from "node:test";
import { Courier } from "../src/courier.ts";
import type { FeedbackEvent } from "../src/feedback.ts";
import { MemoryOutbox } from "../src/outbox.ts";
import { verdictOf, waitMs } from "../src/retry.ts";

const EVENT: FeedbackEvent = {
  event_id: "e1",
  kind: "confirmation",
  feedback_token: "t",
  source: "test",
  occurred_at: "2026-11-24T12:00:00.000Z",
};

/** A network that gives the answers it is told, and a clock that stands until it is moved. */
class Fake {
  readonly sent: { body: FeedbackEvent; authorization: string | undefined }[] = [];
  readonly timers: { action: () => void; at: number }[] = [];
  clock = 1_000_000;
  readonly outbox = new MemoryOutbox();
  readonly courier: Courier;

  constructor(private readonly answers: (Response | Error)[]) {
    this.courier = this.another();
  }

  /** As after a reload: the same outbox, nothing else kept. */
  another(): Courier {
    return new Courier(this.outbox, {
      fetch: async (_, init) => {
        const headers = init.headers as Record<string, string>;
        this.sent.push({ body: JSON.parse(String(init.body)), authorization: headers["Authorization"] });
        const answer = this.answers.shift() ?? new Response("{}", { status: 202 });
        if (answer instanceof Error) throw answer;
        return answer;
      },
      now: () => this.clock,
      chance: () => 0,
      later: (action, ms) => {
        const timer = { action, at: this.clock + ms };
        this.timers.push(timer);
        return () => void this.timers.splice(this.timers.indexOf(timer), 1);
      },
    });
  }

  async state(): Promise<string | undefined> {
    return (await this.courier.about("t"))?.state;
  }
}

test("feedback is stored before it is sent, and remembered when it was taken", async () => {
  const fake = new Fake([]);
  await fake.courier.submit("http://ingest", EVENT);
  assert.equal((await fake.outbox.all()).length, 1);
  await fake.courier.wake();
  assert.equal(await fake.state(), "sent");
  assert.equal(fake.sent.length, 1);
});

test("without an answer it is sent again under the same event_id, after a wait", async () => {
  const fake = new Fake([new TypeError("offline"), new Response("", { status: 503, headers: { "Retry-After": "7" } })]);
  await fake.courier.submit("http://ingest", EVENT);
  await fake.courier.wake();
  assert.equal(await fake.state(), "waiting");
  await fake.courier.wake();
  assert.equal(fake.sent.length, 1, "not before its time");
  fake.clock = fake.timers[0]!.at;
  await fake.courier.wake();
  assert.equal(fake.timers[0]!.at - fake.clock, 7_000, "as long as the server asked for");
  fake.clock += 7_000;
  await fake.courier.wake();
  assert.equal(await fake.state(), "sent");
  assert.deepEqual(fake.sent.map((each) => each.body.event_id), ["e1", "e1", "e1"]);
});

test("a connection that is back sends at once", async () => {
  const fake = new Fake([new TypeError("offline")]);
  await fake.courier.submit("http://ingest", EVENT);
  await fake.courier.wake();
  await fake.courier.wake(true);
  assert.equal(await fake.state(), "sent");
});

test("what waited when the page was closed is sent by the next page", async () => {
  const fake = new Fake([new TypeError("offline")]);
  await fake.courier.submit("http://ingest", EVENT);
  await fake.courier.wake();
  await fake.another().wake(true);
  assert.equal(await fake.state(), "sent");
});

test("a refusal is final and keeps the reason that the server gave", async () => {
  const problem = { detail: "One field does not fit", errors: [{ detail: "the feedback token has expired" }] };
  const fake = new Fake([new Response(JSON.stringify(problem), { status: 401 })]);
  await fake.courier.submit("http://ingest", EVENT);
  await fake.courier.wake(true);
  await fake.courier.wake(true);
  const entry = await fake.courier.about("t");
  assert.deepEqual([entry?.state, entry?.reason, fake.sent.length], ["refused", "the feedback token has expired", 1]);
});

test("a key is sent and never stored", async () => {
  const fake = new Fake([]);
  fake.courier.useKey("http://ingest", "fw_public");
  await fake.courier.submit("http://ingest", EVENT);
  await fake.courier.wake();
  assert.equal(fake.sent[0]!.authorization, "Bearer fw_public");
  assert.ok(!JSON.stringify(await fake.outbox.all()).includes("fw_public"));
});

test("what was sent is forgotten when its token is no longer good", async () => {
  const fake = new Fake([]);
  await fake.courier.submit("http://ingest", EVENT);
  await fake.courier.wake();
  fake.clock += 91 * 24 * 3600 * 1000;
  await fake.courier.wake();
  assert.equal(await fake.state(), undefined);
});

test("only what may succeed later is sent again", () => {
  assert.deepEqual([202, 400, 401, 422, 408, 429, 500, 503].map(verdictOf), [
    "accepted", "refused", "refused", "refused", "again", "again", "again", "again",
  ]);
});

test("waits double to a minute, and keep to Retry-After in seconds or as a date", () => {
  assert.deepEqual([1, 2, 3, 20].map((n) => waitMs(n, null, 0, 0)), [500, 1_000, 2_000, 30_000]);
  assert.equal(waitMs(1, null, 0, 0.999_999) < 1_000, true);
  assert.equal(waitMs(1, "90", 0, 0), 90_000);
  assert.equal(waitMs(1, new Date(120_000).toUTCString(), 0, 0), 120_000);
  assert.equal(waitMs(1, "soon", 0, 0), 500);
});

/** Carries feedback from the outbox to ingest, as often as it takes, always under the same event_id. */
import type { FeedbackEvent } from "./feedback.ts";
import type { Entry, Outbox } from "./outbox.ts";
import { verdictOf, waitMs } from "./retry.ts";

/** Sent feedback is remembered as long as a token is good, so that a page can say what it taught. */
const REMEMBER_MS = 90 * 24 * 3600 * 1000;

/** What the courier needs of the world. */
export interface World {
  /** Rejects where no answer came, in whatever time the world allows. */
  fetch(url: string, init: RequestInit): Promise<Response>;
  now(): number;
  chance(): number;
  /** Calls `action` after `ms`; gives what cancels it. */
  later(action: () => void, ms: number): () => void;
}

export class Courier {
  private readonly listeners = new Set<(entry: Entry) => void>();
  private readonly keys = new Map<string, string>();
  private cancel: (() => void) | undefined;
  private running: Promise<void> | undefined;
  private again = false;
  private impatient = false;

  constructor(
    private readonly outbox: Outbox,
    private readonly world: World,
  ) {}

  /** The publishable key for an ingest. It is kept in memory only, never in the outbox. */
  useKey(ingest: string, key: string): void {
    this.keys.set(ingest, key);
  }

  headers(ingest: string): Record<string, string> {
    const key = this.keys.get(ingest);
    return key ? { Authorization: `Bearer ${key}` } : {};
  }

  /** Calls `listener` with every entry that changes; gives what ends that. */
  listen(listener: (entry: Entry) => void): () => void {
    this.listeners.add(listener);
    return () => this.listeners.delete(listener);
  }

  /** Stores the event, then sends it. Resolves when it is stored; from then on it is sent whatever happens to the page. */
  async submit(ingest: string, event: FeedbackEvent): Promise<void> {
    const now = this.world.now();
    const entry: Entry = { event, ingest, state: "waiting", attempts: 0, nextAt: now, saidAt: now };
    await this.keep(entry);
    void this.wake();
  }

  /** The newest entry about the prediction of `token`. */
  async about(token: string): Promise<Entry | undefined> {
    const entries = (await this.outbox.all()).filter((entry) => entry.event.feedback_token === token);
    return entries.sort((a, b) => b.saidAt - a.saidAt)[0];
  }

  /** Sends everything that is due; `now` also what waits for a later try. Many calls at once share one round. */
  wake(now = false): Promise<void> {
    this.again = true;
    this.impatient ||= now;
    this.running ??= this.rounds().finally(() => (this.running = undefined));
    return this.running;
  }

  private async rounds(): Promise<void> {
    while (this.again) {
      const impatient = this.impatient;
      this.again = this.impatient = false;
      await this.round(impatient);
    }
  }

  private async round(impatient: boolean): Promise<void> {
    this.cancel?.();
    for (const entry of await this.outbox.all()) {
      if (entry.state !== "waiting") await this.forgetOld(entry);
      else if (impatient || entry.nextAt <= this.world.now()) await this.send(entry);
    }
    const open = (await this.outbox.all()).filter((entry) => entry.state === "waiting");
    if (open.length === 0) return;
    const next = Math.min(...open.map((entry) => entry.nextAt));
    this.cancel = this.world.later(() => void this.wake(), Math.max(0, next - this.world.now()));
  }

  private async send(entry: Entry): Promise<void> {
    const headers = { "Content-Type": "application/json", ...this.headers(entry.ingest) };
    const init = { method: "POST", headers, body: JSON.stringify(entry.event), keepalive: true };
    let answer: Response | undefined;
    try {
      answer = await this.world.fetch(`${entry.ingest}/v1/feedback`, init);
    } catch {
      // No answer: offline, or ingest is away. The event stays.
    }
    const verdict = answer ? verdictOf(answer.status) : "again";
    if (verdict === "accepted") await this.keep({ ...entry, state: "sent" });
    else if (verdict === "refused") await this.keep({ ...entry, state: "refused", reason: await reasonOf(answer!) });
    else {
      const attempts = entry.attempts + 1;
      const retryAfter = answer?.headers.get("Retry-After") ?? null;
      const now = this.world.now();
      await this.keep({ ...entry, attempts, nextAt: now + waitMs(attempts, retryAfter, now, this.world.chance()) });
    }
  }

  private async keep(entry: Entry): Promise<void> {
    await this.outbox.put(entry);
    for (const listener of this.listeners) listener(entry);
  }

  private async forgetOld(entry: Entry): Promise<void> {
    if (this.world.now() - entry.saidAt > REMEMBER_MS) await this.outbox.remove(entry.event.event_id);
  }
}

/** What the problem document (RFC 9457) says, in the words of its first error. */
async function reasonOf(answer: Response): Promise<string> {
  try {
    const problem = await answer.json();
    return String(problem.errors?.[0]?.detail ?? problem.detail);
  } catch {
    return `HTTP ${answer.status}`;
  }
}

/** When to send again what was not acknowledged. */

const FIRST_WAIT_MS = 1_000;
const LONGEST_WAIT_MS = 60_000;

export type Verdict = "accepted" | "again" | "refused";

/** What an HTTP status means for the event that was sent. No answer at all is `again`. */
export function verdictOf(status: number): Verdict {
  if (status >= 200 && status < 300) return "accepted";
  return status >= 500 || status === 408 || status === 425 || status === 429 ? "again" : "refused";
}

/**
 * Milliseconds until the next try after `attempts` failed ones (1 or more): exponential with equal jitter, at most a
 * minute, and never before the server's Retry-After (seconds or an HTTP date). `chance` is drawn from [0, 1).
 */
export function waitMs(attempts: number, retryAfter: string | null, nowMs: number, chance: number): number {
  const full = Math.min(LONGEST_WAIT_MS, FIRST_WAIT_MS * 2 ** (attempts - 1));
  return Math.max(full * (0.5 + chance / 2), retryAfterMs(retryAfter, nowMs));
}

function retryAfterMs(value: string | null, nowMs: number): number {
  if (!value) return 0;
  const seconds = Number(value);
  const ms = Number.isFinite(seconds) ? seconds * 1000 : Date.parse(value) - nowMs;
  return Number.isFinite(ms) && ms > 0 ? ms : 0;
}

/** What became of one piece of feedback, as ingest tells it. */
import type { Texts } from "./texts.ts";
import { fill } from "./texts.ts";

/** The part of `GET /v1/feedback/{event_id}` that people are told. */
export interface Fate {
  readonly status: "received" | "stored" | "quarantined" | "dead_lettered" | "erased";
  readonly trained_into: readonly string[];
  readonly serving: boolean;
}

/** One sentence on `fate`; "" while there is nothing to add to the thanks. */
export function sentence(fate: Fate, texts: Texts): string {
  const version = fate.trained_into[0];
  if (version !== undefined) return fill(fate.serving ? texts.taughtServing : texts.taught, { version });
  switch (fate.status) {
    case "stored":
      return texts.stored;
    case "quarantined":
      return texts.quarantined;
    case "erased":
      return texts.erased;
    default:
      return "";
  }
}

/** Whether more can become of it. */
export function isOpen(fate: Fate | undefined): boolean {
  if (fate === undefined) return true;
  if (fate.status === "erased" || fate.status === "dead_lettered") return false;
  return !(fate.trained_into.length > 0 && fate.serving);
}

/** Milliseconds until the look after `looks` earlier ones: 2 s at first, at most 5 minutes. */
export function nextLookMs(looks: number): number {
  return Math.min(300_000, 2_000 * 1.5 ** looks);
}

/** What a person said, and the event that says it to ingest. */

export type Label = string | number;

/** The form as it stands. Absent fields were not touched. */
export interface Said {
  readonly right?: boolean | undefined;
  readonly label?: Label | undefined;
  readonly stars?: number | undefined;
  readonly comment?: string | undefined;
}

/** Feedback as `POST /v1/feedback` takes it. */
export interface FeedbackEvent {
  readonly event_id: string;
  readonly kind: "confirmation" | "correction" | "rating";
  readonly feedback_token: string;
  readonly label?: Label;
  readonly rating?: number;
  readonly comment?: string;
  readonly user_id?: string;
  readonly source: string;
  readonly occurred_at: string;
}

/** What every event of one element carries. */
export interface Origin {
  readonly token: string;
  readonly source: string;
  readonly userId?: string | undefined;
}

/** The kind of feedback that `said` is; undefined while it says nothing that can be sent. */
export function kindOf(said: Said, predicted: Label): FeedbackEvent["kind"] | undefined {
  if (said.right === true || (said.label !== undefined && said.label === predicted)) return "confirmation";
  if (said.label !== undefined) return "correction";
  return said.stars === undefined ? undefined : "rating";
}

/** The event for `said`, or undefined while there is nothing to send. `now` is the client's time. */
export function toEvent(
  said: Said,
  predicted: Label,
  origin: Origin,
  stamp: { readonly eventId: string; readonly now: Date },
): FeedbackEvent | undefined {
  const kind = kindOf(said, predicted);
  if (kind === undefined) return undefined;
  const comment = said.comment?.trim();
  return {
    event_id: stamp.eventId,
    kind,
    feedback_token: origin.token,
    ...(kind === "correction" && { label: said.label! }),
    ...(said.stars !== undefined && { rating: said.stars }),
    ...(comment && { comment }),
    ...(origin.userId && { user_id: origin.userId }),
    source: origin.source,
    occurred_at: stamp.now.toISOString(),
  };
}

/** What an application names as `choices`: JSON, either a list of labels or an object from label to its name. */
export type Choices = ReadonlyMap<Label, string>;

export function readChoices(text: string): Choices | undefined {
  try {
    const given: unknown = JSON.parse(text);
    if (Array.isArray(given)) return new Map(given.map((label: Label) => [label, String(label)]));
    if (given && typeof given === "object") return new Map(Object.entries(given).map(([k, v]) => [k, String(v)]));
  } catch {
    // reported below
  }
  console.error(`<flywheel-feedback>: choices is no JSON list or object: ${text}`);
  return undefined;
}

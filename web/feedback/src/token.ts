/** What a feedback token says. It is signed, not secret: ingest checks the signature, a page may read the rest. */
export interface Prediction {
  readonly model: string;
  readonly predicted: string | number;
  /** Whether feedback was asked for on this prediction, whatever the answer was. */
  readonly asked: boolean;
}

/** The prediction that `token` vouches for; undefined for what is no token. */
export function readToken(token: string): Prediction | undefined {
  try {
    const payload = token.split(".")[0]!.replace(/-/g, "+").replace(/_/g, "/");
    const bytes = Uint8Array.from(atob(payload), (letter) => letter.charCodeAt(0));
    const [, model, , , predicted, asked] = JSON.parse(new TextDecoder().decode(bytes));
    if (typeof model !== "string" || !["string", "number"].includes(typeof predicted)) return undefined;
    return { model, predicted, asked: asked === true };
  } catch {
    return undefined;
  }
}

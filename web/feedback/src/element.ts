/**
 * `<flywheel-feedback token="…">`: asks a person about one prediction, sends what they say, and tells what it taught.
 *
 * Attributes: `token` (the prediction's feedback_token; all that is needed), `choices` (JSON: labels, or label to name;
 * without it ingest is asked), `parts` (which of "thumbs label stars comment"), `ingest` (its address; default: where
 * this script came from), `source`, `user-id`, `api-key` (a publishable key that may only write feedback).
 * Property: `texts`. Events, bubbling: `flywheel-said`, `flywheel-sent`, `flywheel-refused`, `flywheel-fate`.
 */
import { Courier } from "./courier.ts";
import { h } from "./dom.ts";
import type { Fate } from "./fate.ts";
import { isOpen, nextLookMs, sentence } from "./fate.ts";
import type { Choices, Said } from "./feedback.ts";
import { readChoices, toEvent } from "./feedback.ts";
import type { Entry } from "./outbox.ts";
import { openOutbox } from "./outbox.ts";
import { STYLE } from "./style.ts";
import type { Texts } from "./texts.ts";
import { ENGLISH, fill } from "./texts.ts";
import type { Prediction } from "./token.ts";
import { readToken } from "./token.ts";
import { Form } from "./view.ts";

const sheet = new CSSStyleSheet();
sheet.replaceSync(STYLE);

/** A connection that has died without a word is given up, and the event sent over another. */
const ANSWER_MS = 30_000;

/** One courier for all elements of a page. */
const courier: Promise<Courier> = openOutbox().then((outbox) => {
  const made = new Courier(outbox, {
    fetch: (url, init) => fetch(url, { ...init, signal: AbortSignal.timeout(ANSWER_MS) }),
    now: () => Date.now(),
    chance: () => Math.random(),
    later: (action, ms) => {
      const timer = setTimeout(action, ms);
      return () => clearTimeout(timer);
    },
  });
  addEventListener("online", () => void made.wake(true));
  void made.wake();
  return made;
});

export class FlywheelFeedback extends HTMLElement {
  static readonly observedAttributes = ["token", "choices", "parts", "ingest"];
  private readonly root = this.attachShadow({ mode: "open" });
  private readonly message = h("p", { role: "status", tabIndex: -1 });
  private words: Texts = ENGLISH;
  private quit: (() => void) | undefined;
  private drawn = 0;
  private look: ReturnType<typeof setTimeout> | undefined;

  constructor() {
    super();
    this.root.adoptedStyleSheets = [sheet];
  }

  /** The component's words; those that are not given stay as they are. */
  set texts(given: Partial<Texts>) {
    this.words = { ...this.words, ...given };
    if (this.isConnected) void this.draw();
  }

  get texts(): Texts {
    return this.words;
  }

  connectedCallback(): void {
    void this.draw();
  }

  disconnectedCallback(): void {
    this.drawn++;
    this.quit?.();
    clearTimeout(this.look);
  }

  attributeChangedCallback(_: string, before: string | null, now: string | null): void {
    // Attributes that stand in the page are told before the element is; its first drawing reads them.
    if (this.drawn > 0 && this.isConnected && before !== now) void this.draw();
  }

  private get token(): string {
    return this.getAttribute("token") ?? "";
  }

  private get ingest(): string {
    return (this.getAttribute("ingest") ?? new URL(import.meta.url).origin).replace(/\/$/, "");
  }

  /** Shows the form, or, where this browser has spoken on the prediction, what became of that. */
  private async draw(): Promise<void> {
    const drawing = ++this.drawn;
    const prediction = readToken(this.token);
    if (prediction === undefined) return this.say(this.words.noToken);
    const carrier = await courier;
    if (drawing !== this.drawn) return;
    carrier.useKey(this.ingest, this.getAttribute("api-key") ?? "");
    // Listening comes before looking, or what is sent in between would be missed.
    this.quit?.();
    this.quit = carrier.listen((entry) => entry.event.feedback_token === this.token && this.news(entry));
    const said = await carrier.about(this.token);
    if (drawing !== this.drawn) return;
    if (said) return this.follow(said);
    const choices = await this.choices(prediction, carrier);
    if (drawing !== this.drawn) return;
    this.root.replaceChildren(this.form(prediction, choices).element, this.message);
  }

  private form(prediction: Prediction, choices: Choices | undefined): Form {
    const parts = new Set((this.getAttribute("parts") ?? "thumbs label stars comment").split(/\s+/));
    return new Form({ ...prediction, choices, parts }, this.words, (said) => this.send(said, prediction));
  }

  /** False while there is nothing to send. */
  private send(said: Said, prediction: Prediction): boolean {
    const source = this.getAttribute("source") ?? "flywheel-feedback";
    const origin = { token: this.token, source, userId: this.getAttribute("user-id") ?? undefined };
    const stamp = { eventId: newId(), now: new Date() };
    const event = toEvent(said, prediction.predicted, origin, stamp);
    if (event === undefined) return false;
    this.announce("said", event);
    void courier.then((carrier) => carrier.submit(this.ingest, event)).then(() => this.message.focus());
    return true;
  }

  private news(entry: Entry): void {
    this.drawn++; // a form that is being drawn comes too late
    this.follow(entry);
    if (entry.state !== "waiting") this.announce(entry.state, entry.event);
  }

  private follow(entry: Entry): void {
    if (entry.state === "refused") this.say(fill(this.words.refused, { reason: entry.reason ?? "" }));
    else if (entry.state === "sent") {
      this.say(this.words.thanks);
      this.lookAgain(entry, 0);
    } else this.say(entry.attempts > 0 || !navigator.onLine ? this.words.waiting : this.words.thanks);
  }

  private lookAgain(entry: Entry, looks: number, seen?: Fate): void {
    clearTimeout(this.look);
    const about = this.token;
    this.look = setTimeout(async () => {
      const fate = (document.hidden ? undefined : await this.fateOf(entry)) ?? seen;
      if (about !== this.token || !this.isConnected) return;
      if (fate && JSON.stringify(fate) !== JSON.stringify(seen)) {
        this.say([this.words.thanks, sentence(fate, this.words)].join(" ").trim());
        this.announce("fate", { event_id: entry.event.event_id, ...fate });
      }
      if (isOpen(fate)) this.lookAgain(entry, looks + 1, fate);
    }, looks === 0 ? 500 : nextLookMs(looks - 1));
  }

  private async fateOf(entry: Entry): Promise<Fate | undefined> {
    return this.ask(`${entry.ingest}/v1/feedback/${entry.event.event_id}`);
  }

  private async choices(prediction: Prediction, carrier: Courier): Promise<Choices | undefined> {
    const given = this.getAttribute("choices");
    if (given !== null) return readChoices(given);
    if (typeof prediction.predicted === "number") return undefined;
    const label = await this.ask<{ values: string[] | null }>(`${this.ingest}/v1/models/${prediction.model}/label`, carrier);
    // With ingest away the answer can still be confirmed, rated and commented on.
    return new Map((label?.values ?? [prediction.predicted]).map((value) => [value, value]));
  }

  private async ask<T>(url: string, carrier?: Courier): Promise<T | undefined> {
    try {
      const answer = await fetch(url, { headers: (carrier ?? (await courier)).headers(this.ingest) });
      return answer.ok ? await answer.json() : undefined;
    } catch {
      return undefined;
    }
  }

  /** Shows the text alone. A message that is there stays in its place, or it would lose the focus that it was given. */
  private say(text: string): void {
    this.message.textContent = text;
    this.root.querySelector("form")?.remove();
    if (this.message.parentNode !== this.root) this.root.append(this.message);
  }

  private announce(what: string, detail: unknown): void {
    this.dispatchEvent(new CustomEvent(`flywheel-${what}`, { detail, bubbles: true, composed: true }));
  }
}

/** A random UUID; `randomUUID` exists only where the page came over HTTPS or from this machine. */
function newId(): string {
  if (crypto.randomUUID) return crypto.randomUUID();
  const bytes = crypto.getRandomValues(new Uint8Array(16));
  bytes[6] = (bytes[6]! & 0x0f) | 0x40;
  bytes[8] = (bytes[8]! & 0x3f) | 0x80;
  const hex = Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
  return hex.replace(/^(.{8})(.{4})(.{4})(.{4})/, "$1-$2-$3-$4-");
}

if (!customElements.get("flywheel-feedback")) customElements.define("flywheel-feedback", FlywheelFeedback);

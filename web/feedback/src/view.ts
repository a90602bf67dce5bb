/** The form: what is asked, and what was said. It knows nothing of sending. */
import { STAR, THUMB_DOWN, THUMB_UP, h, icon } from "./dom.ts";
import type { Choices, Label, Said } from "./feedback.ts";
import type { Texts } from "./texts.ts";
import { fill } from "./texts.ts";

const MOST_BUTTONS = 6;
const MOST_COMMENT_CHARS = 2000;

/** What the form asks about. Without `choices` the right answer is a number. */
export interface Question {
  readonly predicted: Label;
  readonly asked: boolean;
  readonly choices: Choices | undefined;
  readonly parts: ReadonlySet<string>;
}

export class Form {
  readonly element = h("form", { noValidate: true });
  private readonly hint = h("p", { id: "hint", className: "soft", role: "alert" });
  private labels: HTMLElement | undefined;
  private stars: HTMLLabelElement[] = [];

  constructor(
    private readonly question: Question,
    private readonly texts: Texts,
    private readonly send: (said: Said) => boolean,
  ) {
    const { parts } = question;
    if (question.asked) this.element.append(h("p", { className: "soft" }, texts.asked));
    if (parts.has("thumbs")) this.element.append(this.thumbs());
    if (parts.has("label")) this.element.append((this.labels = this.rightAnswer()));
    if (parts.has("stars")) this.element.append(this.rating());
    if (parts.has("comment")) this.element.append(this.comment());
    this.element.append(this.hint, h("button", { type: "submit" }, texts.send));
    this.element.addEventListener("input", () => this.follow());
    this.element.addEventListener("submit", (event) => this.submit(event));
    this.follow();
  }

  /** What the person has said so far. */
  said(): Said {
    const data = new FormData(this.element);
    const verdict = data.get("verdict");
    const stars = data.get("stars");
    return {
      right: verdict === null ? undefined : verdict === "right",
      label: verdict === "right" ? undefined : this.labelSaid(data),
      stars: stars === null ? undefined : Number(stars),
      comment: String(data.get("comment") ?? ""),
    };
  }

  private labelSaid(data: FormData): Label | undefined {
    const text = data.get("label");
    if (text === null || text === "") return undefined;
    if (this.question.choices === undefined) return Number.isFinite(Number(text)) ? Number(text) : undefined;
    return [...this.question.choices.keys()][Number(text)];
  }

  private submit(event: Event): void {
    event.preventDefault();
    if (this.send(this.said())) return;
    this.hint.textContent = this.texts.needed;
    this.element.querySelector("input")?.focus();
  }

  /** The right answer is asked for only where the given one was not right. */
  private follow(): void {
    const { right, stars } = this.said();
    if (this.labels) this.labels.hidden = this.question.parts.has("thumbs") ? right !== false : false;
    this.stars.forEach((star, index) => star.classList.toggle("on", index < (stars ?? 0)));
    this.hint.textContent = "";
  }

  private thumbs(): HTMLElement {
    const answer = this.question.choices?.get(this.question.predicted) ?? this.question.predicted;
    return group(fill(this.texts.question, { answer }), [
      radio("verdict", "right", icon(THUMB_UP), this.texts.right),
      radio("verdict", "wrong", icon(THUMB_DOWN), this.texts.wrong),
    ]);
  }

  private rightAnswer(): HTMLElement {
    const { choices, predicted, parts } = this.question;
    if (choices === undefined) return named(this.texts.label, h("input", { type: "number", name: "label", step: "any" }));
    // With thumbs the answer that was given is known to be wrong here.
    const open = [...choices].map(([label, name], index) => ({ label, name, value: String(index) }));
    const offered = open.filter((each) => !parts.has("thumbs") || each.label !== predicted);
    if (offered.length > MOST_BUTTONS) {
      const options = offered.map((each) => h("option", { value: each.value }, each.name));
      return named(this.texts.label, h("select", { name: "label" }, h("option", { value: "" }, this.texts.unsure), ...options));
    }
    const buttons = offered.map((each) => radio("label", each.value, each.name));
    return group(this.texts.label, [...buttons, radio("label", "", this.texts.unsure)]);
  }

  private rating(): HTMLElement {
    this.stars = [1, 2, 3, 4, 5].map((n) => {
      const input = h("input", { type: "radio", name: "stars", value: n, "aria-label": fill(this.texts.star, { n }) });
      return h("label", { className: "star" }, input, icon(STAR));
    });
    return group(this.texts.stars, this.stars);
  }

  private comment(): HTMLElement {
    return named(this.texts.comment, h("textarea", { name: "comment", rows: 2, maxLength: MOST_COMMENT_CHARS }));
  }
}

function radio(name: string, value: string, ...content: (Node | string)[]): HTMLLabelElement {
  return h("label", { className: "choice" }, h("input", { type: "radio", name, value }), ...content);
}

function group(legend: string, children: HTMLElement[]): HTMLFieldSetElement {
  return h("fieldset", {}, h("legend", {}, legend), h("div", { className: "row" }, ...children));
}

function named(name: string, field: HTMLElement): HTMLLabelElement {
  return h("label", {}, h("span", { className: "name" }, name), field);
}

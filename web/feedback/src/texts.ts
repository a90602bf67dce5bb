/** Everything the component says. An application replaces any of it: `element.texts = { question: "…" }`. */
export const ENGLISH = {
  question: "Was “{answer}” right?",
  asked: "We ask about a few answers at random. Yours is one of them.",
  right: "Yes, it was right",
  wrong: "No, it was wrong",
  label: "What would have been right?",
  unsure: "I don’t know",
  stars: "How good was the answer?",
  star: "{n} of 5 stars",
  comment: "Anything to add? (optional)",
  send: "Send feedback",
  needed: "Say what would have been right, or give stars.",
  thanks: "Thank you. Your feedback may improve the model.",
  waiting: "Thank you. It is kept on this device and sent when the connection is back.",
  refused: "This feedback was not taken: {reason}",
  stored: "It is in the data that the next version learns from.",
  quarantined: "It is looked at before a model learns from it.",
  erased: "It was erased.",
  taught: "Your feedback taught version {version}.",
  taughtServing: "Your feedback taught version {version}, which answers now.",
  noToken: "Feedback cannot be given: this prediction’s token is missing.",
};

export type Texts = typeof ENGLISH;

/** `text` with each `{name}` replaced by its value. */
export function fill(text: string, values: Readonly<Record<string, string | number>>): string {
  return text.replace(/\{(\w+)\}/g, (whole, name: string) => String(values[name] ?? whole));
}

/** The console's behaviour in the browser: live regions, times in the viewer's zone, and what became of one's feedback. */
import "htmx-ext-sse";
import htmx from "htmx.org";
// The package's extension for htmx carries an Idiomorph of its own; that is the one that morphs here.
import { Idiomorph } from "idiomorph/htmx";

// What a person has typed stays when the page around it is brought up to date, also after the focus has moved on.
Idiomorph.defaults.ignoreActiveValue = true;
Idiomorph.defaults.callbacks.beforeNodeMorphed = (before: Node) =>
  !(before instanceof HTMLInputElement && before.type === "search" && before.value !== before.defaultValue);

const CLOCK = new Intl.DateTimeFormat(undefined, { dateStyle: "medium", timeStyle: "medium" });
const AXIS = new Intl.DateTimeFormat(undefined, { day: "numeric", month: "short", hour: "numeric", minute: "2-digit" });

/** Shows each `<time>`, and the times of charts, in the viewer's zone; the machine's form stays in an attribute. */
function localTimes(within: ParentNode): void {
  for (const time of within.querySelectorAll<HTMLTimeElement>("time[datetime]")) tell(time, time.dateTime, CLOCK);
  for (const tick of within.querySelectorAll<SVGTextElement>("text[data-time]")) tell(tick, tick.dataset.time ?? "", AXIS);
}

function tell(where: Element, time: string, format: Intl.DateTimeFormat): void {
  const moment = new Date(time);
  if (!Number.isNaN(moment.getTime())) where.textContent = format.format(moment);
}

/** Says whether the page is kept up to date. */
function connection(state: string): void {
  const shown = document.getElementById("connection");
  if (shown && shown.textContent !== state) shown.textContent = state;
}

document.addEventListener("DOMContentLoaded", () => localTimes(document));
document.addEventListener("htmx:afterSettle", () => localTimes(document));
document.addEventListener("htmx:sseMessage", () => localTimes(document));
document.addEventListener("htmx:sseOpen", () => connection("live"));
document.addEventListener("htmx:responseError", () => connection("failed; reload the page"));
document.addEventListener("htmx:sendError", () => connection("not connected; reload the page"));
document.addEventListener("htmx:sseError", () => connection("not connected; trying again"));

/** After feedback was sent, its lineage is followed on the same page. */
document.addEventListener("flywheel-sent", (event) => {
  const place = document.getElementById("fate");
  const id = (event as CustomEvent<{ event_id: string }>).detail.event_id;
  if (place) void htmx.ajax("get", `/feedback/${id}/lineage`, { target: place, swap: "innerHTML" });
});

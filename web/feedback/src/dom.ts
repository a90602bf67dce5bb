/** Elements from data; text is always text, never markup. */
type Child = Node | string;
type Props = Readonly<Record<string, unknown>>;

/** An HTML element with its properties set and its children appended. */
export function h<K extends keyof HTMLElementTagNameMap>(
  tag: K,
  props: Props = {},
  ...children: Child[]
): HTMLElementTagNameMap[K] {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(props)) {
    if (name.includes("-") || name === "for") element.setAttribute(name, String(value));
    else Object.assign(element, { [name]: value });
  }
  element.append(...children);
  return element;
}

/** A picture of one stroke on a 24 × 24 field; it is decoration beside a text. */
export function icon(path: string): SVGSVGElement {
  const svg = document.createElementNS("http://www.w3.org/2000/svg", "svg");
  svg.setAttribute("viewBox", "0 0 24 24");
  svg.setAttribute("aria-hidden", "true");
  const line = document.createElementNS("http://www.w3.org/2000/svg", "path");
  line.setAttribute("d", path);
  svg.append(line);
  return svg;
}

export const THUMB_UP = "M7 11v9H3v-9h4zm0 0 4-8c1.7 0 2.6 1.2 2.3 2.8L12.7 9H19a2 2 0 0 1 2 2.4l-1.4 7A2 2 0 0 1 17.6 20H7";
export const THUMB_DOWN = "M17 13V4h4v9h-4zm0 0-4 8c-1.7 0-2.6-1.2-2.3-2.8l.6-3.2H5a2 2 0 0 1-2-2.4l1.4-7A2 2 0 0 1 6.4 4H17";
export const STAR = "M12 3l2.7 5.8 6.3.8-4.6 4.4 1.2 6.3L12 17.2 6.4 20.3l1.2-6.3L3 9.6l6.3-.8z";

// Small helpers for the page: elements, and the way to a line of the source.

import type { Place } from "./contents";

declare function acquireVsCodeApi(): { postMessage(message: unknown): void };

const editor = typeof acquireVsCodeApi === "function" ? acquireVsCodeApi() : undefined;

type Child = Node | string | undefined;

/** An element with attributes, and children that are text where they are strings. */
export function element(name: string, attributes: Readonly<Record<string, string>>, ...children: Child[]): HTMLElement {
  const made = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) {
    made.setAttribute(key, value);
  }
  made.append(...children.filter((child) => child !== undefined));
  return made;
}

export function drawing(name: string, attributes: Readonly<Record<string, string | number>>, text?: string): SVGElement {
  const made = document.createElementNS("http://www.w3.org/2000/svg", name);
  for (const [key, value] of Object.entries(attributes)) {
    made.setAttribute(key, String(value));
  }
  if (text !== undefined) {
    made.textContent = text;
  }
  return made;
}

/** Whether a click can lead to the source: only an editor can open it. */
export const leads = editor !== undefined;

/** Have an element lead to a line of the source, by a click or with the keyboard; where there is none it stays text. */
export function leadTo(made: Element, { uri, line }: Partial<Place>): void {
  if (editor === undefined || typeof uri !== "string" || typeof line !== "number") {
    return;
  }
  made.setAttribute("tabindex", "0");
  made.setAttribute("role", "link");
  made.classList.add("leads");
  const go = () => editor.postMessage({ uri, line });
  made.addEventListener("click", go);
  made.addEventListener("keydown", (event) => {
    const key = (event as KeyboardEvent).key;
    if (key === "Enter" || key === " ") {
      event.preventDefault();
      go();
    }
  });
}

export function count(number: number): string {
  for (const [size, unit] of [
    [1e9, " G"],
    [1e6, " M"],
    [1e3, " K"],
  ] as const) {
    if (number >= size) {
      return `${(number / size).toFixed(number / size < 100 ? 1 : 0).replace(/\.0$/, "")}${unit}`;
    }
  }
  return String(number);
}

/** A sentence in which pairs of backticks mark code. */
export function prose(text: string): (HTMLElement | string)[] {
  const pieces = text.split("`");
  return pieces.length % 2 === 0 ? [text] : pieces.map((piece, at) => (at % 2 === 1 ? element("code", {}, piece) : piece));
}

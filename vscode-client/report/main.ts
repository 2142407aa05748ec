// The page of a report: reads what the server put into the document, draws it, and draws it anew for sizes that are tried.
import type { Attempt, Contents, Failure } from "./contents";
import { flowPicture } from "./flow";
import { element, leads, leadTo, prose } from "./page";
import { refused, shapeText, type Sizes } from "./sizes";
import { layerTree } from "./tree";

const HEADS: Readonly<Record<string, string>> = {
  failed: "forward fails for every input",
  unresolved: "no input was found that forward takes",
  skipped: "skipped",
  timeout: "the probe took too long",
  crashed: "the probe crashed",
  unknown: "not probed yet",
  file: "",
};

class Report {
  private readonly body = element("div", {});
  private readonly answer = element("p", { class: "answer", role: "status" });
  private tried: Record<string, number> | undefined;

  constructor(private readonly contents: Contents) {}

  element(): HTMLElement {
    const contents = this.contents;
    const name = element("h1", {}, contents.name);
    leadTo(name, { uri: contents.uri ?? null, line: contents.line ?? null });
    const made = element("article", {}, name);
    if (contents.note !== "") {
      made.append(element("p", { class: "note" }, ...prose(contents.note)));
    }
    const head = contents.status === "ok" ? "" : (HEADS[contents.status] ?? contents.status);
    if (head !== "") {
      made.append(element("p", { class: "refused" }, head));
    }
    if (contents.reason !== undefined && contents.reason !== null) {
      made.append(this.failure(contents.reason));
    }
    if (contents.signature) {
      made.append(element("pre", {}, contents.signature), this.states());
    }
    made.append(this.sizes(), this.answer, this.body, this.refusals(), ...this.evidence());
    this.draw();
    return made;
  }

  private states(): HTMLElement {
    const state = (attempt: Attempt | undefined) =>
      attempt?.ok === null || attempt === undefined
        ? undefined
        : element("span", { class: attempt.ok ? "good" : "bad" }, attempt.said ?? "");
    const { parameters, script, trace } = this.contents;
    return element("p", { class: "states" }, element("span", {}, parameters ?? ""), state(script), state(trace));
  }

  /** A field for each symbol: what is written there is worked out in every shape of the page. */
  private sizes(): HTMLElement {
    const symbols = Object.entries(this.contents.symbols ?? {});
    if (symbols.length === 0) {
      return element("div", {});
    }
    const form = element("form", { class: "sizes", "aria-label": "Try a size" });
    form.append(element("h2", {}, "Try a size"));
    for (const [name, range] of symbols) {
      const field = element("input", { type: "number", min: String(range.min), step: String(Math.max(range.step, 1)), name });
      if (range.max !== null) {
        field.setAttribute("max", String(range.max));
      }
      form.append(element("label", {}, `${name} `, field, element("span", { class: "range" }, range.words)));
    }
    form.append(element("button", { type: "reset" }, "Symbols"));
    form.addEventListener("submit", (event) => event.preventDefault());
    form.addEventListener("reset", () => this.take(undefined));
    form.addEventListener("input", () => this.take(form as HTMLFormElement));
    return form;
  }

  private take(form: HTMLFormElement | undefined): void {
    const given: Record<string, number> = {};
    for (const [name, text] of form === undefined ? [] : new FormData(form)) {
      if (typeof text === "string" && text !== "") {
        given[name] = Number(text);
      }
    }
    this.tried = Object.keys(given).length === 0 ? undefined : { ...this.ran(), ...given };
    this.draw();
  }

  /** The sizes of the run, and the least ones of symbols that stand in no input. */
  private ran(): Record<string, number> {
    const least = Object.entries(this.contents.symbols ?? {}).map(([name, range]) => [name, Math.max(range.min, range.step, 1)]);
    return { ...Object.fromEntries(least), ...this.contents.example };
  }

  private draw(): void {
    const { symbols = {}, constraints = [] } = this.contents;
    const problem = this.tried === undefined ? undefined : refused(this.tried, symbols, constraints);
    const sizes: Sizes | undefined = problem === undefined ? this.tried : undefined;
    this.answer.textContent = this.told(problem, sizes);
    this.answer.classList.toggle("refused", problem !== undefined);
    const picture = flowPicture(this.contents, sizes);
    const tree = layerTree(this.contents, sizes, sizes ?? this.ran());
    const hint = leads ? "A click leads to the line. " : "";
    this.body.replaceChildren(
      ...(picture === undefined
        ? []
        : [
            element("h2", {}, "Flow"),
            element("p", { class: "hint" }, `${hint}Dashed is what the run did not come to.`),
            element("div", { class: "flow", tabindex: "0", role: "region", "aria-label": `The flow through ${this.contents.name}` }, picture),
          ]),
      ...(tree === undefined ? [] : [element("h2", {}, "Layers"), tree]),
    );
  }

  private told(problem: string | undefined, sizes: Sizes | undefined): string {
    if (problem !== undefined) {
      return `Not among the sizes that run: ${problem}.`;
    }
    if (sizes === undefined) {
      return "";
    }
    const side = (values: Contents["outputs"]) =>
      (values ?? []).map((value) => (value.dims === null ? value.text : shapeText(value.dims, sizes))).join(", ");
    const given = (this.contents.inputs ?? []).filter((item) => !item.optional);
    return `${side(given)} → ${side(this.contents.outputs)}, worked out from what holds for all of these sizes.`;
  }

  private failure(item: Failure): HTMLElement {
    const line = item.line === null ? "" : ` (${item.file === "" ? "" : `${item.file}, `}line ${item.line})`;
    const made = element("li", {}, element("span", { class: "code" }, item.code), " ", ...prose(item.message), line);
    leadTo(made, item);
    return made;
  }

  private refusals(): HTMLElement {
    const made = element("div", {});
    const groups: [string, readonly Failure[]][] = [
      ["What keeps it from scripting", this.contents.script?.failures ?? []],
      ["What tracing would freeze", this.contents.trace?.failures ?? []],
      ["Calls that do not fit", this.contents.mismatches ?? []],
    ];
    for (const [title, found] of groups.filter(([, each]) => each.length > 0)) {
      made.append(element("h2", {}, title), element("ul", {}, ...found.map((item) => this.failure(item))));
    }
    return made;
  }

  private evidence(): HTMLElement[] {
    return [listed("What is in it", this.contents.facts ?? []), listed("How it is known", this.contents.evidence ?? [])];
  }
}

function listed(title: string, lines: readonly string[]): HTMLElement {
  if (lines.length === 0) {
    return element("div", {});
  }
  const items = lines.map((line) => element("li", {}, ...prose(line)));
  return element("div", {}, element("h2", {}, title), element("ul", {}, ...items));
}

const given = JSON.parse(document.getElementById("reports")?.textContent ?? "[]") as Contents[];
document.querySelector("main")?.append(...given.map((contents) => new Report(contents).element()));

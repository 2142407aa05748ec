// The layers as a tree that folds, each with bars for its parameters and for what its output takes in memory.
import type { Contents, Layer } from "./contents";
import { count, element, leadTo } from "./page";
import { shapeText, type Sizes, valueOf } from "./sizes";

interface Branch {
  readonly name: string;
  readonly layer: Layer | undefined;
  readonly parts: Branch[];
}

function grown(layers: readonly Layer[]): Branch[] {
  const roots: Branch[] = [];
  const known = new Map<string, Branch>();
  const branch = (name: string): Branch => {
    const found = known.get(name);
    if (found !== undefined) {
      return found;
    }
    const made: Branch = { name, layer: layers.find((layer) => layer.name === name), parts: [] };
    known.set(name, made);
    const dot = name.lastIndexOf(".");
    (dot < 0 ? roots : branch(name.slice(0, dot)).parts).push(made);
    return made;
  };
  for (const layer of layers) {
    branch(layer.name);
  }
  return roots;
}

function weight(branch: Branch): number {
  return branch.layer?.parameters ?? branch.parts.reduce((sum, part) => sum + weight(part), 0);
}

/** Numbers in what a layer gives, for the sizes that are tried or else for those of the run. */
function activations(branch: Branch, sizes: Sizes): number {
  const outputs = branch.layer?.outputs;
  if (outputs === undefined) {
    return branch.parts.reduce((sum, part) => sum + activations(part, sizes), 0);
  }
  return outputs.reduce((sum, dims) => sum + dims.reduce<number>((product, dim) => product * (valueOf(dim, sizes) ?? 1), 1), 0);
}

function bar(part: number, whole: number, text: string, kind: string, what: string): HTMLElement {
  const share = whole === 0 ? 0 : (100 * part) / whole;
  const told = `${what}: ${text}, ${share.toFixed(1)} %`;
  const made = element("span", { class: `bar ${kind}`, title: told, role: "img", "aria-label": told });
  made.append(element("span", { class: "filled", style: `width:${share.toFixed(2)}%` }), element("span", { class: "words" }, text));
  return made;
}

export function layerTree(contents: Contents, sizes: Sizes | undefined, counted: Sizes): HTMLElement | undefined {
  const roots = grown(contents.layers ?? []);
  if (roots.length === 0) {
    return undefined;
  }
  const most = roots.reduce((sum, branch) => sum + weight(branch), 0);
  const largest = Math.max(...roots.map((branch) => activations(branch, counted)), 1);
  const row = (branch: Branch): HTMLElement => {
    const last = branch.name.slice(branch.name.lastIndexOf(".") + 1);
    const name = element("span", { class: "layer" }, last, element("span", { class: "type" }, branch.layer?.type ?? ""));
    if (branch.layer !== undefined) {
      leadTo(name, branch.layer);
    }
    const flow = branch.layer === undefined ? "" : shapes(branch.layer, sizes);
    return element(
      "span",
      { class: "row" },
      name,
      element("span", { class: "shapes" }, flow),
      bar(weight(branch), most, count(weight(branch)), "parameters", "parameters"),
      bar(activations(branch, counted), largest, count(activations(branch, counted)), "activations", "output values"),
    );
  };
  const drawn = (branch: Branch, depth: number): HTMLElement => {
    const style = `--depth:${depth}`;
    if (branch.parts.length === 0) {
      return element("div", { class: "leaf", style }, row(branch));
    }
    return element("details", { style }, element("summary", {}, row(branch)), ...branch.parts.map((part) => drawn(part, depth + 1)));
  };
  const head = ["layer", "in → out", "parameters", "output values"].map((text) => element("span", {}, text));
  return element("div", { class: "tree", role: "group", "aria-label": `The layers of ${contents.name}` }, element("div", { class: "row head" }, ...head), ...roots.map((branch) => drawn(branch, 0)));
}

function shapes(layer: Layer, sizes: Sizes | undefined): string {
  const side = (all: Layer["inputs"]) => all.map((dims) => shapeText(dims, sizes)).join(", ") || "()";
  return `${side(layer.inputs)} → ${side(layer.outputs)}`;
}

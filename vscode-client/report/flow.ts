// The flow through `forward` as a drawn graph: laid out by dagre, drawn as SVG. Loops are boxes around what they repeat.
import { Graph, layout } from "@dagrejs/dagre";
import type { Contents, FlowNode } from "./contents";
import { count, drawing, leadTo } from "./page";
import { shapeText, type Sizes } from "./sizes";

const WIDE = 6.7;
const SMALL = 6;
const LINE = 15;
const MARGIN = 12;

interface Box {
  readonly x: number;
  readonly y: number;
  readonly width: number;
  readonly height: number;
}

function title(node: FlowNode): string {
  const name = node.name.replace(/\[(\d+)\]$/, "[·][$1]");
  return node.times > 1 ? `${name} × ${node.times}` : name;
}

function subtitle(node: FlowNode): string {
  const weight = node.parameters === 0 ? "" : count(node.parameters);
  return [node.type, weight].filter((text) => text !== "").join(" · ");
}

function label(node: FlowNode | undefined, sizes: Sizes | undefined): string {
  const first = node?.shapes[0];
  if (first === undefined) {
    return "";
  }
  return shapeText(first, sizes) + ((node?.shapes.length ?? 0) > 1 ? " …" : "");
}

function sized(node: FlowNode): { width: number; height: number } {
  const lines = subtitle(node) === "" ? 1 : 2;
  const widest = Math.max(title(node).length * WIDE, subtitle(node).length * SMALL);
  const round = node.kind === "operator";
  return { width: round ? 26 : widest + 20, height: round ? 26 : lines * LINE + 10 };
}

/** A picture of the flow; undefined where there is none to draw. */
export function flowPicture(contents: Contents, sizes: Sizes | undefined): SVGElement | undefined {
  const nodes = contents.flow?.nodes ?? [];
  const edges = (contents.flow?.edges ?? []).filter((edge) => !edge.back);
  if (edges.length === 0) {
    return undefined;
  }
  const byId = new Map(nodes.map((node) => [node.id, node]));
  const graph = new Graph({ compound: true, multigraph: true });
  graph.setGraph({ rankdir: "TB", nodesep: 26, ranksep: 26, edgesep: 12, marginx: MARGIN, marginy: MARGIN });
  for (const node of nodes) {
    graph.setNode(String(node.id), sized(node));
  }
  for (const loop of new Set(nodes.map((node) => node.loop).filter((number) => number > 0))) {
    graph.setNode(`loop ${loop}`, {});
  }
  for (const node of nodes.filter((each) => each.loop > 0)) {
    graph.setParent(String(node.id), `loop ${node.loop}`);
  }
  for (const edge of edges) {
    const text = label(byId.get(edge.source), sizes);
    const space = { width: text.length * SMALL, height: text === "" ? 0 : LINE, labelpos: "r", labeloffset: 4 };
    graph.setEdge(String(edge.source), String(edge.target), space);
  }
  layout(graph);
  return drawn(graph, contents, byId, sizes);
}

function drawn(
  graph: Graph,
  contents: Contents,
  byId: ReadonlyMap<number, FlowNode>,
  sizes: Sizes | undefined,
): SVGElement {
  const { width = 0, height = 0 } = graph.graph() as { width?: number; height?: number };
  const picture = drawing("svg", {
    viewBox: `0 0 ${width} ${height}`,
    width,
    height,
    role: "group",
    "aria-label": `The flow through ${contents.name}.forward`,
  });
  picture.append(arrow());
  for (const name of graph.nodes().filter((each) => each.startsWith("loop "))) {
    picture.append(...loopBox(graph.node(name) as unknown as Box));
  }
  for (const edge of graph.edges()) {
    const found = graph.edge(edge) as unknown as { points: { x: number; y: number }[]; x?: number; y?: number };
    const source = byId.get(Number(edge.v));
    const unseen = source?.ran === false || byId.get(Number(edge.w))?.ran === false;
    picture.append(drawing("path", { class: unseen ? "edge unseen" : "edge", d: curve(found.points), "marker-end": "url(#arrow)" }));
    const text = label(source, sizes);
    if (text !== "" && found.x !== undefined && found.y !== undefined) {
      picture.append(drawing("text", { class: "shape", x: found.x + 3, y: found.y + 4, "text-anchor": "middle" }, text));
    }
  }
  for (const node of byId.values()) {
    picture.append(nodeBox(node, graph.node(String(node.id)) as unknown as Box));
  }
  return picture;
}

function arrow(): SVGElement {
  const shapes = drawing("defs", {});
  const head = drawing("marker", { id: "arrow", viewBox: "0 0 8 8", refX: 7, refY: 4, markerWidth: 7, markerHeight: 7, orient: "auto" });
  head.append(drawing("path", { class: "head", d: "M0,0 L8,4 L0,8 z" }));
  shapes.append(head);
  return shapes;
}

function loopBox(box: Box): SVGElement[] {
  const left = box.x - box.width / 2;
  const top = box.y - box.height / 2;
  return [
    drawing("rect", { class: "loop", x: left, y: top, width: box.width, height: box.height, rx: 8 }),
    drawing("text", { class: "loop-name", x: left + 8, y: top - 4 }, "repeated"),
  ];
}

function nodeBox(node: FlowNode, box: Box): SVGElement {
  const made = drawing("g", { class: `node ${node.kind}${node.ran ? "" : " unseen"}` });
  const round = node.kind === "operator" || node.kind === "input" || node.kind === "output";
  made.append(
    drawing("rect", {
      x: box.x - box.width / 2,
      y: box.y - box.height / 2,
      width: box.width,
      height: box.height,
      rx: round ? box.height / 2 : 5,
    }),
  );
  const second = subtitle(node);
  const middle = { x: box.x, "text-anchor": "middle" };
  made.append(drawing("text", { ...middle, class: "name", y: box.y + (second === "" ? 4 : -3) }, title(node)));
  if (second !== "") {
    made.append(drawing("text", { ...middle, class: "type", y: box.y + 12 }, second));
  }
  const unseen = node.ran ? "" : "; the run did not come here";
  made.append(drawing("title", {}, `${node.name}${node.type === "" ? "" : `: ${node.type}`}, line ${node.line}${unseen}`));
  made.setAttribute("aria-label", `${title(node)}, ${node.type || node.kind}, line ${node.line}${unseen}`);
  made.setAttribute("role", "img");
  leadTo(made, node);
  return made;
}

function curve(points: readonly { x: number; y: number }[]): string {
  const [first, ...rest] = points;
  if (first === undefined) {
    return "";
  }
  const parts = [`M${first.x},${first.y}`];
  for (let at = 0; at < rest.length; at += 1) {
    const here = rest[at];
    const next = rest[at + 1];
    if (here === undefined) {
      continue;
    }
    parts.push(next === undefined ? `L${here.x},${here.y}` : `Q${here.x},${here.y} ${(here.x + next.x) / 2},${(here.y + next.y) / 2}`);
  }
  return parts.join(" ");
}

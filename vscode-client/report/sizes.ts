// Dims are numbers or expressions in symbols, with the operators of the contract: + - * // % and parentheses. Here they
// are worked out for sizes that a reader tries; `//` and `%` round down, as in Python.

export type Dim = number | string;
export type Sizes = Readonly<Record<string, number>>;

export interface Range {
  readonly min: number;
  readonly max: number | null;
  readonly step: number;
}

const TOKEN = /\s*(\d+|[^\W\d]\w*|\/\/|==|<=|>=|!=|[-+*%()<>])/uy;

function tokens(text: string): string[] | undefined {
  const found: string[] = [];
  TOKEN.lastIndex = 0;
  while (TOKEN.lastIndex < text.trimEnd().length) {
    const match = TOKEN.exec(text);
    if (match?.[1] === undefined) {
      return undefined;
    }
    found.push(match[1]);
  }
  return found;
}

class Reader {
  private at = 0;

  constructor(
    private readonly words: readonly string[],
    private readonly sizes: Sizes,
  ) {}

  whole(): number | undefined {
    const value = this.sum();
    return this.at === this.words.length ? value : undefined;
  }

  sum(): number | undefined {
    let value = this.product();
    while (value !== undefined && (this.words[this.at] === "+" || this.words[this.at] === "-")) {
      const sign = this.words[this.at++];
      const right = this.product();
      value = right === undefined ? undefined : sign === "+" ? value + right : value - right;
    }
    return value;
  }

  private product(): number | undefined {
    let value = this.one();
    while (value !== undefined && ["*", "//", "%"].includes(this.words[this.at] ?? "")) {
      const sign = this.words[this.at++];
      const right = this.one();
      if (right === undefined || (right === 0 && sign !== "*")) {
        return undefined;
      }
      value = sign === "*" ? value * right : sign === "//" ? Math.floor(value / right) : value - right * Math.floor(value / right);
    }
    return value;
  }

  private one(): number | undefined {
    const word = this.words[this.at++];
    if (word === "-") {
      const value = this.one();
      return value === undefined ? undefined : -value;
    }
    if (word === "(") {
      const value = this.sum();
      return this.words[this.at++] === ")" ? value : undefined;
    }
    if (word === undefined) {
      return undefined;
    }
    return /^\d+$/.test(word) ? Number(word) : Object.hasOwn(this.sizes, word) ? this.sizes[word] : undefined;
  }
}

/** The number that a dim is for these sizes; undefined where they do not tell it. */
export function valueOf(dim: Dim, sizes: Sizes): number | undefined {
  if (typeof dim === "number") {
    return dim;
  }
  const words = tokens(dim);
  return words === undefined ? undefined : new Reader(words, sizes).whole();
}

/** ``(B, 3, H//2)`` as it stands, or in the numbers of the sizes that are tried. */
export function shapeText(dims: readonly Dim[], sizes: Sizes | undefined): string {
  return `(${dims.map((dim) => (sizes === undefined ? dim : (valueOf(dim, sizes) ?? dim))).join(", ")})`;
}

/** Why sizes are not among those that are claimed to run; undefined if they are. */
export function refused(
  sizes: Sizes,
  symbols: Readonly<Record<string, Range>>,
  constraints: readonly string[],
): string | undefined {
  for (const [name, range] of Object.entries(symbols)) {
    const size = sizes[name];
    if (size === undefined || !Number.isInteger(size)) {
      return `${name} has to be a whole number`;
    }
    if (size < range.min || (range.max !== null && size > range.max) || size % Math.max(range.step, 1) !== 0) {
      const most = range.max === null ? "" : `, at most ${range.max}`;
      const step = range.step > 1 ? `, a multiple of ${range.step}` : "";
      return `${name} has to be at least ${range.min}${most}${step}`;
    }
  }
  return constraints.find((text) => holds(text, sizes) === false);
}

function holds(text: string, sizes: Sizes): boolean | undefined {
  const match = /^(.*?)(==|<=|>=|!=|<|>)(.*)$/.exec(text);
  const left = match?.[1] === undefined ? undefined : valueOf(match[1], sizes);
  const right = match?.[3] === undefined ? undefined : valueOf(match[3], sizes);
  if (left === undefined || right === undefined) {
    return undefined;
  }
  switch (match?.[2]) {
    case "==":
      return left === right;
    case "!=":
      return left !== right;
    case "<=":
      return left <= right;
    case ">=":
      return left >= right;
    case "<":
      return left < right;
    default:
      return left > right;
  }
}

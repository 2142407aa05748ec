// What the server says of a class: `features/picture.py` makes it.
import type { Dim, Range } from "./sizes";

export interface Value {
  readonly text: string;
  readonly dims: readonly Dim[] | null;
  readonly items: readonly Value[];
}

export interface Input extends Value {
  readonly name: string;
  readonly optional: boolean;
}

/** A line as a reader counts it, and the document that it is in, if one can be opened. */
export interface Place {
  readonly line: number | null;
  readonly uri: string | null;
}

export interface FlowNode extends Place {
  readonly id: number;
  readonly kind: "input" | "layer" | "function" | "operator" | "output";
  readonly name: string;
  readonly type: string;
  readonly loop: number;
  readonly times: number;
  readonly parameters: number;
  readonly shapes: readonly (readonly Dim[])[];
  readonly ran: boolean;
}

export interface FlowEdge {
  readonly source: number;
  readonly target: number;
  readonly back: boolean;
}

export interface Layer extends Place {
  readonly name: string;
  readonly type: string;
  readonly inputs: readonly (readonly Dim[])[];
  readonly outputs: readonly (readonly Dim[])[];
  readonly parameters: number;
}

/** `file` is the name of the file where that is another one than the class is in. */
export interface Failure extends Place {
  readonly code: string;
  readonly message: string;
  readonly file: string;
}

export interface Attempt {
  readonly ok: boolean | null;
  readonly said?: string;
  readonly failures: readonly Failure[];
}

export interface Contents {
  readonly name: string;
  readonly path: string;
  readonly note: string;
  readonly status: string;
  readonly line?: number | null;
  readonly uri?: string | null;
  readonly signature?: string;
  readonly reason?: Failure | null;
  readonly parameters?: string;
  readonly inputs?: readonly Input[];
  readonly outputs?: readonly Value[];
  readonly symbols?: Readonly<Record<string, Range & { readonly words: string }>>;
  readonly example?: Readonly<Record<string, number>>;
  readonly constraints?: readonly string[];
  readonly flow?: { readonly nodes: readonly FlowNode[]; readonly edges: readonly FlowEdge[] };
  readonly layers?: readonly Layer[];
  readonly script?: Attempt;
  readonly trace?: Attempt;
  readonly mismatches?: readonly Failure[];
  readonly evidence?: readonly string[];
  /** What is in a saved file of which it is not known what goes in. */
  readonly facts?: readonly string[];
}

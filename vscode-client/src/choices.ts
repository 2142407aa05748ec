// What a person may choose of an export, and the rows that ask for it. Knows nothing of the editor.

export type Method = "auto" | "script" | "trace" | "program";

export interface Choices {
  readonly method: Method;
  /** The path of saved weights; absent: those that the constructor makes. */
  readonly checkpoint?: string;
  /** Absent: each weight has its own. */
  readonly dtype?: string;
}

export type Question = "export" | "checkpoint" | "method" | "dtype";

export interface Row {
  readonly question: Question;
  readonly label: string;
  readonly description: string;
}

export interface Option<Value> {
  readonly value: Value;
  readonly label: string;
  readonly description: string;
}

export const METHODS: readonly Option<Method>[] = [
  { value: "auto", label: "Automatic", description: "scripted if it scripts, else traced if the trace is faithful" },
  { value: "script", label: "Script", description: "all branches are kept" },
  { value: "trace", label: "Trace", description: "what one run does" },
];

export const DTYPES: readonly Option<string | undefined>[] = [
  { value: undefined, label: "As built", description: "" },
  ...["float32", "float16", "bfloat16", "float64"].map((value) => ({
    value,
    label: value,
    description: "of all floating weights and inputs",
  })),
];

/** The rows of the first page: what is as it is, with "export" before the rest, so that Enter alone will do. */
export function rows(choices: Choices): Row[] {
  const method = METHODS.find(({ value }) => value === choices.method);
  return [
    { question: "export", label: "$(export) Export…", description: "choose the file" },
    {
      question: "checkpoint",
      label: "$(database) Weights",
      description: choices.checkpoint ?? "as the constructor makes them",
    },
    ...(method === undefined
      ? []
      : [{ question: "method" as const, label: "$(symbol-method) Method", description: method.label.toLowerCase() }]),
    { question: "dtype", label: "$(symbol-numeric) Dtype", description: choices.dtype ?? "as built" },
  ];
}

type Answer = { readonly [Key in keyof Choices]?: Choices[Key] | undefined };

/** The choices with one of them answered anew; `undefined` takes an answer back. */
export function answered(choices: Choices, answer: Answer): Choices {
  const { method = choices.method, checkpoint, dtype } = { ...choices, ...answer };
  return {
    method,
    ...(checkpoint === undefined ? {} : { checkpoint }),
    ...(dtype === undefined ? {} : { dtype }),
  };
}

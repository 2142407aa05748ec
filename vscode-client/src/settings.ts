// The editor's settings as the server wants them. No `vscode` here: a reader of one key comes in as a function.
import { RESTRICTED, USERS_OWN } from "./trust";

/** The keys below `tsShape.` that the server reads. */
export const KEYS = [
  "interpreter",
  "extraPaths",
  "env",
  "timeoutMs",
  "memoryMegabytes",
  "jobs",
  "readable",
  "sandbox",
  "hover.waitMs",
  "debounceMs",
  "inlayHints",
  "codeLens",
  "diagnostics.torchscript",
  "diagnostics.scriptErrors",
  "diagnostics.traceWarnings",
  "loglevel",
] as const;

export interface Inspected {
  readonly globalValue?: unknown;
  readonly workspaceValue?: unknown;
  readonly workspaceFolderValue?: unknown;
}

export type Nested = { [key: string]: unknown };

function isTable(value: unknown): value is Nested {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

function place(settings: Nested, key: string, value: unknown): void {
  const parts = key.split(".");
  const last = parts.pop() ?? key;
  let table = settings;
  for (const part of parts) {
    const next = table[part];
    table = isTable(next) ? next : ((table[part] = {}) as Nested);
  }
  table[last] = value;
}

/**
 * Only what someone has set, nested at the dots. A default is left out, because the server's `pyproject.toml` layer
 * stands between the defaults and the editor. In an untrusted workspace its own values of restricted keys are left out
 * too, and in no workspace does its own value decide how its code is confined.
 */
export function chosen(inspect: (key: string) => Inspected | undefined, trusted: boolean): Nested {
  const settings: Nested = {};
  for (const key of KEYS) {
    const found = inspect(key);
    const held: readonly string[] = trusted ? USERS_OWN : RESTRICTED;
    const own = !held.includes(key);
    const layers = [found?.globalValue, ...(own ? [found?.workspaceValue, found?.workspaceFolderValue] : [])];
    const set = layers.filter((value) => value !== undefined && value !== null);
    if (set.length > 0) {
      place(settings, key, set.every(isTable) ? Object.assign({}, ...set) : set[set.length - 1]);
    }
  }
  return settings;
}

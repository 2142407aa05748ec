// The status item in words. No `vscode` here: `StatusView` is what draws it.

/** What the server says in `tsShape/status`. */
export interface Status {
  readonly interpreter: string | null;
  readonly torch: string | null;
  readonly tier: string | null;
  readonly running: number;
  readonly message: string;
  /** How inputs are found: by what torch states of sizes, or by trying numbers. */
  readonly engine: string | null;
}

/** What it says of the folder in front, and of each folder of the window by its path. */
export interface WindowStatus {
  readonly front: Status;
  readonly folders: Readonly<Record<string, Status>>;
}

export interface Shown {
  readonly text: string;
  /** Markdown. */
  readonly tooltip: string;
  readonly warning: boolean;
}

export interface StatusView {
  starting(): void;
  started(): void;
  told(status: unknown): void;
  failed(problem: string): void;
}

const TIERS: Record<string, string> = {
  full: "full: no writes, no network, no processes, bounded time and memory",
  partial: "partial: bounded time and memory, some system calls refused",
  seatbelt: "full: no writes, no network, no processes, bounded time and memory",
  limits: "limits: bounded time and memory, nothing else is withheld",
  none: "none: the code runs as you would run it yourself",
};

const ENGINES: Record<string, string> = {
  symbolic: "Sizes are solved from what torch states of them",
  numbers: "Sizes are tried one by one: this torch does not state them",
};

export const STARTING: Shown = { text: "$(loading~spin) shapes", tooltip: "The server is starting.", warning: false };

export function failed(problem: string): Shown {
  return { text: "$(error) shapes", tooltip: escaped(problem), warning: true };
}

/** Read what came over the wire; what is missing or of another type counts as unknown. */
export function parse(data: unknown): Status {
  const found = (typeof data === "object" && data !== null ? data : {}) as Record<string, unknown>;
  const text = (key: string) => (typeof found[key] === "string" ? (found[key] as string) : null);
  return {
    interpreter: text("interpreter"),
    torch: text("torch"),
    tier: text("tier"),
    running: typeof found.running === "number" ? found.running : 0,
    message: text("message") ?? "",
    engine: text("engine"),
  };
}

/** Read what came over the wire, of the window and of each folder. */
export function parseWindow(data: unknown): WindowStatus {
  const found = (typeof data === "object" && data !== null ? data : {}) as { folders?: unknown };
  const folders: unknown[] = Array.isArray(found.folders) ? found.folders : [];
  const parsed = folders.map((status) => [String((status as { path?: unknown } | null)?.path), parse(status)] as const);
  return { front: parse(data), folders: Object.fromEntries(parsed) };
}

/** What is shown beside a file of a folder: what is told of that folder, with its name where there are several. */
export function shownOf(status: WindowStatus, folder: { path: string; name: string } | undefined): Shown {
  const own = folder === undefined ? undefined : status.folders[folder.path];
  const several = Object.keys(status.folders).length > 1;
  return shown(own ?? status.front, own !== undefined && several ? folder?.name : undefined);
}

export function shown(status: Status, folder?: string): Shown {
  const lines = [
    folder === undefined ? "" : `In the folder ${escaped(folder)}:`,
    status.message === "" ? "" : escaped(status.message),
    status.torch === null ? "" : `torch ${escaped(status.torch)}`,
    status.engine === null ? "" : escaped(ENGINES[status.engine] ?? status.engine),
    status.interpreter === null ? "" : `\`${status.interpreter.replaceAll("`", "'")}\``,
    status.tier === null ? "" : `Sandbox ${escaped(TIERS[status.tier] ?? status.tier)}`,
    status.running === 0 ? "" : status.running === 1 ? "1 probe is running" : `${status.running} probes are running`,
  ].filter((line) => line !== "");
  const icon = status.message !== "" ? "$(warning)" : status.running > 0 ? "$(loading~spin)" : "$(symbol-array)";
  const quiet = status.torch !== null && status.message === "";
  const text = `${icon} ${quiet ? `torch ${status.torch.split("+")[0]}` : "shapes"}`;
  return { text, tooltip: lines.join("\n\n") || "Shapes of nn.Modules", warning: status.message !== "" };
}

function escaped(text: string): string {
  return text.replace(/[\\`*_{}[\]()#+!|<>~$-]/g, "\\$&");
}

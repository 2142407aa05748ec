// Asks what to export and where to: one page on which Enter alone will do, then the file.
import * as path from "node:path";
import * as vscode from "vscode";
import { type Choices, DTYPES, METHODS, type Option, answered, rows } from "./choices";

/** A format by the command that exports to it. */
export interface Format {
  readonly method: "auto" | "program";
  readonly suffix: string;
  readonly kind: string;
}

export interface Wanted extends Choices {
  readonly output: string;
}

/** What to write and where; undefined if the person leaves. `name` is the class's, else the file's. */
export async function ask(source: vscode.Uri, name: string, format: Format): Promise<Wanted | undefined> {
  const choices = await askForChoices({ method: format.method }, name, vscode.Uri.joinPath(source, ".."));
  if (choices === undefined) {
    return undefined;
  }
  const chosen = await vscode.window.showSaveDialog({
    defaultUri: vscode.Uri.joinPath(source, "..", name + format.suffix),
    filters: { [format.kind]: [format.suffix.slice(1)] },
    saveLabel: "Export",
    title: `Export ${name}`,
  });
  return chosen === undefined ? undefined : { ...choices, output: chosen.fsPath };
}

async function askForChoices(start: Choices, name: string, folder: vscode.Uri): Promise<Choices | undefined> {
  let choices = start;
  for (;;) {
    const items = rows(choices).map((row) =>
      row.question === "checkpoint" ? { ...row, description: shortened(row.description) } : row,
    );
    const picked = await vscode.window.showQuickPick(items, { title: `Export ${name}`, placeHolder: "Enter exports" });
    if (picked === undefined || picked.question === "export") {
      return picked && choices;
    }
    choices = await answeredBy(picked.question, choices, folder);
  }
}

async function answeredBy(
  question: "checkpoint" | "method" | "dtype",
  choices: Choices,
  folder: vscode.Uri,
): Promise<Choices> {
  if (question === "checkpoint") {
    const answer = await askForCheckpoint(folder, choices.checkpoint);
    return answer === undefined ? choices : answered(choices, answer);
  }
  if (question === "method") {
    const answer = await pick(METHODS, "How it becomes TorchScript");
    return answer === undefined ? choices : answered(choices, { method: answer.value });
  }
  const answer = await pick(DTYPES, "The dtype of floating weights and inputs");
  return answer === undefined ? choices : answered(choices, { dtype: answer.value });
}

function pick<Value>(options: readonly Option<Value>[], placeHolder: string): Thenable<Option<Value> | undefined> {
  return vscode.window.showQuickPick(options, { placeHolder });
}

/** Asks for the file; where one is chosen already, it may be taken back. */
async function askForCheckpoint(
  folder: vscode.Uri,
  known: string | undefined,
): Promise<{ readonly checkpoint: string | undefined } | undefined> {
  if (known !== undefined) {
    const other: Option<boolean> = { value: true, label: "Another file…", description: "" };
    const none: Option<boolean> = { value: false, label: "As the constructor makes them", description: "" };
    const answer = await pick([other, none], "The weights");
    if (answer?.value !== true) {
      return answer && { checkpoint: undefined };
    }
  }
  const chosen = await vscode.window.showOpenDialog({
    defaultUri: folder,
    filters: { "Saved weights": ["pt", "pth", "bin", "ckpt", "safetensors"], "All files": ["*"] },
    openLabel: "Take these weights",
    title: "Weights for the export",
  });
  return chosen?.[0] && { checkpoint: chosen[0].fsPath };
}

/** A path that a row has room for; what is no path stays as it is. */
function shortened(text: string): string {
  return path.isAbsolute(text) ? path.basename(text) : text;
}

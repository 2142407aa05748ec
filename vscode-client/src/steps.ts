// What a person can do next about a command that was refused: the server names it, here it is a button.
import * as vscode from "vscode";

/** The line that is in the way, the repair of a class, the trust of the workspace, or an interpreter with torch. */
export interface Step {
  readonly kind: string;
  readonly uri?: string;
  readonly line?: number;
  readonly class?: string;
}

const LABELS: Readonly<Record<string, string>> = {
  place: "Go to Line",
  repair: "Repair",
  trust: "Manage Trust",
  interpreter: "Select Interpreter",
};
const LOG = "Show Log";

export async function refuse(message: string, step: Step | undefined): Promise<void> {
  const label = step === undefined ? undefined : LABELS[step.kind];
  const picked = await vscode.window.showErrorMessage(message, label ?? LOG);
  if (picked === LOG) {
    await vscode.commands.executeCommand("tsShape.showLog");
  } else if (picked !== undefined && step !== undefined) {
    await take(step);
  }
}

async function take(step: Step): Promise<void> {
  if (step.kind === "trust") {
    await vscode.commands.executeCommand("workbench.trust.manage");
  } else if (step.kind === "interpreter") {
    await vscode.commands.executeCommand("tsShape.selectInterpreter");
  } else if (step.kind === "repair") {
    await vscode.commands.executeCommand("tsShape.repairClass", { uri: step.uri, class: step.class });
  } else if (step.uri !== undefined && step.line !== undefined) {
    await goTo(step.uri, step.line);
  }
}

/** The editor's own command knows cells of notebooks and buffers without a name, too. */
export async function goTo(uri: string, line: number): Promise<void> {
  const selection = new vscode.Range(line - 1, 0, line - 1, 0);
  const place = vscode.Uri.parse(uri);
  try {
    await vscode.commands.executeCommand("vscode.open", place, { selection, viewColumn: vscode.ViewColumn.One });
  } catch (error) {
    const name = place.path.slice(place.path.lastIndexOf("/") + 1);
    await vscode.window.showErrorMessage(`${name} could not be opened at line ${line}: ${String(error)}`);
  }
}

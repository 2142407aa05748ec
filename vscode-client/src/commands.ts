// What the editor adds to the server's commands: the class under the cursor, a file to write to, a page to show.
// The language client registers every command that the server offers; they all come through `executeCommand` below.
import * as path from "node:path";
import * as vscode from "vscode";
import type { Method } from "./choices";
import { type Format, ask } from "./exporting";
import { candidates } from "./interpreter";
import { folderInFront, type Server } from "./server";

type Next = (command: string, args: unknown[]) => vscode.ProviderResult<unknown>;

/** The one argument of a server command that is about a class: named by a code lens, else meant by the cursor. */
interface About {
  readonly uri: string;
  readonly class?: string;
  readonly position?: { readonly line: number; readonly character: number };
  readonly output?: string;
  readonly method?: Method;
  readonly force?: boolean;
}

/** What every server command answers. */
interface Answer {
  readonly ok: boolean;
  readonly message: string;
  readonly cancelled?: boolean;
  readonly path?: string | null;
  readonly markdown?: string;
  readonly html?: string;
  readonly class?: string;
  readonly notes?: readonly string[];
}

const INSPECT = "tsShape.inspectArchive";
const REPORT = "tsShape.showReport";
const REVEAL = "Reveal in Explorer";
const LOOK = "Look Inside";
const TORCHSCRIPT: Format = { method: "auto", suffix: ".pt", kind: "TorchScript" };
const PROGRAM: Format = { method: "program", suffix: ".pt2", kind: "Exported program" };
const EXPORTS: Readonly<Record<string, Format>> = {
  "tsShape.exportTorchScript": TORCHSCRIPT,
  "tsShape.exportProgram": PROGRAM,
};

function underCursor(): About | undefined {
  const editor = vscode.window.activeTextEditor;
  if (editor?.document.languageId !== "python") {
    return undefined;
  }
  const { line, character } = editor.selection.active;
  return { uri: editor.document.uri.toString(), position: { line, character } };
}

/** Complete what the command lacks, run it on the server, and show what it answers. */
export async function executeCommand(command: string, args: unknown[], next: Next): Promise<unknown> {
  if (command === INSPECT) {
    return inspectArchive(args[0], next);
  }
  const given = (args[0] as About | undefined) ?? underCursor();
  const format = EXPORTS[command];
  const about = format === undefined ? given : await withOutput(given, format);
  if (format !== undefined && about === undefined) {
    return undefined;
  }
  const answer = (await next(command, about === undefined ? args : [about])) as Answer | undefined;
  if (command === REPORT && answer?.html !== undefined) {
    Pictures.show(answer.html, answer.class ?? about?.class ?? "", about);
  } else {
    void tell(answer);
  }
  return answer;
}

/** What is in a saved file: the one that was clicked in the explorer, is named, or is asked for. */
async function inspectArchive(given: unknown, next: Next): Promise<unknown> {
  const file = given instanceof vscode.Uri ? given.fsPath : (given as { path: string } | undefined)?.path;
  const archive = file ?? (await askForArchive());
  if (archive === undefined) {
    return undefined;
  }
  const answer = (await next(INSPECT, [{ path: archive }])) as Answer | undefined;
  if (answer?.html !== undefined) {
    Pictures.show(answer.html, path.basename(archive), { uri: vscode.Uri.file(archive).toString() });
  } else if (answer?.markdown === undefined) {
    void tell(answer);
  } else {
    await Pages.show(answer.markdown, { uri: vscode.Uri.file(archive).toString(), class: path.parse(archive).name });
  }
  return answer;
}

async function askForArchive(): Promise<string | undefined> {
  const chosen = await vscode.window.showOpenDialog({
    filters: { "Saved modules": ["pt", "pt2", "pth", "ptl"], "All files": ["*"] },
    openLabel: "Inspect",
    title: "Inspect a saved module",
  });
  return chosen?.[0]?.fsPath;
}

/** The dialog has asked already whether to overwrite; an output that is given stays under the server's own question. */
async function withOutput(about: About | undefined, format: Format): Promise<About | undefined> {
  if (about === undefined) {
    void vscode.window.showInformationMessage("Put the cursor into a class to export it.");
    return undefined;
  }
  if (about.output !== undefined) {
    return about;
  }
  const source = vscode.Uri.parse(about.uri);
  const name = about.class?.split(".").pop() ?? path.basename(source.path, ".py");
  const wanted = await ask(source, name, format);
  return wanted === undefined ? undefined : { force: true, ...about, ...wanted };
}

async function tell(answer: Answer | undefined): Promise<void> {
  if (answer === undefined || answer.cancelled || answer.message === "") {
    return;
  }
  if (!answer.ok) {
    await vscode.window.showErrorMessage(answer.message);
    return;
  }
  const said = [answer.message, ...(answer.notes ?? [])].join(" ");
  const picked = await vscode.window.showInformationMessage(said, ...(answer.path ? [LOOK, REVEAL] : []));
  if (picked === LOOK && answer.path) {
    await vscode.commands.executeCommand("vscode.open", vscode.Uri.file(answer.path));
  }
  if (picked === REVEAL && answer.path) {
    await vscode.commands.executeCommand("revealInExplorer", vscode.Uri.file(answer.path));
  }
}

/** Reports as drawn pages: the server makes them, a click in one leads to the source. */
class Pictures {
  private static readonly open = new Map<string, vscode.WebviewPanel>();

  static show(html: string, name: string, about: About | undefined): void {
    const key = `${about?.uri ?? ""} ${name}`;
    const known = Pictures.open.get(key);
    const panel = known ?? Pictures.made(key, name);
    panel.webview.html = html;
    panel.reveal(undefined, true);
  }

  private static made(key: string, name: string): vscode.WebviewPanel {
    const where = { viewColumn: vscode.ViewColumn.Beside, preserveFocus: true };
    const panel = vscode.window.createWebviewPanel("tsShape.report", name, where, { enableScripts: true });
    Pictures.open.set(key, panel);
    panel.onDidDispose(() => Pictures.open.delete(key));
    panel.webview.onDidReceiveMessage((message: unknown) => void Pictures.go(message));
    return panel;
  }

  private static async go(message: unknown): Promise<void> {
    const { uri, line } = (message ?? {}) as { uri?: unknown; line?: unknown };
    if (typeof uri !== "string" || typeof line !== "number") {
      return;
    }
    // The editor's own command knows cells of notebooks and buffers without a name, too.
    const selection = new vscode.Range(line - 1, 0, line - 1, 0);
    const place = vscode.Uri.parse(uri);
    try {
      await vscode.commands.executeCommand("vscode.open", place, { selection, viewColumn: vscode.ViewColumn.One });
    } catch (error) {
      const name = path.basename(place.path);
      await vscode.window.showErrorMessage(`${name} could not be opened at line ${line}: ${String(error)}`);
    }
  }
}

/** Reports as read-only markdown documents, shown as pages. */
export class Pages implements vscode.TextDocumentContentProvider {
  static readonly SCHEME = "ts-shape-report";
  private static readonly texts = new Map<string, string>();
  private static readonly changed = new vscode.EventEmitter<vscode.Uri>();
  readonly onDidChange = Pages.changed.event;

  static async show(markdown: string, about: About | undefined): Promise<void> {
    const name = about?.class ?? path.basename(vscode.Uri.parse(about?.uri ?? "").path, ".py");
    const uri = vscode.Uri.from({ scheme: Pages.SCHEME, path: `/${name}.md`, query: about?.uri ?? "" });
    Pages.texts.set(uri.toString(), markdown);
    Pages.changed.fire(uri);
    await vscode.commands.executeCommand("markdown.showPreviewToSide", uri);
  }

  provideTextDocumentContent(uri: vscode.Uri): string {
    return Pages.texts.get(uri.toString()) ?? "";
  }
}

/** Offer the interpreters that were found, and remember the one that is picked. */
export async function selectInterpreter(server: Server): Promise<void> {
  const machine = server.machine();
  const folder = folderInFront();
  const around = await server.surroundings(folder?.uri);
  const found = await Promise.all(
    candidates(around, machine).map(async (file) => ({ file, version: await machine.version(file) })),
  );
  const items: (vscode.QuickPickItem & { readonly file?: string | undefined; readonly enter?: boolean })[] = [
    { label: "$(edit) Enter the path of an interpreter…", enter: true },
    { label: "$(search) Let the extension choose", description: "clear tsShape.interpreter" },
    ...found.flatMap(({ file, version }) =>
      version === undefined ? [] : [{ label: file, description: `Python ${version.join(".")}`, file }],
    ),
  ];
  const several = (vscode.workspace.workspaceFolders ?? []).length > 1;
  const whose = several && folder !== undefined ? ` for ${folder.name}` : "";
  const picked = await vscode.window.showQuickPick(items, { placeHolder: `The Python that has torch${whose}` });
  if (picked === undefined) {
    return;
  }
  const entered = picked.enter
    ? await vscode.window.showInputBox({ prompt: "Path of a Python with torch", value: around.setting ?? "" })
    : picked.file;
  if (picked.enter && entered === undefined) {
    return;
  }
  const target =
    vscode.workspace.workspaceFolders === undefined || !vscode.workspace.isTrusted
      ? vscode.ConfigurationTarget.Global
      : several
        ? vscode.ConfigurationTarget.WorkspaceFolder
        : vscode.ConfigurationTarget.Workspace;
  await vscode.workspace.getConfiguration("tsShape", folder?.uri).update("interpreter", entered || undefined, target);
}

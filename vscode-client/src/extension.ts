// The VS Code side: it finds a Python, starts the server that the package carries, and gives the server's commands what
// only an editor can ask for. It knows nothing of PyTorch.
import * as path from "node:path";
import * as vscode from "vscode";
import { Archives } from "./archives";
import { executeCommand, Pages, selectInterpreter } from "./commands";
import { onInterpreterChange } from "./python";
import { folderInFront, Server, SECTION } from "./server";
import { failed, parseWindow, type Shown, shownOf, STARTING, type StatusView, type WindowStatus } from "./status";

let server: Server | undefined;

class StatusItem implements StatusView {
  private readonly item = vscode.window.createStatusBarItem("tsShape", vscode.StatusBarAlignment.Right, 90);
  /** What the server said last; undefined while it does not run. */
  private last: WindowStatus | undefined;

  constructor() {
    this.item.name = "TorchScript Shapes";
    this.item.command = "tsShape.showMenu";
  }

  dispose(): void {
    this.item.dispose();
  }

  /** Shown beside Python; a page that is no text editor leaves it as it is. */
  follow(editor: vscode.TextEditor | undefined): void {
    if (editor?.document.languageId === "python") {
      this.redraw();
      this.item.show();
    } else if (editor !== undefined) {
      this.item.hide();
    }
  }

  starting(): void {
    this.last = undefined;
    this.draw(STARTING);
  }

  started(): void {
    this.told({});
  }

  told(status: unknown): void {
    this.last = parseWindow(status);
    this.redraw();
  }

  failed(problem: string): void {
    this.last = undefined;
    this.draw(failed(problem));
  }

  /** What is told of the folder of the file in front. */
  private redraw(): void {
    if (this.last !== undefined) {
      const folder = folderInFront();
      this.draw(shownOf(this.last, folder && { path: folder.uri.fsPath, name: folder.name }));
    }
  }

  private draw(look: Shown): void {
    const links = "[Select Interpreter](command:tsShape.selectInterpreter) · [Show Log](command:tsShape.showLog)";
    const tooltip = new vscode.MarkdownString(`${look.tooltip}\n\n---\n\n${links}`);
    tooltip.isTrusted = { enabledCommands: ["tsShape.selectInterpreter", "tsShape.showLog"] };
    this.item.text = look.text;
    this.item.tooltip = tooltip;
    this.item.backgroundColor = look.warning ? new vscode.ThemeColor("statusBarItem.warningBackground") : undefined;
  }
}

/** What a click on the status item offers. */
async function showMenu(): Promise<void> {
  const offered = [
    { label: "$(symbol-array) Show the report of the class at the cursor", command: "tsShape.showReport" },
    { label: "$(checklist) Check the workspace", command: "tsShape.checkWorkspace" },
    { label: "$(vm) Select the interpreter that has torch…", command: "tsShape.selectInterpreter" },
    { label: "$(debug-restart) Restart the agent", command: "tsShape.restartAgent" },
    { label: "$(output) Show the log", command: "tsShape.showLog" },
  ];
  const picked = await vscode.window.showQuickPick(offered, { placeHolder: "TorchScript Shapes" });
  if (picked !== undefined) {
    await vscode.commands.executeCommand(picked.command);
  }
}

export async function activate(context: vscode.ExtensionContext): Promise<void> {
  const output = vscode.window.createOutputChannel("TorchScript Shapes", { log: true });
  const status = new StatusItem();
  status.follow(vscode.window.activeTextEditor);
  const started = new Server(path.join(context.extensionPath, "bundled"), output, status, executeCommand);
  server = started;
  const refresh = () => void started.refresh();
  context.subscriptions.push(
    output,
    status,
    vscode.window.onDidChangeActiveTextEditor((editor) => status.follow(editor)),
    vscode.workspace.onDidChangeConfiguration((event) => event.affectsConfiguration(SECTION) && refresh()),
    vscode.workspace.onDidGrantWorkspaceTrust(refresh),
    vscode.workspace.onDidChangeWorkspaceFolders(refresh),
    vscode.workspace.registerTextDocumentContentProvider(Pages.SCHEME, new Pages()),
    Archives.register(started),
    vscode.commands.registerCommand("tsShape.selectInterpreter", () => selectInterpreter(started)),
    vscode.commands.registerCommand("tsShape.showMenu", showMenu),
    vscode.commands.registerCommand("tsShape.showLog", () => output.show()),
    vscode.commands.registerCommand("tsShape.restartServer", () => started.restart()),
  );
  void onInterpreterChange(refresh).then((listener) => listener && context.subscriptions.push(listener));
  await started.refresh();
}

export async function deactivate(): Promise<void> {
  await server?.stop();
}

// A saved module opened in the editor: read-only, on the page of a report. Only the server's sandbox opens the file.
import * as path from "node:path";
import * as vscode from "vscode";
import { plainPage } from "./plain";
import type { Server } from "./server";

interface Answer {
  readonly message?: string;
  readonly html?: string;
}

export class Archives implements vscode.CustomReadonlyEditorProvider {
  static readonly VIEW = "tsShape.archive";

  private constructor(private readonly server: Server) {}

  static register(server: Server): vscode.Disposable {
    const options = { webviewOptions: { enableFindWidget: true }, supportsMultipleEditorsPerDocument: true };
    return vscode.window.registerCustomEditorProvider(Archives.VIEW, new Archives(server), options);
  }

  openCustomDocument(uri: vscode.Uri): vscode.CustomDocument {
    return { uri, dispose: () => undefined };
  }

  /** Shown at once, and read anew when the file is written or the workspace becomes trusted. */
  async resolveCustomEditor({ uri }: vscode.CustomDocument, panel: vscode.WebviewPanel): Promise<void> {
    panel.webview.options = { enableScripts: true };
    const pattern = new vscode.RelativePattern(vscode.Uri.joinPath(uri, ".."), path.basename(uri.path));
    const watcher = vscode.workspace.createFileSystemWatcher(pattern);
    let reading = 0;
    const read = async (): Promise<void> => {
      reading += 1;
      const mine = reading;
      const html = await this.page(uri);
      if (mine === reading) {
        panel.webview.html = html;
      }
    };
    const trusted = vscode.workspace.onDidGrantWorkspaceTrust(async () => {
      await this.server.refresh();
      await read();
    });
    watcher.onDidChange(read);
    watcher.onDidCreate(read);
    panel.onDidDispose(() => {
      reading += 1;
      watcher.dispose();
      trusted.dispose();
    });
    panel.webview.html = plainPage(`${path.basename(uri.path)} is being read.`);
    await read();
  }

  private async page(uri: vscode.Uri): Promise<string> {
    const name = path.basename(uri.path);
    if (uri.scheme !== "file") {
      return plainPage(`${name} is no file of this machine, so it cannot be looked into.`);
    }
    try {
      const answer = (await this.server.ask("tsShape.inspectArchive", { path: uri.fsPath })) as Answer | undefined;
      return answer?.html ?? plainPage(answer?.message ?? `${name} is not read: the server does not run.`);
    } catch (error) {
      return plainPage(`${name} could not be read: ${String(error)}`);
    }
  }
}

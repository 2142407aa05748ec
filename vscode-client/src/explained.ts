// The page of a diagnostic's code, rendered at its heading: the server links to a file of markdown, which an editor would
// open as text.
import * as vscode from "vscode";

const EXPLAIN = "tsShape.explainCode";

/** The same findings with codes that open the rendered page. */
export function explained<Findings extends readonly vscode.Diagnostic[]>(found: Findings): Findings {
  for (const item of found) {
    if (typeof item.code === "object" && item.code.target.scheme === "file") {
      const asked = encodeURIComponent(JSON.stringify([item.code.target.toString()]));
      item.code = { ...item.code, target: vscode.Uri.parse(`command:${EXPLAIN}?${asked}`) };
    }
  }
  return found;
}

export function register(): vscode.Disposable {
  return vscode.commands.registerCommand(EXPLAIN, (page: unknown) =>
    typeof page === "string" ? vscode.commands.executeCommand("markdown.showPreview", vscode.Uri.parse(page)) : undefined,
  );
}

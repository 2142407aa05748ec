// What the Python extension knows, where it is installed: the interpreter that is active for a folder.
import { PythonExtension } from "@vscode/python-extension";
import * as vscode from "vscode";

let api: Promise<PythonExtension> | undefined;

async function pythonExtension(): Promise<PythonExtension | undefined> {
  if (vscode.extensions.getExtension("ms-python.python") === undefined) {
    return undefined;
  }
  api ??= PythonExtension.api();
  try {
    const found = await api;
    await found.ready;
    return found;
  } catch (error) {
    api = undefined;
    throw error;
  }
}

export async function activeInterpreter(
  output: vscode.LogOutputChannel,
  folder: vscode.Uri | undefined,
): Promise<string | undefined> {
  try {
    const environments = (await pythonExtension())?.environments;
    const active = environments?.getActiveEnvironmentPath(folder);
    const resolved = active === undefined ? undefined : await environments?.resolveEnvironment(active);
    return resolved?.executable.uri?.fsPath;
  } catch (error) {
    output.warn(`The Python extension does not tell its interpreter: ${String(error)}`);
    return undefined;
  }
}

export async function onInterpreterChange(changed: () => void): Promise<vscode.Disposable | undefined> {
  const found = await pythonExtension().catch(() => undefined);
  return found?.environments.onDidChangeActiveEnvironmentPath(changed);
}

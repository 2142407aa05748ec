// The server process and its client: started, told of settings, and restarted when what it was started with changes.
import * as fs from "node:fs";
import * as os from "node:os";
import * as path from "node:path";
import * as vscode from "vscode";
import {
  DidChangeConfigurationNotification,
  type Executable,
  ExecuteCommandRequest,
  LanguageClient,
  type LanguageClientOptions,
  type Middleware,
  RevealOutputChannelOn,
  State,
} from "vscode-languageclient/node";
import { type Choice, choose, type Machine, probingWith, versionOf } from "./interpreter";
import { activeInterpreter } from "./python";
import { Coalesced } from "./restarts";
import { chosen, type Nested } from "./settings";
import type { StatusView } from "./status";

export const SECTION = "tsShape";

function realpath(file: string): string {
  try {
    return fs.realpathSync(file);
  } catch {
    return file;
  }
}

export class Server {
  private client: LanguageClient | undefined;
  private startedWith: string | undefined;
  private choice: Choice | undefined;
  private readonly refreshing = new Coalesced(() => this.settle());

  constructor(
    private readonly bundled: string,
    private readonly output: vscode.LogOutputChannel,
    private readonly status: StatusView,
    private readonly executeCommand: NonNullable<Middleware["executeCommand"]>,
  ) {}

  /**
   * Bring the server in line with the settings: restart it if it would be started differently, else tell it. One that
   * did not start, or has ended too often to be restarted by itself, is started anew: the cause may be gone.
   */
  refresh(): Promise<void> {
    return this.refreshing.request();
  }

  restart(): Promise<void> {
    this.startedWith = undefined;
    return this.refresh();
  }

  async stop(): Promise<void> {
    const client = this.client;
    this.client = undefined;
    this.startedWith = undefined;
    if (client === undefined) {
      return;
    }
    try {
      await client.stop(5_000);
    } catch (error) {
      this.output.warn(`The server did not stop in an orderly way: ${String(error)}`);
    }
    await client.dispose(1_000).catch(() => undefined);
  }

  /** What the server answers to a command of its own; undefined where no server runs. */
  async ask(command: string, argument: object): Promise<unknown> {
    await this.refreshing.settled();
    return this.client?.sendRequest(ExecuteCommandRequest.type, { command, arguments: [argument] });
  }

  machine(): Machine {
    const folder = vscode.workspace.isTrusted ? (folders()[0] ?? os.homedir()) : os.homedir();
    return { exists: fs.existsSync, realpath, version: (file) => versionOf(file, folder) };
  }

  /** What decides about the interpreter of a folder; without one, of the first. */
  async surroundings(folder = vscode.workspace.workspaceFolders?.[0]?.uri): Promise<Parameters<typeof choose>[0]> {
    const configuration = vscode.workspace.getConfiguration(SECTION, folder);
    return {
      setting: configuration.get<string | null>("interpreter") ?? undefined,
      serverSetting: configuration.get<string | null>("server.python") ?? undefined,
      active: await activeInterpreter(this.output, folder),
      folders: folders(folder),
      trusted: vscode.workspace.isTrusted,
      home: os.homedir(),
      path: (process.env.PATH ?? "").split(path.delimiter),
      platform: process.platform,
    };
  }

  private async settle(): Promise<void> {
    const choice = await choose(await this.surroundings(), this.machine());
    this.choice = choice;
    const key = JSON.stringify([choice.server, choice.probing, vscode.workspace.isTrusted]);
    if (key === this.startedWith && this.client !== undefined && this.client.state !== State.Stopped) {
      const settings = { [SECTION]: this.settings() };
      await this.client.sendNotification(DidChangeConfigurationNotification.type, { settings });
      return;
    }
    await this.stop();
    if (choice.server === undefined) {
      const problem = choice.problem ?? "No Python was found to run the server.";
      this.output.error(problem);
      this.status.failed(problem);
      void offerInterpreter(problem);
      return;
    }
    this.startedWith = key;
    await this.start(choice.server);
  }

  private async start(python: string): Promise<void> {
    const executable: Executable = {
      command: python,
      args: ["-I", "-X", "utf8", path.join(this.bundled, "server.py"), "serve", "--stdio"],
      options: { cwd: vscode.workspace.isTrusted ? (folders()[0] ?? os.homedir()) : os.homedir() },
    };
    this.output.info(`Starting ${executable.command} ${executable.args?.join(" ")}`);
    const client = new LanguageClient("tsShape", "TorchScript Shapes", executable, this.options());
    this.client = client;
    client.onDidChangeState(({ newState }) => {
      if (this.client === client) {
        this.follow(newState);
      }
    });
    client.onNotification("tsShape/status", (status: unknown) => this.status.told(status));
    try {
      await client.start();
    } catch (error) {
      this.output.error(`The server did not start: ${String(error)}`);
      this.status.failed("The server did not start; the log says why.");
    }
  }

  /** The language client restarts a server that has crashed, so each state may come more than once. */
  private follow(state: State): void {
    void vscode.commands.executeCommand("setContext", "tsShape.running", state === State.Running);
    if (state === State.Starting) {
      this.status.starting();
    } else if (state === State.Running) {
      this.status.started();
    } else {
      this.status.failed("The server has ended; the log says why.");
    }
  }

  private options(): LanguageClientOptions {
    return {
      documentSelector: [
        { scheme: "file", language: "python" },
        { scheme: "untitled", language: "python" },
        { notebook: "jupyter-notebook", language: "python" },
      ],
      initializationOptions: () => ({ settings: this.settings(), trusted: vscode.workspace.isTrusted }),
      initializationFailedHandler: () => false,
      outputChannel: this.output,
      revealOutputChannelOn: RevealOutputChannelOn.Never,
      middleware: {
        executeCommand: this.executeCommand,
        workspace: {
          configuration: async (asked, token, next) => {
            const answers = await next(asked, token);
            return Array.isArray(answers)
              ? Promise.all(
                  answers.map((answer, at) => {
                    const item = asked.items[at];
                    return item?.section === SECTION ? this.settingsOf(item.scopeUri) : answer;
                  }),
                )
              : answers;
          },
        },
      },
    };
  }

  /** Those of a folder, with the interpreter that is chosen for it. */
  private async settingsOf(uri: string | undefined): Promise<Nested> {
    if (uri === undefined) {
      return this.settings();
    }
    const folder = vscode.Uri.parse(uri);
    return written(folder, probingWith(await this.surroundings(folder), this.machine()));
  }

  /** Those of the window. Where folders are open, the interpreter that is chosen for one of them is not for all. */
  private settings(): Nested {
    return written(undefined, folders().length === 0 ? this.choice?.probing : undefined);
  }
}

function written(folder: vscode.Uri | undefined, probing: string | undefined): Nested {
  const configuration = vscode.workspace.getConfiguration(SECTION, folder);
  const settings = chosen((key) => configuration.inspect(key), vscode.workspace.isTrusted);
  return probing === undefined ? settings : { ...settings, interpreter: probing };
}

async function offerInterpreter(problem: string): Promise<void> {
  const select = "Select Interpreter";
  if ((await vscode.window.showErrorMessage(problem, select)) === select) {
    await vscode.commands.executeCommand("tsShape.selectInterpreter");
  }
}

/** The folders of the window; the one that is asked about first. */
export function folders(first?: vscode.Uri): string[] {
  const found = (vscode.workspace.workspaceFolders ?? [])
    .filter((folder) => folder.uri.scheme === "file")
    .map((folder) => folder.uri.fsPath);
  return first === undefined ? found : [...new Set([first.fsPath, ...found])];
}

/** The folder of the file in front; the first where that is in none. */
export function folderInFront(editor = vscode.window.activeTextEditor): vscode.WorkspaceFolder | undefined {
  const file = editor === undefined ? undefined : vscode.Uri.file(editor.document.uri.fsPath);
  const around = file === undefined ? undefined : vscode.workspace.getWorkspaceFolder(file);
  return around ?? vscode.workspace.workspaceFolders?.[0];
}

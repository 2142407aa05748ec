// Which Python runs the server, and which one the server probes with. No `vscode` here: what the editor knows comes in
// as plain values, so that the order below is what the tests test.
import { execFile } from "node:child_process";
import * as path from "node:path";
import { mayRun } from "./trust";

export type Version = readonly [major: number, minor: number];

/** The oldest Python that the server runs on. An interpreter to probe with may be older. */
export const OLDEST: Version = [3, 10];

export interface Surroundings {
  /** `tsShape.interpreter` as written, or nothing. */
  readonly setting: string | undefined;
  /** `tsShape.server.python` as written, or nothing. */
  readonly serverSetting: string | undefined;
  /** The interpreter that the Python extension has chosen for the first of the folders. */
  readonly active: string | undefined;
  /** The folder that is asked about, then the others. */
  readonly folders: readonly string[];
  readonly trusted: boolean;
  readonly home: string;
  /** The folders of the PATH variable. */
  readonly path: readonly string[];
  readonly platform: NodeJS.Platform;
}

export interface Machine {
  exists(file: string): boolean;
  realpath(file: string): string;
  /** The version of an interpreter, or undefined when it does not run. */
  version(file: string): Promise<Version | undefined>;
}

export interface Choice {
  /** What runs the server; undefined: nothing can, and `problem` says so. */
  readonly server: string | undefined;
  /** What the server is told to probe with; undefined: it looks for one with torch by itself. */
  readonly probing: string | undefined;
  readonly problem: string | undefined;
}

/** `~` and `${workspaceFolder}` written out, a relative path made absolute. A bare name stays, for PATH. */
export function expand(written: string, around: Pick<Surroundings, "folders" | "home">): string {
  const folder = around.folders[0] ?? around.home;
  const expanded = written.replace(/^~(?=$|[\\/])/, around.home).replaceAll("${workspaceFolder}", folder);
  return /[\\/]/.test(expanded) ? path.resolve(folder, expanded) : expanded;
}

function onPath(names: readonly string[], around: Surroundings, machine: Machine): string[] {
  const suffix = around.platform === "win32" ? ".exe" : "";
  const folders = around.path.filter((folder) => path.isAbsolute(folder));
  return names.flatMap((name) => {
    const files = folders.map((folder) => path.join(folder, name.endsWith(suffix) ? name : name + suffix));
    const found = files.find((file) => machine.exists(file) && mayRun(file, around, machine.realpath));
    return found === undefined ? [] : [found];
  });
}

function located(written: string | undefined, around: Surroundings, machine: Machine): string[] {
  if (written === undefined || written.trim() === "") {
    return [];
  }
  const file = expand(written.trim(), around);
  return path.isAbsolute(file) ? [file] : onPath([file], around, machine);
}

function environments(around: Surroundings, machine: Machine): string[] {
  const inside = around.platform === "win32" ? ["Scripts", "python.exe"] : ["bin", "python"];
  return around.folders
    .flatMap((folder) => [".venv", "venv"].map((name) => path.join(folder, name, ...inside)))
    .filter((file) => machine.exists(file));
}

/**
 * The interpreters that may run the server, best first:
 *
 * 1. `tsShape.server.python`
 * 2. `tsShape.interpreter`
 * 3. the Python extension's active interpreter
 * 4. `.venv`, then `venv`, of each folder
 * 5. `python3`, `python`, then `python3.14` … `python3.10` on PATH
 *
 * Nothing that lies inside an untrusted folder is among them.
 */
export function candidates(around: Surroundings, machine: Machine): string[] {
  const numbered = [14, 13, 12, 11, 10].map((minor) => `python3.${minor}`);
  const found = [
    ...located(around.serverSetting, around, machine),
    ...located(around.setting, around, machine),
    ...(around.active === undefined ? [] : [around.active]),
    ...environments(around, machine),
    ...onPath(["python3", "python", ...numbered], around, machine),
  ];
  return [...new Set(found)].filter((file) => mayRun(file, around, machine.realpath));
}

/** The interpreter that the server is told to probe with, in the first of the folders; undefined: it looks by itself. */
export function probingWith(around: Surroundings, machine: Machine): string | undefined {
  const setting = around.setting?.trim();
  const wanted = setting ? (located(setting, around, machine)[0] ?? expand(setting, around)) : around.active;
  return wanted !== undefined && mayRun(wanted, around, machine.realpath) ? wanted : undefined;
}

/**
 * What runs the server and what it probes with. A setting is passed on even if it names nothing that runs: the server
 * says what is wrong with it. Without a setting and without the Python extension the server looks by itself, because it
 * alone knows which interpreter has torch.
 */
export async function choose(around: Surroundings, machine: Machine): Promise<Choice> {
  const probing = probingWith(around, machine);
  const seen: string[] = [];
  for (const file of candidates(around, machine)) {
    const version = await machine.version(file);
    if (version !== undefined && (version[0] > OLDEST[0] || (version[0] === OLDEST[0] && version[1] >= OLDEST[1]))) {
      return { server: file, probing, problem: undefined };
    }
    seen.push(version === undefined ? `${file} does not run` : `${file} is ${version.join(".")}`);
  }
  const tried = seen.length === 0 ? "none was found" : seen.join("; ");
  const problem = `The server needs Python ${OLDEST.join(".")} or newer, and ${tried}. Set tsShape.server.python.`;
  return { server: undefined, probing, problem };
}

/** Ask an interpreter for its version. A pyenv shim answers for the folder it is asked in. */
export function versionOf(file: string, folder: string): Promise<Version | undefined> {
  const script = "import sys; print('%d.%d' % sys.version_info[:2])";
  return new Promise((resolve) => {
    execFile(file, ["-I", "-c", script], { cwd: folder, timeout: 10_000, windowsHide: true }, (error, stdout) => {
      const match = error === null ? /^(\d+)\.(\d+)\s*$/.exec(stdout) : null;
      resolve(match === null ? undefined : [Number(match[1]), Number(match[2])]);
    });
  });
}

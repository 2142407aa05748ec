// What workspace trust withholds on this side. The server refuses for itself; the client must not start a stranger's
// interpreter before there is a server to refuse anything.
import * as path from "node:path";

/** What a workspace may not set before it is trusted; `restrictedConfigurations` in package.json says the same. */
export const RESTRICTED = ["interpreter", "extraPaths", "env", "readable", "sandbox", "server.python"] as const;

/** What a workspace may not set even when it is trusted: the sandbox is for the one that was trusted too soon. */
export const USERS_OWN = ["sandbox", "readable"] as const;

function inside(file: string, folder: string): boolean {
  const relative = path.relative(folder, file);
  return relative === "" || (!relative.startsWith(`..${path.sep}`) && relative !== ".." && !path.isAbsolute(relative));
}

/**
 * Whether an interpreter may be started: any in a trusted workspace, none from inside the folders of an untrusted one,
 * be it by its own path (a virtual environment whose `python` links to the system's), by what the path leads to, or by
 * the folder that it is started from, where Python looks for `pyvenv.cfg`.
 */
export function mayRun(
  file: string,
  workspace: { readonly folders: readonly string[]; readonly trusted: boolean },
  realpath: (file: string) => string,
): boolean {
  if (workspace.trusted) {
    return true;
  }
  const spellings = [file, realpath(file), path.join(realpath(path.dirname(file)), path.basename(file))];
  const folders = workspace.folders.flatMap((folder) => [folder, realpath(folder)]);
  return !spellings.some((spelling) => folders.some((folder) => inside(spelling, folder)));
}

import assert from "node:assert/strict";
import { test } from "node:test";
import { candidates, choose, expand, type Machine, type Surroundings, type Version } from "../src/interpreter";

const BARE: Surroundings = {
  setting: undefined,
  serverSetting: undefined,
  active: undefined,
  folders: ["/code/net"],
  trusted: true,
  home: "/home/me",
  path: ["/usr/local/bin", "/usr/bin"],
  platform: "linux",
};

function machine(versions: Record<string, Version | undefined>, links: Record<string, string> = {}): Machine {
  return {
    exists: (file) => file in versions,
    realpath: (file) => links[file] ?? file,
    version: async (file) => versions[file],
  };
}

const FULL = machine({
  "/code/net/.venv/bin/python": [3, 11],
  "/code/net/venv/bin/python": [3, 12],
  "/usr/bin/python3": [3, 11],
  "/usr/local/bin/python3.12": [3, 12],
});

function order(name: string, around: Partial<Surroundings>, expected: string[], on: Machine = FULL): void {
  test(name, () => assert.deepEqual(candidates({ ...BARE, ...around }, on), expected));
}

order("without settings: the folder's environments, then PATH", {}, [
  "/code/net/.venv/bin/python",
  "/code/net/venv/bin/python",
  "/usr/bin/python3",
  "/usr/local/bin/python3.12",
]);
order(
  "settings come first, then what the Python extension has chosen",
  { serverSetting: "/opt/server", setting: "~/py", active: "/opt/active", folders: [] },
  ["/opt/server", "/home/me/py", "/opt/active", "/usr/bin/python3", "/usr/local/bin/python3.12"],
);
order("a bare name is looked up on PATH, and none stands twice", { setting: "python3", folders: [] }, [
  "/usr/bin/python3",
  "/usr/local/bin/python3.12",
]);
order("nothing from inside an untrusted folder", { trusted: false, active: "/code/net/env/bin/python" }, [
  "/usr/bin/python3",
  "/usr/local/bin/python3.12",
]);
order(
  "nothing that a link leads into an untrusted folder, and no folder on PATH that lies in it",
  { trusted: false, setting: "/opt/link", path: ["/code/net/bin", ".", "/usr/bin"] },
  ["/usr/bin/python3"],
  machine({ "/code/net/bin/python3": [3, 11], "/usr/bin/python3": [3, 11] }, { "/opt/link": "/code/net/bin/python3" }),
);
order(
  "an untrusted folder's environment reached through a linked folder, with the system's Python behind it",
  { trusted: false, setting: "/opt/env/bin/python", path: [] },
  [],
  machine({}, { "/opt/env/bin": "/code/net/.venv/bin", "/opt/env/bin/python": "/usr/bin/python3" }),
);
order(
  "an untrusted folder that is itself reached by a link",
  { trusted: false, setting: "/real/net/python", folders: ["/code/net"], path: [] },
  [],
  machine({}, { "/code/net": "/real/net" }),
);
order(
  "environments on Windows",
  { platform: "win32", folders: ["/w"], path: [] },
  ["/w/.venv/Scripts/python.exe"],
  machine({ "/w/.venv/Scripts/python.exe": [3, 11] }),
);

test("a setting is written out", () => {
  assert.equal(expand("${workspaceFolder}/.venv/bin/python", BARE), "/code/net/.venv/bin/python");
  assert.equal(expand("env/bin/python", BARE), "/code/net/env/bin/python");
  assert.equal(expand("~/env/bin/python", BARE), "/home/me/env/bin/python");
  assert.equal(expand("python3.11", BARE), "python3.11");
});

test("the server runs on the interpreter that it probes with", async () => {
  const choice = await choose({ ...BARE, setting: "/usr/bin/python3" }, FULL);
  assert.deepEqual(choice, { server: "/usr/bin/python3", probing: "/usr/bin/python3", problem: undefined });
});

test("an older interpreter is probed with, and another one runs the server", async () => {
  const on = machine({ "/old/python": [3, 9], "/usr/bin/python3": [3, 11] });
  const choice = await choose({ ...BARE, setting: "/old/python" }, on);
  assert.deepEqual(choice, { server: "/usr/bin/python3", probing: "/old/python", problem: undefined });
});

test("without a choice of the user's the server looks for torch by itself", async () => {
  const choice = await choose(BARE, FULL);
  assert.deepEqual(choice, { server: "/code/net/.venv/bin/python", probing: undefined, problem: undefined });
});

test("a setting that names nothing is passed on, for the server to complain of", async () => {
  const choice = await choose({ ...BARE, setting: "nowhere" }, FULL);
  assert.deepEqual(choice, { server: "/code/net/.venv/bin/python", probing: "nowhere", problem: undefined });
});

test("an untrusted folder's interpreter is not probed with", async () => {
  const choice = await choose({ ...BARE, trusted: false, active: "/code/net/.venv/bin/python" }, FULL);
  assert.deepEqual(choice, { server: "/usr/bin/python3", probing: undefined, problem: undefined });
});

test("when nothing can run the server, every one tried is named", async () => {
  const on = machine({ "/usr/bin/python3": [3, 9], "/usr/bin/python": undefined });
  const choice = await choose({ ...BARE, active: "/old/python" }, on);
  assert.equal(choice.server, undefined);
  assert.equal(
    choice.problem,
    "The server needs Python 3.10 or newer, and /old/python does not run; /usr/bin/python3 is 3.9; " +
      "/usr/bin/python does not run. Set tsShape.server.python.",
  );
});

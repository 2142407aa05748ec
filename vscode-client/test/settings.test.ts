import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { chosen, type Inspected, KEYS } from "../src/settings";
import { RESTRICTED, USERS_OWN } from "../src/trust";

function check(name: string, values: Record<string, Inspected>, trusted: boolean, expected: object): void {
  test(name, () => assert.deepEqual(chosen((key) => values[key], trusted), expected));
}

check("what nobody has set is not sent", { jobs: {}, interpreter: { globalValue: null } }, true, {});
check(
  "dots become tables",
  { "hover.waitMs": { globalValue: 0 }, "diagnostics.scriptErrors": { workspaceValue: false } },
  true,
  { hover: { waitMs: 0 }, diagnostics: { scriptErrors: false } },
);
check(
  "the folder wins over the workspace, the workspace over the user",
  {
    jobs: { globalValue: 1, workspaceValue: 2, workspaceFolderValue: 3 },
    debounceMs: { globalValue: 5, workspaceValue: 6 },
  },
  true,
  { jobs: 3, debounceMs: 6 },
);
check("tables are merged", { env: { globalValue: { A: "1", B: "1" }, workspaceValue: { B: "2" } } }, true, {
  env: { A: "1", B: "2" },
});
check(
  "an untrusted workspace sets nothing that is restricted",
  {
    interpreter: { globalValue: "/mine", workspaceValue: "./theirs" },
    env: { workspaceValue: { LD_PRELOAD: "x" } },
    sandbox: { workspaceFolderValue: "off" },
    inlayHints: { workspaceValue: "all" },
  },
  false,
  { interpreter: "/mine", inlayHints: "all" },
);

check(
  "a trusted workspace does not choose its own sandbox",
  { sandbox: { globalValue: "bestEffort", workspaceValue: "off", workspaceFolderValue: "off" }, jobs: { workspaceValue: 2 } },
  true,
  { sandbox: "bestEffort", jobs: 2 },
);

test("package.json offers exactly the keys that are sent, and restricts the same ones", () => {
  const manifest = JSON.parse(readFileSync(join(process.cwd(), "package.json"), "utf8"));
  const offered = Object.keys(manifest.contributes.configuration.properties);
  const own = ["server.python", "trace.server"];
  assert.deepEqual([...offered].sort(), [...KEYS, ...own].map((key) => `tsShape.${key}`).sort());
  const restricted: string[] = manifest.capabilities.untrustedWorkspaces.restrictedConfigurations;
  assert.deepEqual([...restricted].sort(), RESTRICTED.map((key) => `tsShape.${key}`).sort());
  for (const key of USERS_OWN) {
    assert.equal(manifest.contributes.configuration.properties[`tsShape.${key}`].scope, "machine");
  }
});

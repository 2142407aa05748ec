import assert from "node:assert/strict";
import { test } from "node:test";
import { failed, parse, parseWindow, shown, shownOf, type Status } from "../src/status";

const QUIET: Status = { interpreter: "/v/bin/python", torch: "2.13.0+cpu", tier: "full", running: 0, message: "", engine: "symbolic" };

function check(name: string, status: Partial<Status>, text: string, tooltip: RegExp, warning = false): void {
  test(name, () => {
    const found = shown({ ...QUIET, ...status });
    assert.equal(found.text, text);
    assert.match(found.tooltip, tooltip);
    assert.equal(found.warning, warning);
  });
}

check("at rest: torch's version, without its build", {}, "$(symbol-array) torch 2.13.0", /`\/v\/bin\/python`/);
check("the sandbox is told in words", { tier: "limits" }, "$(symbol-array) torch 2.13.0", /bounded time and memory/);
check("an unknown tier is told as it is", { tier: "odd" }, "$(symbol-array) torch 2.13.0", /Sandbox odd/);
check("the engine is told in words", { engine: "numbers" }, "$(symbol-array) torch 2.13.0", /tried one by one/);
check("probing", { running: 2 }, "$(loading~spin) torch 2.13.0", /2 probes are running/);
check("no agent yet", { torch: null, interpreter: null, tier: null, engine: null }, "$(symbol-array) shapes", /nn\.Modules/);
check("something is wrong", { message: "No torch in /v." }, "$(warning) shapes", /^No torch in \/v\.\n/, true);
check("what is wrong is no markup", { message: "[x](command:y)" }, "$(warning) shapes", /^\\\[x\\\]\\\(/, true);

test("a server that did not start", () => {
  assert.deepEqual(failed("No Python."), { text: "$(error) shapes", tooltip: "No Python.", warning: true });
});

test("anything may come over the wire", () => {
  const unknown = { interpreter: null, torch: null, tier: null, running: 0, message: "", engine: null };
  for (const data of [null, undefined, 7, "x", [], { running: "1", torch: 2 }]) {
    assert.deepEqual(parse(data), unknown);
  }
  assert.deepEqual(parse(QUIET), QUIET);
});

test("of several folders, the one of the file in front is told", () => {
  const there = { ...QUIET, path: "/b", torch: "2.2.2", interpreter: "/b/.venv/bin/python" };
  const window = parseWindow({ ...QUIET, folders: [{ ...QUIET, path: "/a" }, there] });
  const found = shownOf(window, { path: "/b", name: "b" });
  assert.equal(found.text, "$(symbol-array) torch 2.2.2");
  assert.match(found.tooltip, /^In the folder b:\n\ntorch 2\.2\.2\n/);
  assert.match(found.tooltip, /`\/b\/\.venv\/bin\/python`/);
  assert.equal(shownOf(window, { path: "/elsewhere", name: "c" }).text, "$(symbol-array) torch 2.13.0");
  assert.doesNotMatch(shownOf(parseWindow({ ...QUIET, folders: [there] }), { path: "/b", name: "b" }).tooltip, /folder/);
  assert.deepEqual(parseWindow({ folders: [null, 3] }).front.interpreter, null);
});

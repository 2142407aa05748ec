import assert from "node:assert/strict";
import { test } from "node:test";
import { answered, rows } from "../src/choices";

const described = (choices: Parameters<typeof rows>[0]) =>
  Object.fromEntries(rows(choices).map(({ question, description }) => [question, description]));

test("exporting is the first row, so that Enter alone exports", () => {
  assert.equal(rows({ method: "auto" })[0]?.question, "export");
});

test("rows tell what is chosen", () => {
  const seen = described({ method: "trace", checkpoint: "/w/best.pt", dtype: "float16" });
  assert.deepEqual(seen, { export: "choose the file", checkpoint: "/w/best.pt", method: "trace", dtype: "float16" });
  const plain = described({ method: "auto" });
  assert.equal(plain["checkpoint"], "as the constructor makes them");
  assert.equal(plain["dtype"], "as built");
});

test("a program has no method to choose", () => {
  assert.equal("method" in described({ method: "program" }), false);
});

test("an answer replaces the one before, and undefined takes it back", () => {
  const chosen = answered(answered({ method: "auto" }, { dtype: "float16" }), { checkpoint: "a.pt" });
  assert.deepEqual(chosen, { method: "auto", dtype: "float16", checkpoint: "a.pt" });
  assert.deepEqual(answered(chosen, { dtype: undefined }), { method: "auto", checkpoint: "a.pt" });
});

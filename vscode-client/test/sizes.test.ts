// Dims worked out for sizes that a reader tries.
import assert from "node:assert/strict";
import { test } from "node:test";
import { refused, shapeText, valueOf } from "../report/sizes";

test("a dim is worked out as Python does", () => {
  const sizes = { H: 7, W: 3 };
  assert.equal(valueOf("H//2", sizes), 3);
  assert.equal(valueOf("(H - 1)//2 + 1", sizes), 4);
  assert.equal(valueOf("2*H*W - 1", sizes), 41);
  assert.equal(valueOf("-H//2", sizes), -4);
  assert.equal(valueOf("-H % 4", sizes), 1);
  assert.equal(valueOf(12, sizes), 12);
});

test("what sizes do not tell stays as it is", () => {
  assert.equal(valueOf("?", { H: 1 }), undefined);
  assert.equal(valueOf("H + L", { H: 1 }), undefined);
  assert.equal(valueOf("H//0", { H: 1 }), undefined);
  assert.equal(valueOf("H H", { H: 1 }), undefined);
  assert.equal(valueOf("toString", {}), undefined);
  assert.equal(shapeText(["B", "L", 3], { B: 2 }), "(2, L, 3)");
  assert.equal(shapeText(["B", "H//2"], undefined), "(B, H//2)");
});

test("sizes outside of the claim are refused with a reason", () => {
  const symbols = { H: { min: 28, max: 29, step: 1 }, W: { min: 8, max: null, step: 8 } };
  assert.equal(refused({ H: 28, W: 16 }, symbols, []), undefined);
  assert.match(refused({ H: 30, W: 16 }, symbols, []) ?? "", /H has to be at least 28, at most 29/);
  assert.match(refused({ H: 28, W: 12 }, symbols, []) ?? "", /a multiple of 8/);
  assert.match(refused({ H: 28 }, symbols, []) ?? "", /W has to be a whole number/);
  assert.equal(refused({ H: 28, W: 16 }, symbols, ["H < W"]), "H < W");
  assert.equal(refused({ H: 28, W: 16 }, symbols, ["H > W", "H + X == 3"]), undefined);
});

import assert from "node:assert/strict";
import { test } from "node:test";
import { Coalesced } from "../src/restarts";

function gated(): { runs: number; open: () => void; coalesced: Coalesced } {
  const gates: (() => void)[] = [];
  const state = {
    runs: 0,
    open: () => gates.shift()?.(),
    coalesced: new Coalesced(async () => {
      state.runs += 1;
      await new Promise<void>((resolve) => gates.push(resolve));
    }),
  };
  return state;
}

const soon = () => new Promise((resolve) => setImmediate(resolve));

test("requests during a run lead to one more run, and all of them wait for it", async () => {
  const state = gated();
  const done = Promise.all([state.coalesced.request(), state.coalesced.request(), state.coalesced.request()]);
  state.open();
  await soon();
  assert.equal(state.runs, 2);
  state.open();
  await done;
  assert.equal(state.runs, 2);
});

test("a request after a run runs again", async () => {
  const state = gated();
  const first = state.coalesced.request();
  state.open();
  await first;
  const second = state.coalesced.request();
  state.open();
  await second;
  assert.equal(state.runs, 2);
});

test("a run that fails does not block the next", async () => {
  let fail = true;
  const coalesced = new Coalesced(async () => {
    if (fail) {
      throw new Error("no");
    }
  });
  await assert.rejects(coalesced.request());
  fail = false;
  await coalesced.request();
});

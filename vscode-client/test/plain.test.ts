import assert from "node:assert/strict";
import { test } from "node:test";
import { plainPage } from "../src/plain";

test("a sentence with a file's name is text on the page, and nothing is loaded or run there", () => {
  const page = plainPage(`<img src=x onerror="alert('x')">&.pt is being read.`);
  assert.ok(page.includes("&lt;img src=x onerror=&quot;alert(&#39;x&#39;)&quot;&gt;&amp;.pt is being read."));
  assert.ok(!page.includes("<img"));
  assert.ok(page.includes("default-src 'none'"));
});

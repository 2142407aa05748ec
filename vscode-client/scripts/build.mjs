// Bundle the extension into out/extension.js, or with --tests each test into out/test; the report's page goes into the
// server's package, which carries it for every editor and for `show --html`.
import { readFileSync, readdirSync, rmSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { build } from "esbuild";

const root = dirname(dirname(fileURLToPath(import.meta.url)));
const tests = process.argv.includes("--tests");
const outdir = join(root, tests ? "out/test" : "out");

if (tests) {
  rmSync(outdir, { recursive: true, force: true });
}
await build({
  absWorkingDir: root,
  bundle: true,
  entryPoints: tests
    ? readdirSync(join(root, "test")).filter((name) => name.endsWith(".test.ts")).map((name) => `test/${name}`)
    : ["src/extension.ts"],
  external: ["vscode"],
  format: "cjs",
  logLevel: "warning",
  minify: !tests,
  outdir,
  platform: "node",
  sourcemap: tests ? "inline" : false,
  target: "node20",
});
if (!tests) {
  // What is bundled goes with its licence.
  const licences = ["dagre", "graphlib"].map((name) => {
    const text = readFileSync(join(root, "node_modules/@dagrejs", name, "LICENSE"), "utf8");
    return `@dagrejs/${name}\n\n${text.trim()}`;
  });
  await build({
    absWorkingDir: root,
    bundle: true,
    entryPoints: ["report/main.ts"],
    footer: { js: `/*!\n${licences.join("\n\n")}\n*/` },
    format: "iife",
    legalComments: "inline",
    logLevel: "warning",
    minify: true,
    outfile: join(root, "../ts_shape_server/pages/report.js"),
    platform: "browser",
    target: "es2022",
  });
}

// Lay the server and its pure-Python dependencies into bundled/libs. Native code would tie the package to one platform
// and one Python, so only wheels for every platform are taken, and the result is looked through for native files.
import { spawnSync } from "node:child_process";
import { copyFileSync, cpSync, existsSync, readdirSync, rmSync } from "node:fs";
import { dirname, extname, join } from "node:path";
import { fileURLToPath } from "node:url";

const client = dirname(dirname(fileURLToPath(import.meta.url)));
const checkout = dirname(client);
const libs = join(client, "bundled", "libs");
const NATIVE = new Set([".so", ".pyd", ".dylib", ".dll", ".a", ".o"]);

function python() {
  const own = join(checkout, ".venv", process.platform === "win32" ? "Scripts/python.exe" : "bin/python");
  return process.env.PYTHON ?? (existsSync(own) ? own : "python3");
}

function* files(folder) {
  for (const entry of readdirSync(folder, { withFileTypes: true })) {
    const path = join(folder, entry.name);
    if (entry.isDirectory()) {
      yield* files(path);
    } else {
      yield path;
    }
  }
}

rmSync(libs, { recursive: true, force: true });
const installed = spawnSync(
  python(),
  [
    ...["-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-compile", "--no-deps"],
    ...["--implementation", "py", "--abi", "none", "--platform", "any", "--python-version", "3.10"],
    ...["--only-binary", ":all:", "--target", libs],
    ...["--requirement", join(client, "bundled-requirements.txt")],
  ],
  { stdio: "inherit" },
);
if (installed.status !== 0) {
  console.error(`bundle: ${python()} -m pip install failed; name another Python in PYTHON`);
  process.exit(1);
}
// Scripts, and the stubs that jedi reads for packages which have nothing to do with a module's base classes: two thirds
// of all files.
for (const unused of ["bin", "jedi/third_party/django-stubs", "jedi/third_party/typeshed/stubs"]) {
  rmSync(join(libs, unused), { recursive: true, force: true });
}
cpSync(join(checkout, "ts_shape_server"), join(libs, "ts_shape_server"), {
  recursive: true,
  filter: (path) => !path.endsWith("__pycache__"),
});
copyFileSync(join(checkout, "LICENSE"), join(client, "LICENSE"));
copyFileSync(join(checkout, "CHANGELOG.md"), join(client, "CHANGELOG.md"));

const all = [...files(libs)];
const native = all.filter((path) => NATIVE.has(extname(path)));
if (native.length > 0) {
  console.error(`bundle: native code cannot go into the package:\n${native.join("\n")}`);
  process.exit(1);
}
console.log(`bundle: ${all.length} files in bundled/libs, none of them native`);

// Use the packaged extension as a person does, and tell what was on the screen. One JSON argument in, one JSON line out:
// a scene that fails has an `error` and leaves a picture in `failures`; the scenes after it are not tried.
import { createRequire } from "node:module";
import { join } from "node:path";

const given = JSON.parse(process.argv[2]);
const { chromium } = createRequire(join(given.playwright, "x.js"))("playwright-core");
const BROWSER_FLAGS = [
  "--no-sandbox",
  "--disable-gpu",
  "--disable-quic",
  "--no-first-run",
  "--disable-background-networking",
  "--disable-component-update",
  "--disable-sync",
  // A page inside the workbench is painted only in the workbench's own process when there is no screen.
  "--disable-features=IsolateSandboxedIframes",
];
const PATIENCE = 60_000;

const browser = await chromium.launch({ executablePath: given.chromium, headless: true, args: BROWSER_FLAGS });
const page = await browser.newPage({ viewport: { width: 1180, height: 580 } });
page.setDefaultTimeout(PATIENCE);

const sleep = (milliseconds) => new Promise((resolve) => setTimeout(resolve, milliseconds));

/** Until `look` gives something; what it needs may be drawn later, or its first answer may be empty. */
async function eventually(what, look) {
  const end = Date.now() + PATIENCE;
  let last;
  while (Date.now() < end) {
    last = await look();
    if (last) {
      return last;
    }
    await sleep(250);
  }
  throw new Error(`${what} was not seen within ${PATIENCE / 1000} s`);
}

async function texts(selector) {
  return page.locator(selector).allInnerTexts();
}

/** The texts once two looks agree: a list that is being drawn anew shows rows made of the old one and the new one. */
async function settledTexts(selector) {
  const before = await texts(selector);
  await sleep(150);
  const after = await texts(selector);
  return JSON.stringify(before) === JSON.stringify(after) ? after : [];
}

async function picture(name) {
  if (given.screenshots) {
    await page.screenshot({ path: join(given.screenshots, `${name}.png`) });
  }
}

async function openFile(name) {
  await page.locator(".explorer-folders-view .monaco-list-row", { hasText: name }).dblclick();
  await page.locator(".tab.active", { hasText: name }).waitFor();
  await page.locator(".monaco-editor .view-line").first().waitFor();
}

async function command(title) {
  await page.keyboard.press("F1");
  await page.locator(".quick-input-widget input").fill(`>${title}`);
  await page.locator(".quick-input-list").getByText(title, { exact: true }).first().click();
}

/** The middle of a word's first drawing in the code. */
async function placeOf(word) {
  return eventually(`"${word}" in the code`, () =>
    page.evaluate((wanted) => {
      for (const line of document.querySelectorAll(".monaco-editor .view-lines .view-line")) {
        const walker = document.createTreeWalker(line, NodeFilter.SHOW_TEXT);
        for (let node = walker.nextNode(); node; node = walker.nextNode()) {
          const at = node.data.indexOf(wanted);
          if (at >= 0) {
            const range = document.createRange();
            range.setStart(node, at);
            range.setEnd(node, at + wanted.length);
            const { x, y, width, height } = range.getBoundingClientRect();
            return { x: x + width / 2, y: y + height / 2 };
          }
        }
      }
      return null;
    }, word),
  );
}

async function away() {
  await page.keyboard.press("Escape");
  await page.mouse.move(900, 540, { steps: 4 });
  await sleep(300);
}

/** Hover until what is shown matches: the first answer may say that a probe is under way. */
async function hover(word, expected) {
  return eventually(`a hover over "${word}" that matches ${expected}`, async () => {
    await away();
    const { x, y } = await placeOf(word);
    await page.mouse.move(x - 3, y, { steps: 4 });
    await page.mouse.move(x, y, { steps: 4 });
    await sleep(1_500);
    const shown = (await texts(".monaco-hover:not(.hidden) .hover-contents")).join("\n");
    return expected.test(shown) ? shown : null;
  });
}

/** The frame of the report's page once it tells of something; the code beside it has the same words. */
async function reportOf(words) {
  return eventually(`the report's page with ${words}`, async () => {
    for (const frame of page.frames()) {
      const text = await frame.locator("article").innerText({ timeout: 2_000 }).catch(() => "");
      if (words.test(text)) {
        return frame;
      }
    }
    return null;
  });
}

/** The line of code that the cursor stands in after a click on what the drawn flow calls `name`. */
async function ledTo(frame, name, expected) {
  await frame.locator("g.node", { hasText: name }).first().dispatchEvent("click");
  return eventually(`the cursor in a line that matches ${expected}`, async () => {
    const line = await page.evaluate(() => {
      const editor = document.querySelector(".monaco-editor.focused");
      const cursor = editor?.querySelector(".cursor")?.getBoundingClientRect();
      const lines = [...(editor?.querySelectorAll(".view-lines .view-line") ?? [])];
      const found = lines.find((each) => Math.abs(each.getBoundingClientRect().top - cursor?.top) < 4);
      return found?.innerText.replaceAll("\u00a0", " ");
    });
    return line !== undefined && expected.test(line) ? line : null;
  });
}

const scenes = {
  async untrusted() {
    await page.goto(given.url);
    await page.locator(".monaco-workbench .part.editor").waitFor();
    await openFile("simple_cnn.py");
    const shown = await hover("SimpleCNN", /not trusted/);
    await picture("untrusted");
    return shown;
  },
  async trusted() {
    await away();
    await command("Workspaces: Manage Workspace Trust");
    await page.locator(".workspace-trust-editor .monaco-button", { hasText: "Trust" }).first().click();
    await page.locator(".workspace-trust-editor", { hasText: "You trust this folder" }).waitFor();
    await command("View: Close All Editors");
    await openFile("simple_cnn.py");
    return eventually("torch in the status bar", async () =>
      (await texts(".statusbar-item")).find((text) => /torch \d/.test(text)),
    );
  },
  async interpreters() {
    await command("TorchScript Shapes: Select Interpreter");
    const offered = await eventually("interpreters", async () => {
      const rows = await texts(".quick-input-list .monaco-list-row");
      return rows.some((row) => /Python 3/.test(row)) ? rows : null;
    });
    await page.keyboard.press("Escape");
    return offered;
  },
  async hover() {
    await openFile("simple_cnn.py");
    await eventually("a lens", async () => (await texts(".codelens-decoration")).find((text) => /H, W/.test(text)));
    const shown = await hover("SimpleCNN", /28 or 29/);
    await picture("hover");
    await away();
    return { hover: shown, lenses: await texts(".codelens-decoration"), lines: await texts(".view-lines .view-line") };
  },
  async report() {
    await page.locator(".codelens-decoration a").first().click();
    await page.locator(".tab.active", { hasText: "SimpleCNN" }).waitFor();
    const frame = await reportOf(/MaxPool2d/);
    const shown = await frame.locator("article").innerText();
    // Scrolling a little has a page painted that was laid out before it was in sight.
    await page.mouse.move(900, 300, { steps: 4 });
    await page.mouse.wheel(0, 10);
    await sleep(1_500);
    await picture("report");
    const led = await ledTo(frame, "fc", /return self\.fc/);
    await command("View: Close All Editors");
    return { shown, led };
  },
  async notebook() {
    await page.locator(".explorer-folders-view .monaco-list-row", { hasText: "cells.ipynb" }).dblclick();
    await page.locator(".tab.active", { hasText: "cells.ipynb" }).waitFor();
    await eventually("a lens in a cell", async () => (await texts(".codelens-decoration")).find((text) => /B, 7/.test(text)));
    await page.locator(".codelens-decoration a").first().click();
    const frame = await reportOf(/Linear/);
    const led = await ledTo(frame, "inner", /self\.inner\(x\)/);
    await picture("notebook");
    await command("View: Close All Editors");
    return led;
  },
  async refusal() {
    await openFile("two_inputs.py");
    await page.locator(".squiggly-info").first().waitFor();
    const shown = await hover('"image"', /script-error/);
    await picture("refusal");
    return shown;
  },
  async fix() {
    await away();
    const { x, y } = await placeOf('"image"');
    await page.mouse.click(x, y);
    const offered = await eventually("a quick fix", async () => {
      await page.keyboard.press("Escape");
      await page.keyboard.press("Control+.");
      await sleep(1_500);
      const found = await texts(".action-widget .action-list-item, .action-widget .monaco-list-row");
      return found.some((text) => /annotat/i.test(text)) ? found : null;
    });
    await picture("fix");
    await page.locator(".action-widget .monaco-list-row", { hasText: /annotat/i }).first().click();
    await eventually("the annotation", async () =>
      (await texts(".view-lines .view-line")).find((text) => /batch:/.test(text.replaceAll("\u00a0", " "))),
    );
    await page.keyboard.press("Control+S");
    await page.locator(".squiggly-info").first().waitFor({ state: "detached" });
    await eventually("the lens of the fixed class", async () =>
      (await texts(".codelens-decoration")).find((text) => /script ✓/.test(text)),
    );
    return offered;
  },
  async export() {
    await openFile("simple_cnn.py");
    const { x, y } = await placeOf("SimpleCNN");
    await page.mouse.click(x, y);
    await command("TorchScript Shapes: Export TorchScript…");
    const rows = ".quick-input-list .monaco-list-row";
    await page.locator(rows, { hasText: "Dtype" }).click();
    await page.locator(rows, { hasText: "float64" }).click();
    const choices = await eventually("the dtype among what is chosen", async () => {
      const shown = await settledTexts(rows);
      return shown.some((text) => /Dtype.*float64/s.test(text)) ? shown : null;
    });
    await page.keyboard.press("Enter");
    const input = page.locator(".quick-input-widget input");
    await eventually("the file dialog", async () => /simple_cnn\.pt$/.test(await input.inputValue().catch(() => "")));
    const proposed = await input.inputValue();
    await input.fill(given.output);
    await page.keyboard.press("Enter");
    const told = await eventually("word of the export", async () =>
      (await texts(".notification-toast")).find((text) => /SimpleCNN|export/i.test(text) && !/Exporting/.test(text)),
    );
    await page.mouse.move(700, 400, { steps: 4 });
    await sleep(1_000);
    await picture("export");
    return { choices, proposed, told };
  },
};

const seen = {};
for (const [name, scene] of Object.entries(scenes)) {
  try {
    seen[name] = { shown: await scene() };
  } catch (error) {
    seen[name] = { error: String(error) };
    await page.screenshot({ path: join(given.failures, `${name}.png`) }).catch(() => undefined);
    break;
  }
}
await browser.close();
console.log(JSON.stringify(seen));

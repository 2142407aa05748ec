// A browser with a workbench in it, and what a person does there: open, hover, click, wait until something is drawn.
// One JSON argument in, one JSON line out: a scene that fails has an `error` and leaves a picture in `failures`; the
// scenes after it are not tried.
import { createRequire } from "node:module";
import { join } from "node:path";

export const given = JSON.parse(process.argv[2]);
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
export const page = await browser.newPage({ viewport: { width: 1180, height: 580 } });
page.setDefaultTimeout(PATIENCE);

export const sleep = (milliseconds) => new Promise((resolve) => setTimeout(resolve, milliseconds));

/** Until `look` gives something; what it needs may be drawn later, or its first answer may be empty. */
export async function eventually(what, look) {
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

export async function texts(selector) {
  return page.locator(selector).allInnerTexts();
}

/** The texts once two looks agree: a list that is being drawn anew shows rows made of the old one and the new one. */
export async function settledTexts(selector) {
  const before = await texts(selector);
  await sleep(150);
  const after = await texts(selector);
  return JSON.stringify(before) === JSON.stringify(after) ? after : [];
}

export async function picture(name) {
  if (given.screenshots) {
    await page.screenshot({ path: join(given.screenshots, `${name}.png`) });
  }
}

export async function openFile(name) {
  await page.locator(".explorer-folders-view .monaco-list-row", { hasText: name }).dblclick();
  await page.locator(".tab.active", { hasText: name }).waitFor();
  await page.locator(".monaco-editor .view-line").first().waitFor();
}

/** A list of commands that is opened early lacks those that come later: then it is opened anew. */
export async function command(title) {
  const row = page.locator(".quick-input-list").getByText(title, { exact: true }).first();
  await eventually(`the command "${title}"`, async () => {
    await page.keyboard.press("F1");
    await page.locator(".quick-input-widget input").fill(`>${title}`);
    const found = await row.waitFor({ timeout: 5_000 }).then(() => true, () => false);
    if (!found) {
      await page.keyboard.press("Escape");
    }
    return found;
  });
  await row.click();
}

/** The middle of a word's first drawing in the code. */
export async function placeOf(word) {
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

export async function away() {
  await page.keyboard.press("Escape");
  await page.mouse.move(900, 540, { steps: 4 });
  await sleep(300);
}

/** Hover until what is shown matches: the first answer may say that a probe is under way. */
export async function hover(word, expected) {
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
export async function reportOf(words) {
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
export async function ledTo(frame, name, expected) {
  await frame.locator("g.node", { hasText: name }).first().dispatchEvent("click");
  return lineOfCursor(expected);
}

/** The same with the keyboard alone. */
export async function ledByKey(frame, name, expected) {
  await frame.locator("g.node", { hasText: name }).first().focus();
  await page.keyboard.press("Enter");
  return lineOfCursor(expected);
}

/** What has the keyboard's focus at some time and no name that a screen reader could say. */
export async function unnamed(frame) {
  return frame.evaluate(() =>
    [...document.querySelectorAll("article [tabindex], article input, article button, article summary, article [role=img]")]
      .filter((each) => !(each.getAttribute("aria-label") || each.textContent.trim() || each.labels?.[0]?.textContent.trim()))
      .map((each) => each.outerHTML.slice(0, 200)),
  );
}

function lineOfCursor(expected) {
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

/** Open the workbench, and trust what is open in it. */
export async function openTrusted() {
  await page.goto(given.url);
  await page.locator(".monaco-workbench .part.editor").waitFor();
  await trust();
}

export async function trust() {
  await command("Workspaces: Manage Workspace Trust");
  await page.locator(".workspace-trust-editor .monaco-button", { hasText: "Trust" }).first().click();
  await page.locator(".workspace-trust-editor", { hasText: /You trust this/ }).waitFor();
  await command("View: Close All Editors");
}

/** Play the scenes in their order, and tell what each has seen. */
export async function play(scenes) {
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
}

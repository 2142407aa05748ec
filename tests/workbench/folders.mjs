// Several folders in one window: each has its interpreter and its settings, also one that is added later.
import { away, command, eventually, given, openFile, openTrusted, page, picture, play, settledTexts, texts } from "./workbench.mjs";

/** What the editor and the status item tell once the class in a file of a folder has its report. */
async function told(folder, size) {
  const row = page.locator(".explorer-folders-view .monaco-list-row", { hasText: `${folder}_net.py` });
  if ((await row.count()) === 0) {
    await page.locator(".explorer-folders-view .monaco-list-row", { hasText: folder }).first().click();
  }
  await openFile(`${folder}_net.py`);
  await eventually(`a lens with ${size}`, async () =>
    (await settledTexts(".codelens-decoration")).find((text) => text.includes(size) && text.includes("script ✓")),
  );
  await page.locator(".statusbar-item", { hasText: /torch \d/ }).hover();
  const item = await eventually("the status item's words", async () =>
    (await texts(".monaco-hover:not(.hidden) .hover-contents")).find((text) => /python/i.test(text)),
  );
  await picture(`folder-${folder}`);
  await away();
  return { item, code: (await settledTexts(".view-lines .view-line")).map((line) => line.replaceAll("\u00a0", " ")) };
}

await play({
  async first() {
    await openTrusted();
    return told("first", "(B, 7)");
  },
  async second() {
    return told("second", "(B, 11)");
  },
  async added() {
    await command("Workspaces: Add Folder to Workspace...");
    const input = page.locator(".quick-input-widget input");
    await eventually("the dialog for a folder", async () => (await input.inputValue().catch(() => "")).startsWith("/"));
    await input.fill(given.third);
    await eventually("the folder in the dialog", async () => (await input.inputValue()) === given.third);
    await page.keyboard.press("Enter");
    // The workbench asks whether files that come to a trusted window are trusted, too.
    await page.locator(".monaco-dialog-box .monaco-button", { hasText: "Yes" }).click();
    await page.locator(".explorer-folders-view .monaco-list-row", { hasText: "third" }).first().waitFor();
    return told("third", "(B, 13)");
  },
  async again() {
    return told("first", "(B, 7)");
  },
});

// Several folders in one window: each has its interpreter and its settings.
import { away, eventually, openFile, openTrusted, page, picture, play, settledTexts, texts } from "./workbench.mjs";

const folderRow = (name) => page.locator(".explorer-folders-view .monaco-list-row", { hasText: name }).first();

const seenWithin = (locator, timeout) => locator.waitFor({ timeout }).then(() => true, () => false);

/** What the editor and the status item tell once the class in a file of a folder has its report. */
async function told(folder, size) {
  await eventually(`the file of the folder ${folder}`, async () => {
    const there = await seenWithin(folderRow(`${folder}_net.py`), 3_000);
    if (!there) {
      await folderRow(folder).click();
    }
    return there;
  });
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
    // A window that reads the file of its folders too late has none until it is loaded anew.
    await eventually("the folders of the window", async () => {
      const there = await seenWithin(folderRow("first"), 10_000);
      if (!there) {
        await page.reload();
      }
      return there;
    });
    return told("first", "(B, 7)");
  },
  async second() {
    return told("second", "(B, 11)");
  },
  async again() {
    return told("first", "(B, 7)");
  },
});

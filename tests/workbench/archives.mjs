// Saved files opened in the editor: what goes in, on the page of a report, and for what is no module a sentence.
import { command, eventually, given, openTrusted, page, picture, play } from "./workbench.mjs";

/** Open a saved file as a person does; what its page tells once that is the same in two looks. */
async function opened(name, words) {
  // What is opened before the workbench knows its extensions is opened as text.
  await eventually(`${name} in an editor for saved files`, async () => {
    await page.locator(".explorer-folders-view .monaco-list-row", { hasText: name }).first().dblclick();
    await page.locator(".tab.active", { hasText: name }).waitFor();
    const own = await page.locator("iframe.webview").first().waitFor({ timeout: 5_000 }).then(() => true, () => false);
    if (!own) {
      await command("View: Close All Editors");
    }
    return own;
  });
  const look = async () => {
    for (const frame of page.frames()) {
      const text = await frame.locator("body").innerText({ timeout: 2_000 }).catch(() => "");
      if (words.test(text)) {
        return { frame, text };
      }
    }
    return null;
  };
  let before;
  const { frame, text } = await eventually(`a page of ${name} with ${words}`, async () => {
    const now = await look();
    const same = now !== null && now.text === before;
    before = now?.text;
    return same ? now : null;
  });
  const title = await frame.title();
  const strange = await frame.locator("img, iframe, main script").count();
  // Scrolling a little has a page painted that was laid out before it was in sight.
  await page.mouse.move(900, 300, { steps: 4 });
  await page.mouse.wheel(0, 10);
  await picture(`archive-${name.replace(".", "-")}`);
  await command("View: Close All Editors");
  return { text, title, strange };
}

await play({
  async untrusted() {
    await page.goto(given.url);
    await page.locator(".monaco-workbench .part.editor").waitFor();
    return opened("scripted.pt", /trusted/);
  },
  async scripted() {
    await openTrusted();
    return opened("scripted.pt", /Conv2d/);
  },
  async program() {
    return opened("program.pt2", /torch\.export/);
  },
  async weights() {
    return opened("weights.pt", /state_dict/);
  },
  async none() {
    return opened("none.pt", /no file that torch writes/);
  },
  async hostile() {
    return opened("hostile.pt", /does not load/);
  },
});

// Use the packaged extension as a person does, and tell what was on the screen.
import {
  away,
  command,
  eventually,
  given,
  hover,
  ledByKey,
  ledTo,
  openFile,
  page,
  picture,
  placeOf,
  play,
  reportOf,
  settledTexts,
  sleep,
  texts,
  trust,
  unnamed,
} from "./workbench.mjs";

await play({
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
    await trust();
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
    const nameless = await unnamed(frame);
    const led = await ledTo(frame, "fc", /return self\.fc/);
    const byKey = await ledByKey(frame, "view", /x\.view/);
    await command("View: Close All Editors");
    return { shown, led, byKey, nameless };
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
});

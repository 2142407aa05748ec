// A line is typed sign by sign: every 50 ms what is drawn in the code is noted, every 200 ms a picture is taken.
import { join } from "node:path";
import {
  away,
  eventually,
  given,
  openFile,
  openTrusted,
  page,
  placeOf,
  play,
  settledTexts,
  sleep,
  texts,
} from "./workbench.mjs";

const KEY = 110;

/** Note what is drawn, from now on, inside of the page itself: the lines with their hints, and each lens with its line. */
async function filming() {
  await page.evaluate(() => {
    const plain = (text) => text.replaceAll("\u00a0", " ");
    const look = () => {
      const rows = [...document.querySelectorAll(".monaco-editor .view-lines .view-line")]
        .map((line) => ({ top: line.getBoundingClientRect().top, text: plain(line.innerText) }))
        .sort((one, other) => one.top - other.top);
      const lenses = [...document.querySelectorAll(".codelens-decoration")]
        .map((lens) => ({ top: lens.getBoundingClientRect().top, text: plain(lens.innerText) }))
        .filter((lens) => lens.text !== "")
        .map((lens) => ({ text: lens.text, line: rows.find((row) => row.top > lens.top)?.text ?? "" }));
      return { lines: rows.map((row) => row.text), lenses };
    };
    window.seenByTest = [];
    window.filmOfTest = setInterval(() => window.seenByTest.push(look()), 50);
  });
}

async function filmed() {
  return page.evaluate(() => {
    clearInterval(window.filmOfTest);
    return window.seenByTest;
  });
}

/** Pictures of the code until `typing` is through. */
async function pictures(typing) {
  let ended = false;
  const end = typing.finally(() => {
    ended = true;
  });
  for (let number = 1; given.screenshots && !ended; number += 1) {
    const path = join(given.screenshots, `film-${String(number).padStart(2, "0")}.png`);
    await Promise.all([page.screenshot({ path, clip: { x: 345, y: 90, width: 700, height: 400 } }), sleep(200)]);
  }
  await end;
}

async function typed(words) {
  for (const sign of words) {
    await page.keyboard.type(sign);
    await sleep(KEY);
  }
}

await play({
  async film() {
    await openTrusted();
    await openFile("typed.py");
    await eventually("the lens of the whole class", async () =>
      (await texts(".codelens-decoration")).find((text) => /script ✓/.test(text)),
    );
    await eventually("hints", async () =>
      (await settledTexts(".view-lines .view-line")).some((text) => text.replaceAll("\u00a0", " ").includes("z: (")),
    );
    const { x, y } = await placeOf("flatten");
    await page.mouse.click(x, y);
    await page.keyboard.press("Control+Shift+Enter");
    await sleep(500);
    await filming();
    await pictures(typed(given.typed));
    await page.keyboard.press("Escape");
    await eventually("the hint of the line that was typed", async () =>
      (await settledTexts(".view-lines .view-line")).some((text) => text.replaceAll("\u00a0", " ").includes("y: (B, 16, H*W) =")),
    );
    const seen = await filmed();
    await away();
    return seen;
  },
});

// Clicks through the pages as a person does: `node browser.mjs BROWSER dashboard URL`, `… lost URL` or `… report FILE`.
// Anything that is not as it should be ends it with exit code 1 and what was seen.

import assert from "node:assert/strict";
import { connect, createServer } from "node:net";
import { createInterface } from "node:readline";
import { pathToFileURL } from "node:url";
import { chromium } from "playwright-core";

const [executablePath, what, where] = process.argv.slice(2);
// A bound on hanging; nothing here is measured.
const timeout = 120_000;

const browser = await chromium.launch({
  executablePath,
  args: ["--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-component-update"],
});

// A browser of its own: its colours, its width, and nothing kept. What goes wrong in it is collected.
async function person(colorScheme, width, origin) {
  const context = await browser.newContext({ colorScheme, viewport: { width, height: 900 } });
  context.setDefaultTimeout(timeout);
  const wrong = [];
  context.on("request", (request) => {
    if (!request.url().startsWith(origin)) wrong.push(`asked elsewhere: ${request.url()}`);
  });
  const page = await context.newPage();
  page.on("console", (message) => ["error", "warning"].includes(message.type()) && wrong.push(`console: ${message.text()}`));
  page.on("pageerror", (error) => wrong.push(`script: ${error}`));
  page.on("dialog", (dialog) => wrong.push(`dialog: ${dialog.message()}`));
  return { page, wrong, context, name: `${colorScheme}, ${width} px` };
}

async function isWhole({ page, wrong, name }) {
  assert.deepEqual(wrong, [], name);
  assert.equal(await page.evaluate(() => window.hacked), undefined, `${name}: a text ran as a script`);
  const [needed, room] = await page.evaluate(() => [document.scrollingElement.scrollWidth, window.innerWidth]);
  assert.ok(needed <= room, `${name}: ${needed} px wide`);
}

const state = (page, word) => page.waitForFunction((word) => document.querySelector("#state").textContent === word, word);
const tile = (page, name) => page.locator("#tiles div", { has: page.locator("dt", { hasText: new RegExp(`^${name}$`) }) }).locator("dd");
const background = (page) => page.evaluate(() => getComputedStyle(document.body).backgroundColor);

async function dashboard() {
  const origin = new URL(where).origin;
  const [light, dark] = [await person("light", 1280, origin), await person("dark", 400, origin)];

  // By the address with the secret, which is gone from the address bar at once, and opens nothing by itself.
  await light.page.goto(where);
  assert.equal(light.page.url(), `${origin}/`);
  const stranger = await browser.newContext();
  const refused = await stranger.request.get(`${origin}/`);
  assert.equal(refused.status(), 401);
  await stranger.close();

  // Figures come by themselves.
  await state(light.page, "running");
  const figures = async () => [await tile(light.page, "Done").textContent(), await light.page.locator("#progress").textContent()];
  const before = await figures();
  await light.page.waitForFunction((before) => document.querySelector("#progress").textContent !== before, before[1]);
  assert.notDeepEqual(await figures(), before);
  await light.page.locator("#charts svg").first().waitFor();
  const described = await light.page.locator("#charts svg").first().evaluate((svg) => {
    return svg.getAttribute("aria-labelledby").split(" ").map((id) => document.getElementById(id).textContent);
  });
  assert.ok(described.length === 2 && described.every((text) => text.length > 5), described.join("; "));

  // One person pauses, by the keyboard; the other sees it.
  await light.page.locator("#pause").focus();
  await light.page.keyboard.press("Enter");
  await state(light.page, "paused");
  assert.equal(await light.page.locator("#pause").getAttribute("aria-disabled"), "true");
  await dark.page.goto(where);
  await state(dark.page, "paused");
  assert.notEqual(await background(dark.page), await background(light.page));
  assert.match(await dark.page.locator("#routes tbody").textContent(), /closed/);

  // A card opens, and what stands in it is text.
  const row = dark.page.locator("#failed tbody tr", { hasText: "crash" }).filter({ hasText: "window.hacked" }).filter({ hasText: "(crashed)" });
  await row.locator("summary").click();
  await row.locator(".card").waitFor();
  const card = await row.locator(".card").innerText();
  for (const part of ["panic", "Backtrace", "<script>window.hacked = 1</script>", "sandmill debug j crash"]) {
    assert.ok(card.includes(part), `${part} is not in ${card}`);
  }
  const table = await dark.page.locator("#failed").innerText();
  assert.ok(table.includes("<img src=x onerror='window.hacked=1'>\\u{202e}"), table);
  assert.equal(await dark.page.locator("#failed img, #failed script").count(), 0);
  await dark.page.locator("#class").selectOption("trap");
  await dark.page.waitForFunction(() => document.querySelectorAll("#failed tbody tr").length === 1);
  await isWhole(dark);
  await isWhole(light);

  // It goes on, to its end, and both keep what was last.
  await dark.page.locator("#resume").click();
  await state(light.page, "running");
  for (const { page } of [light, dark]) {
    await state(page, "finished");
    assert.match(await page.locator("#exit-code").textContent(), /exit code 3/);
    assert.match(await page.locator("#next").textContent(), /sandmill failed retry j/);
    assert.match(await page.locator("#progress").textContent(), /^602 of 602 items \(100\.0 %\)$/);
    assert.match(await page.title(), /^100 % finished · j$/);
    assert.equal(await page.locator("#pause").getAttribute("aria-disabled"), "true");
  }
  await isWhole(light);
  await isWhole(dark);
}

// What lies between a page and a run far away, such as `ssh -L`; it can be cut.
async function tunnel({ hostname, port }) {
  const open = new Set();
  const server = createServer((near) => {
    const far = connect(Number(port), hostname);
    for (const [one, other] of [[near, far], [far, near]]) {
      open.add(one);
      one.on("error", () => other.destroy()).on("close", () => open.delete(one)).pipe(other);
    }
  });
  await new Promise((resolve) => server.listen(0, "127.0.0.1", resolve));
  const cut = () => open.forEach((socket) => socket.destroy());
  return { port: server.address().port, cut, close: () => (cut(), server.close()) };
}

async function lost() {
  const url = new URL(where);
  const between = await tunnel(url);
  url.port = between.port;
  const { page, context } = await person("light", 1280, url.origin);
  await page.goto(url.href);
  await state(page, "running");

  // The connection breaks, and the page comes again by itself.
  const stream = page.waitForRequest(/\/events$/);
  between.cut();
  await stream;
  await state(page, "running");
  const figures = () => page.locator("#progress").textContent();
  const before = await figures();
  await page.waitForFunction((before) => document.querySelector("#progress").textContent !== before, before);

  // The run dies: its last figures stay, with the way to go on. Whoever drives this ends it when told.
  console.log("kill");
  await state(page, "lost");
  const line = await page.locator("#link").textContent();
  assert.ok(line.includes("These are its last figures") && line.includes("sandmill resume j"), line);
  assert.match(await figures(), / of 602 items/);
  assert.equal(await page.locator("#pause").getAttribute("aria-disabled"), "true");

  // Another run of the job listens there now, and has another secret.
  console.log("resume");
  await page.waitForFunction(() => document.querySelector("#link").textContent.startsWith("Another run listens here"));
  const [told] = await new Promise((resolve) => createInterface({ input: process.stdin }).once("line", (line) => resolve([line])));
  const again = new URL(told);
  again.port = between.port;
  await page.goto(again.href);
  await state(page, "running");
  assert.match(await page.locator("#tiles").textContent(), /before this run/);
  await context.close();
  between.close();
}

async function report() {
  const url = pathToFileURL(where).href;
  for (const [colorScheme, width] of [["light", 1280], ["dark", 400]]) {
    const reader = await person(colorScheme, width, url);
    await reader.page.goto(url);
    for (const link of await reader.page.locator("nav a").all()) {
      await link.click();
      const target = new URL(reader.page.url()).hash;
      assert.ok(await reader.page.locator(target).isVisible(), target);
    }
    for (const summary of await reader.page.locator("summary").all()) {
      const isOpen = () => summary.evaluate((summary) => summary.parentElement.open);
      const before = await isOpen();
      await summary.click();
      assert.notEqual(await isOpen(), before);
    }
    await isWhole(reader);
  }
}

try {
  await { dashboard, lost, report }[what]();
} finally {
  await browser.close();
  process.stdin.destroy();
}

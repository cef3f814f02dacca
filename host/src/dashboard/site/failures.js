// The failed items: by class, and one after the other, each with its crash card.

import { at, clock, counted, grouped } from "./format.js";
import { element, enable, find, isEnabled, write } from "./page.js";

// Between two looks while items fail.
const LOOK_EVERY_MS = 3_000;

// Of a message in the table, in characters.
const SHORT = 160;

const rows = new Map();
let seen = null;
let wanted = { after: [0], kind: "" };
let looked = 0;
let looking = false;
let isOver = false;

const body = find("failed").tBodies[0];

// Of a snapshot: how many there are tells whether to look again.
export function takeFailures(snapshot) {
  const failed = snapshot.items.failed + snapshot.items.before_failed;
  find("failures").hidden = find("failures").hidden && failed === 0;
  showClasses(snapshot.failures);
  const mark = `${failed} ${snapshot.items.before}`;
  if (mark !== seen && !looking && Date.now() - looked > LOOK_EVERY_MS) {
    seen = mark;
    look();
  }
}

// The first page, as it is in the end.
export function takeLastPage(page) {
  isOver = true;
  if (wanted.after.length === 1 && !wanted.kind) show(page);
  enable(find("first"), false);
  enable(find("more"), false);
  find("filter").hidden = true;
}

function showClasses(classes) {
  const list = find("classes");
  while (list.children.length > classes.length) list.lastChild.remove();
  classes.forEach((row, nth) => {
    const item = list.children[nth] ?? list.appendChild(element("li", {}, element("span", { class: "badge bad" }), element("bdi")));
    write(item.firstChild, `${grouped(row.count)} ${row.class}`);
    write(item.lastChild, `last ${clock(row.last.at_ms)}, ${row.last.item}: ${row.last.message}`);
  });
  const select = find("class");
  for (const { class: name } of classes) {
    if (![...select.options].some((option) => option.value === name)) select.append(element("option", { value: name }, name));
  }
}

async function look() {
  if (isOver) return;
  looking = true;
  const asked = wanted;
  const query = new URLSearchParams({ after: asked.after.at(-1) });
  if (asked.kind) query.set("class", asked.kind);
  try {
    const answer = await fetch(`/failures?${query}`);
    if (!answer.ok) throw new Error(await answer.text());
    const page = await answer.json();
    if (asked === wanted) show(page);
  } catch (error) {
    if (asked === wanted && !isOver) write(find("page"), `The list could not be fetched: ${error.message}`);
  } finally {
    looking = false;
    looked = Date.now();
  }
}

function show(page) {
  find("failures").hidden = find("failures").hidden && page.failures.length === 0;
  const shown = page.failures.map((failure) => {
    const known = rows.get(failure.item);
    // A row that tells the same stays, and what was opened in it.
    if (known && known.mark === JSON.stringify(failure)) return known.row;
    const row = newRow(failure);
    rows.set(failure.item, { row, mark: JSON.stringify(failure) });
    return row;
  });
  for (const row of [...body.children]) if (!shown.includes(row)) row.remove();
  shown.forEach((row, nth) => {
    if (body.children[nth] !== row) body.insertBefore(row, body.children[nth] ?? null);
  });
  find("none").hidden = shown.length > 0;
  find("failed").hidden = shown.length === 0;
  enable(find("first"), wanted.after.length > 1);
  enable(find("more"), page.has_more);
  find("more").dataset.after = page.failures.at(-1)?.item ?? 0;
  const nth = wanted.after.length;
  find("pager").hidden = nth === 1 && !page.has_more;
  write(find("page"), nth > 1 || page.has_more ? `Page ${nth}, in the order of the input` : "");
}

function newRow(failure) {
  const kind = failure.code && failure.code !== failure.class ? `${failure.class} / ${failure.code}` : failure.class;
  const card = element("details", {}, element("summary", {}, element("bdi", {}, shortened(failure.message))));
  card.addEventListener("toggle", () => card.open && card.children.length === 1 && open(card, failure));
  return element(
    "tr",
    // Said once more, since a narrow page lays them out as no table.
    { role: "row" },
    element("th", { scope: "row", role: "rowheader" }, element("bdi", {}, failure.id), element("br"), element("span", { class: "muted" }, `line ${failure.line}`)),
    element("td", { role: "cell", class: "kind" }, element("bdi", {}, kind), failure.crashed ? element("span", { class: "muted" }, " (crashed)") : ""),
    element("td", { role: "cell", class: "text" }, card),
    element("td", { role: "cell", class: "n" }, grouped(failure.attempts)),
    element("td", { role: "cell", class: "d" }, failure.ended_ms == null ? "–" : at(failure.ended_ms)),
  );
}

// The whole of it stands in the card.
function shortened(message) {
  const letters = [...(message || "no message")];
  return letters.length > SHORT ? `${letters.slice(0, SHORT).join("")}…` : letters.join("");
}

async function open(details, failure) {
  const told = element("p", { class: "muted" }, "Fetching…");
  details.append(told);
  try {
    if (isOver) throw new Error("the run has ended");
    const answer = await fetch(`/failures/${failure.item}`);
    if (!answer.ok) throw new Error(await answer.text());
    told.replaceWith(card(await answer.json()));
  } catch (error) {
    told.replaceWith(element("p", {}, `Not to be had here (${error.message.trim()}): `, element("code", {}, failure.show)));
  }
}

function card(failure) {
  const { crash } = failure;
  const lines = [["Message", element("p", { class: "text" }, failure.message)]];
  if (crash) {
    lines.push(["Crash", `${crash.kind}${crash.place ? ` at ${crash.place}` : ""}, in ${counted(failure.attempts, "attempt")}`]);
    lines.push(["Cause", crash.cause]);
    if (crash.said) lines.push(["Plugin said", element("pre", {}, crash.said)]);
    if (crash.last_call) lines.push(["Last call", crash.last_call]);
    if (crash.frames.length) {
      lines.push(["Backtrace", element("ol", {}, ...crash.frames.map((frame) => element("li", {}, element("code", {}, frame))))]);
    }
    if (crash.lines.length) lines.push(["Wrote last", element("pre", {}, crash.lines.join("\n"))]);
  }
  lines.push(["All of it", element("code", {}, failure.show)]);
  if (failure.debug) lines.push(["Once more", element("code", {}, failure.debug)]);
  return element("dl", { class: "card" }, ...lines.map(([name, value]) => element("div", {}, element("dt", {}, name), element("dd", {}, value))));
}

function turn(next) {
  wanted = next;
  rows.clear();
  look();
}

find("first").addEventListener("click", () => isEnabled(find("first")) && turn({ ...wanted, after: [0] }));
find("more").addEventListener("click", () => {
  if (isEnabled(find("more"))) turn({ ...wanted, after: [...wanted.after, Number(find("more").dataset.after)] });
});
find("class").addEventListener("change", () => turn({ after: [0], kind: find("class").value }));
find("filter").addEventListener("submit", (event) => event.preventDefault());

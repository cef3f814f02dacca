// The page: takes what the run tells, and asks it to pause and to go on.

import { draw, takeHistory, takeRoutes } from "./charts.js";
import { takeFailures, takeLastPage } from "./failures.js";
import { breaker, inWords, share, showProgress, showRoutes } from "./figures.js";
import { at, clock, grouped } from "./format.js";
import { element, enable, find, isEnabled, write } from "./page.js";
import { follow } from "./wire.js";

// Between two words to a screen reader, but for what has changed at once.
const SAY_EVERY_MS = 30_000;

let view = null;
let link = "lost";
let heardAt = null;
let saidAt = 0;
let saidState = "";

const MOODS = { running: "", paused: "warn", preparing: "", lost: "bad" };

// One word for how it stands, and its colour.
function state() {
  if (!view) return ["connecting", ""];
  if (view.ended) return [view.ended.state, view.ended.exit_code === 0 ? "good" : "bad"];
  if (link !== "live") return ["lost", MOODS.lost];
  if (view.phase === "preparing") return ["being made ready", MOODS.preparing];
  return view.snapshot?.paused ? ["paused", MOODS.paused] : ["running", MOODS.running];
}

function showState() {
  const [word, mood] = state();
  const badge = find("state");
  write(badge, word);
  badge.className = `badge ${mood}`;
  const line = find("link");
  line.className = view && !view.ended && link !== "live" ? "lost" : "muted";
  write(line, linkLine());
  const done = view?.snapshot ? `${Math.floor(share(view.snapshot) * 100)} % ` : "";
  const title = view ? `${done}${word} · ${view.job}` : "Sandmill";
  if (document.title !== title) document.title = title;
  const runs = view?.phase === "running" && link === "live";
  enable(find("pause"), runs && !view.snapshot?.paused);
  enable(find("resume"), runs && Boolean(view.snapshot?.paused));
}

function linkLine() {
  const heard = heardAt ? ` since ${clock(heardAt)}` : "";
  if (view?.ended) return "The run has ended; this is how it stood then.";
  if (link === "shut out") return "Another run listens here now: open the address that it printed. These figures are of the one before.";
  if (link === "lost" && view) return `No word from the run${heard}; trying again. These are its last figures. If it has died: sandmill resume ${view.job}`;
  if (!view) return "Waiting for the run.";
  if (view.phase === "preparing") return "The plugin is made ready and the input read.";
  return `Live, as of ${clock(view.snapshot?.now_ms ?? Date.now())}; begun ${at(view.snapshot?.started_ms ?? Date.now())}.`;
}

function take(news) {
  view = news;
  heardAt = Date.now();
  write(find("job"), view.job);
  write(find("version"), `sandmill ${view.sandmill}`);
  const { snapshot } = view;
  if (snapshot) {
    write(find("plugin"), `· ${snapshot.plugin} ${snapshot.plugin_version}`);
    takeRoutes(snapshot.routes.map((route) => route.name));
    showProgress(snapshot);
    showRoutes(snapshot.routes);
    takeFailures(snapshot);
  }
  if (view.ended) {
    wire.close();
    showEnd(view.ended);
    draw();
  }
  showState();
  say();
}

function showEnd(ended) {
  find("ended").hidden = false;
  write(find("reason"), ended.reason);
  write(find("exit-code"), `(exit code ${ended.exit_code})`);
  const steps = [
    ["Go on", ended.exit_code === 0 ? null : ended.command],
    ["Try the failed again", ended.next?.retry],
    ["Look at a crash", ended.debug],
    ["Write what is done", ended.next?.export],
    ["All of it on a page", ended.next?.report],
  ];
  const rows = steps.filter(([, command]) => command);
  find("next").replaceChildren(
    ...rows.map(([name, command]) => element("div", {}, element("dt", {}, name), element("dd", {}, element("code", {}, command)))),
  );
  if (ended.parked_until_ms) {
    find("next").prepend(element("div", {}, element("dt", {}, "Not before"), element("dd", {}, at(ended.parked_until_ms))));
  }
}

// To who hears the page: at once what has changed, and now and then how far it is.
function say() {
  if (!view) return;
  const [word] = state();
  const open = (view.snapshot?.routes ?? []).filter((route) => route.breaker !== "closed");
  const stands = [word, ...open.map((route) => `circuit breaker of ${route.name} ${route.breaker}`)].join("; ");
  const isNew = stands !== saidState;
  if (!isNew && Date.now() - saidAt < SAY_EVERY_MS) return;
  [saidState, saidAt] = [stands, Date.now()];
  const failed = view.snapshot ? `, ${grouped(view.snapshot.items.failed)} failed` : "";
  const shown = open.map((route) => `; circuit breaker of ${route.name} ${breaker(route)}`).join("");
  write(find("live"), view.snapshot ? `${word}: ${inWords(view.snapshot)}${failed}${shown}` : word);
}

function tell(text, isBad) {
  find("said").className = isBad ? "bad" : "";
  write(find("said"), text);
}

async function ask(what, done) {
  tell("Asking the run…", false);
  try {
    const answer = await fetch(`/${what}`, { method: "POST" });
    if (!answer.ok) throw new Error((await answer.text()).trim());
    tell(answer.status === 200 ? done : "The run will do so as soon as it has read its input.", false);
  } catch (error) {
    tell(`The run cannot be asked to ${what}: ${error.message}`, true);
  }
}

find("pause").addEventListener("click", () => {
  if (isEnabled(find("pause"))) ask("pause", "Paused: what is in flight ends, nothing new is begun.");
});
find("resume").addEventListener("click", () => {
  if (isEnabled(find("resume"))) ask("resume", "The job goes on.");
});

const wire = follow(
  { history: takeHistory, failures: takeLastPage, view: take },
  (how) => {
    link = how;
    showState();
    say();
  },
);

// What stands above the charts: how far the run is, what it takes, and how its routes stand.

import { counted, grouped, money, percent, rate, size, time } from "./format.js";
import { element, find, shape, write } from "./page.js";

const ended = (items) => items.before + items.done + items.skipped + items.failed;

export function share(snapshot) {
  const { items } = snapshot;
  return items.total ? ended(items) / items.total : 1;
}

export function inWords(snapshot) {
  const { items } = snapshot;
  const left = snapshot.seconds_left == null ? "" : `, about ${time(snapshot.seconds_left * 1000)} left`;
  return `${grouped(ended(items))} of ${counted(items.total, "item")} (${percent(share(snapshot))})${items.pending ? left : ""}`;
}

export function showProgress(snapshot) {
  const { items } = snapshot;
  const waiting = Math.max(items.pending - items.in_flight, 0);
  write(find("progress"), inWords(snapshot));
  const parts = [
    ["before", "before", items.before - items.before_failed],
    ["done", "done", items.done],
    ["skipped", "skipped", items.skipped],
    ["failed", "failed", items.failed + items.before_failed],
    ["flight", "in flight", items.in_flight],
    ["pending", "waiting", waiting],
  ];
  find("parts").setAttribute("aria-label", parts.map(([, name, count]) => `${grouped(count)} ${name}`).join(", "));
  const bar = find("parts").querySelector("svg");
  let x = 0;
  parts.forEach(([kind, , count], nth) => {
    const rect = bar.children[nth] ?? bar.appendChild(shape("rect", { class: kind, y: 0, height: 1 }));
    const width = items.total ? (count / items.total) * 100 : 0;
    rect.setAttribute("x", x);
    rect.setAttribute("width", width);
    x += width;
  });
  showTiles([
    ["Done", grouped(items.done), items.before ? `${grouped(items.before)} before this run` : "", "done"],
    ["Failed", grouped(items.failed), items.before_failed ? `${grouped(items.before_failed)} before this run` : "", "failed"],
    ["Skipped", grouped(items.skipped), "", "skipped"],
    ["In flight", grouped(items.in_flight), `${grouped(snapshot.instances)} of ${counted(snapshot.instances_max, "instance")}${gaveWay(snapshot)}`, "flight"],
    ["Waiting", grouped(waiting), "", "pending"],
    ["Items a second", rate(snapshot.items_per_second), "over the last minute"],
    ["Calls a second", rate(snapshot.calls_per_second), `${grouped(snapshot.calls)} in all, ${counted(snapshot.retries, "retry").replace("retrys", "retries")}, ${grouped(snapshot.reused)} from the journal`],
    ["Tokens a second", tokens(snapshot), `${grouped(snapshot.input_tokens)} read, ${grouped(snapshot.output_tokens)} written`],
    ["Cost so far", cost(snapshot), costs(snapshot)],
    ["Memory", snapshot.memory_bytes == null ? "–" : size(snapshot.memory_bytes), `of the process${ofGuests(snapshot)}`],
  ]);
}

const gaveWay = ({ guests }) => (guests?.gave_way ? `, ${grouped(guests.gave_way)} gave way` : "");

function ofGuests({ guests }) {
  if (guests?.memory_bytes == null) return "";
  const target = guests.memory_target_bytes == null ? "" : ` of ${size(guests.memory_target_bytes)}`;
  return `; guests ${size(guests.memory_bytes)}${target}`;
}

function tokens(snapshot) {
  const { input_tokens_per_second: read, output_tokens_per_second: written } = snapshot;
  return read == null ? "–" : rate(read + written);
}

const hasPrices = (snapshot) => snapshot.cost > 0 || snapshot.cost_projected != null || snapshot.cost_max != null;
const cost = (snapshot) => (hasPrices(snapshot) ? money(snapshot.cost) : "–");

function costs(snapshot) {
  if (!hasPrices(snapshot)) return "routes have no prices, or nothing was asked yet";
  const all = snapshot.cost_projected == null ? [] : [`${money(snapshot.cost_projected)} in the end`];
  if (snapshot.cost_max != null) all.push(`at most ${money(snapshot.cost_max)}`);
  return all.join(", ");
}

// Name, value, what stands below it, colour.
function showTiles(tiles) {
  const list = find("tiles");
  tiles.forEach(([name, value, below, kind], nth) => {
    const tile = list.children[nth] ?? list.appendChild(newTile(name, kind));
    const [text, small] = tile.querySelector("dd").childNodes;
    if (text.data !== value) text.data = value;
    write(small, below ?? "");
  });
}

function newTile(name, kind) {
  const key = kind ? [element("i", { class: `key ${kind}` })] : [];
  return element("div", {}, element("dt", {}, ...key, name), element("dd", {}, document.createTextNode(""), element("small")));
}

const MOODS = { closed: "good", open: "bad", "half-open": "warn" };

export function breaker(route) {
  const left = route.open_ms == null || route.breaker !== "open" ? "" : `, for ${time(route.open_ms)}`;
  return `${route.breaker}${left}`;
}

export function showRoutes(routes) {
  find("routes").hidden = routes.length === 0;
  const body = find("routes").querySelector("tbody");
  while (body.children.length > routes.length) body.lastChild.remove();
  routes.forEach((route, nth) => {
    const row = body.children[nth] ?? body.appendChild(newRoute());
    const [name, state, flight, limit, waiting, pace] = row.children;
    write(name.firstChild, route.name);
    write(state.firstChild, breaker(route));
    state.firstChild.className = `badge ${MOODS[route.breaker] ?? ""}`;
    write(flight, grouped(route.in_flight));
    write(limit, grouped(route.limit));
    write(waiting, grouped(route.waiting));
    const known = [
      [route.requests_per_minute, "request"],
      [route.tokens_per_minute, "token"],
    ];
    write(pace, known.filter(([count]) => count != null).map(([count, one]) => counted(count, one)).join(", ") || "not known");
  });
}

function newRoute() {
  const number = () => element("td", { class: "n" });
  const name = element("th", { scope: "row" }, element("bdi"));
  return element("tr", {}, name, element("td", {}, element("span", { class: "badge" })), number(), number(), number(), element("td"));
}

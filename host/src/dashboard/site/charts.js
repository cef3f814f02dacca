// Charts of the run so far, drawn anew as points come: as wide as there is room, with axes, and a sentence for who cannot see them.

import { clock, grouped, hour, money, number } from "./format.js";
import { element, find, shape, write } from "./page.js";

const HEIGHT = 160;
const STRIP = 48;
const MARGIN = { left: 52, right: 10, top: 8, bottom: 20 };

// Colour, name and value of each line.
const CHARTS = [
  { title: "Items a second", show: number, lines: [["done", "", (p) => p.items_per_second]] },
  { title: "Calls a second", show: number, lines: [["calls", "", (p) => p.calls_per_second]] },
  {
    title: "Tokens a second",
    show: number,
    lines: [
      ["read", "read", (p) => p.input_tokens_per_second],
      ["written", "written", (p) => p.output_tokens_per_second],
    ],
  },
  // Left out where routes have no prices.
  { title: "Cost of this run", show: money, isOptional: true, lines: [["cost", "", (p) => p.cost]] },
  { title: "Items in flight", show: (value) => grouped(Math.round(value)), isWhole: true, lines: [["flight", "", (p) => p.in_flight]] },
];

let points = [];
let routes = [];
const drawn = new Map();

// All points behind a moment are those.
export function takeHistory({ after_ms: after, points: news }) {
  points = points.filter((point) => point.at_ms <= after).concat(news);
  draw();
}

export function takeRoutes(names) {
  routes = names;
}

export function draw() {
  find("time").hidden = points.length < 2;
  if (points.length < 2) return;
  const spans = { from: points[0].at_ms, to: points.at(-1).at_ms };
  CHARTS.filter((chart) => !chart.isOptional || isSomething(chart)).forEach((chart) => drawChart(chart, spans));
  routes.forEach((name, nth) => drawStrip(name, nth, spans));
}

const isSomething = ({ lines }) => points.some((point) => lines.some(([, , value]) => value(point) > 0));

// A figure that stays, and is filled again.
function figure(key, title, keys, height) {
  const known = drawn.get(key);
  if (known) return known;
  const parent = height === STRIP ? find("strips") : find("charts");
  const svg = shape("svg", { class: height === STRIP ? "strip" : "plot", role: "img" });
  const value = element("span", { class: "top" });
  const legend = keys.map(([kind, name]) => element("span", { class: "legend" }, element("i", { class: `key ${kind}` }), name));
  const caption = element("figcaption", {}, element("b", {}, ...title), ...legend, value);
  const made = { svg, value, title: shape("title"), desc: shape("desc"), pointed: null };
  parent.insertBefore(element("figure", { class: "chart" }, caption, svg), parent === find("charts") ? find("strips") : null);
  const id = `chart-${drawn.size}`;
  made.title.id = `${id}-title`;
  made.desc.id = `${id}-desc`;
  svg.setAttribute("aria-labelledby", `${made.title.id} ${made.desc.id}`);
  svg.addEventListener("pointermove", (event) => {
    made.pointed = event.clientX - svg.getBoundingClientRect().left;
    drawSoon();
  });
  svg.addEventListener("pointerleave", () => {
    made.pointed = null;
    drawSoon();
  });
  drawn.set(key, made);
  return made;
}

function area(svg) {
  const width = Math.max(svg.clientWidth, 200);
  return { width, left: MARGIN.left, right: width - MARGIN.right };
}

function scale(from, to, low, high) {
  return (value) => low + ((value - from) / (to - from || 1)) * (high - low);
}

function drawChart(chart, spans) {
  const keys = chart.lines.length > 1 ? chart.lines : [];
  const place = figure(chart.title, [chart.title], keys, HEIGHT);
  const room = area(place.svg);
  const top = Math.max(...points.flatMap((p) => chart.lines.map(([, , value]) => value(p))));
  const ticks = ticksTo(top, chart.isWhole);
  const x = scale(spans.from, spans.to, room.left, room.right);
  const y = scale(0, ticks.at(-1), HEIGHT - MARGIN.bottom, MARGIN.top);
  const shapes = [place.title, place.desc, ground(room, HEIGHT)];
  for (const tick of ticks) {
    shapes.push(shape("path", { class: "grid", d: `M${room.left} ${round(y(tick))}H${room.right}` }));
    shapes.push(shape("text", { x: room.left - 6, y: round(y(tick)) + 4, "text-anchor": "end" }, chart.show(tick).replace(/\.0$/, "")));
  }
  shapes.push(...timeAxis(spans, x, room, HEIGHT));
  for (const [kind, , value] of chart.lines) {
    const line = points.map((p, nth) => `${nth ? "L" : "M"}${round(x(p.at_ms))} ${round(y(value(p)))}`).join("");
    const floor = round(y(0));
    if (chart.lines.length === 1) {
      shapes.push(shape("path", { class: `area ${kind}`, d: `${line}V${floor}H${round(x(spans.from))}Z` }));
    }
    shapes.push(shape("path", { class: `line ${kind}`, d: line }));
  }
  const shown = place.pointed == null ? points.at(-1) : nearest(x, place.pointed);
  if (place.pointed != null) shapes.push(cursor(x(shown.at_ms), HEIGHT));
  const values = chart.lines.map(([, name, value]) => `${chart.show(value(shown))}${name ? ` ${name}` : ""}`).join(", ");
  write(place.value, place.pointed == null ? values : `${clock(shown.at_ms)}: ${values}`);
  write(place.title, chart.title);
  write(place.desc, `Now ${values}; at most ${chart.show(top)} between ${clock(spans.from)} and ${clock(spans.to)}.`);
  place.svg.setAttribute("viewBox", `0 0 ${room.width} ${HEIGHT}`);
  place.svg.replaceChildren(...shapes);
}

const STATES = { open: "open", "half-open": "half" };

function drawStrip(name, nth, spans) {
  const keys = [
    ["open", "open"],
    ["half", "half-open"],
  ];
  const place = figure(`breaker ${nth}`, ["Circuit breaker of ", element("bdi", {}, name)], keys, STRIP);
  const room = area(place.svg);
  const x = scale(spans.from, spans.to, room.left, room.right);
  const shapes = [place.title, place.desc, ground(room, STRIP)];
  const bands = bandsOf(nth, spans);
  const times = bands.filter(([kind]) => kind === "open").length;
  for (const [kind, from, to] of bands) {
    const width = Math.max(x(to) - x(from), 1.5);
    shapes.push(shape("rect", { class: kind, x: round(x(from)), y: MARGIN.top, width: round(width), height: STRIP - MARGIN.top - MARGIN.bottom }));
  }
  shapes.push(...timeAxis(spans, x, room, STRIP));
  const shown = place.pointed == null ? points.at(-1) : nearest(x, place.pointed);
  if (place.pointed != null) shapes.push(cursor(x(shown.at_ms), STRIP));
  const state = shown.breakers[nth] ?? "closed";
  write(place.value, place.pointed == null ? state : `${clock(shown.at_ms)}: ${state}`);
  write(place.title, `Circuit breaker of ${name}`);
  write(place.desc, `Now ${points.at(-1).breakers[nth] ?? "closed"}; open ${times === 1 ? "once" : `${times} times`} between ${clock(spans.from)} and ${clock(spans.to)}.`);
  place.svg.setAttribute("viewBox", `0 0 ${room.width} ${STRIP}`);
  place.svg.replaceChildren(...shapes);
}

// Neighbours of one kind are one band: kind, from, to.
function bandsOf(nth, spans) {
  const bands = [];
  points.forEach((point, at) => {
    const kind = STATES[point.breakers[nth]];
    const from = at ? points[at - 1].at_ms : spans.from;
    const last = bands.at(-1);
    if (last && last[0] === kind && last[2] === from) last[2] = point.at_ms;
    else if (kind) bands.push([kind, from, point.at_ms]);
  });
  return bands;
}

const ground = (room, height) =>
  shape("rect", { class: "ground", x: room.left, y: MARGIN.top, width: room.right - room.left, height: height - MARGIN.top - MARGIN.bottom });

const cursor = (x, height) => shape("path", { class: "cursor", d: `M${round(x)} ${MARGIN.top}V${height - MARGIN.bottom}` });

function timeAxis(spans, x, room, height) {
  const floor = height - MARGIN.bottom;
  const show = spans.to - spans.from < 600_000 ? clock : hour;
  const places = room.width > 420 ? [0, 0.5, 1] : [0, 1];
  const anchors = { 0: "start", 0.5: "middle", 1: "end" };
  const labels = places.map((share) => {
    const at = spans.from + (spans.to - spans.from) * share;
    return shape("text", { x: round(x(at)), y: floor + 14, "text-anchor": anchors[share] }, show(at));
  });
  return [shape("path", { class: "axis", d: `M${room.left} ${floor}H${room.right}` }), ...labels];
}

// From nothing to at least the highest, in steps that people count in.
function ticksTo(top, isWhole) {
  const rough = (top || 1) / 4;
  const power = 10 ** Math.floor(Math.log10(rough));
  let step = [1, 2, 2.5, 5, 10].map((factor) => factor * power).find((step) => step >= rough);
  if (isWhole) step = Math.max(Math.ceil(step), 1);
  const ticks = [0];
  while (ticks.at(-1) < (top || 1)) ticks.push(step * ticks.length);
  return ticks;
}

function nearest(x, pointed) {
  return points.reduce((best, point) => (Math.abs(x(point.at_ms) - pointed) < Math.abs(x(best.at_ms) - pointed) ? point : best));
}

const round = (value) => Math.round(value * 10) / 10;

let isDue = false;

// Once a frame, however often the pointer moves.
function drawSoon() {
  if (isDue) return;
  isDue = true;
  requestAnimationFrame(() => {
    isDue = false;
    draw();
  });
}

new ResizeObserver(drawSoon).observe(find("charts"));

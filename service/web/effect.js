/* The effect over time: the estimate, the interval for one look, and the wider one that holds at every look. */

import { h, s } from "./dom.js";
import { change, moment } from "./format.js";
import { scale } from "./line_chart.js";

const LEFT = 62;
const RIGHT = 10;
const TOP = 12;
const BOTTOM = 24;
const ROOM = 1.6;

/** Draws the looks of one comparison into `box`. */
export function drawEffect(box, { treatment, over_time: looks }, plan) {
  const seen = looks.filter(({ estimate }) => estimate !== null);
  if (seen.length < 2) {
    box.replaceChildren(h("p", { class: "quiet" }, "The effect is drawn once there are two moments to look at."));
    return;
  }
  const width = Math.max(box.clientWidth, 240);
  const height = Math.max(box.clientHeight, 120);
  const limit = limitOf(seen, plan);
  const [first, last] = [seen[0].ts_ms, seen.at(-1).ts_ms];
  const x = (at) => LEFT + (width - LEFT - RIGHT) * ((at - first) / Math.max(last - first, 1));
  const y = (lift) => TOP + (height - TOP - BOTTOM) * (1 - (clipped(lift, limit) + limit) / (2 * limit));
  const figure = s("svg", {
    viewBox: `0 0 ${width} ${height}`,
    width,
    height,
    role: "img",
    class: "effect",
    "aria-label": described(treatment, seen),
  });
  figure.append(
    ...axes({ x, y, width, height, limit, first, last }),
    ...margin(plan, { y, width, limit }),
    band(seen, "anytime", { x, y, limit }),
    band(seen, "fixed", { x, y, limit }),
    s("polyline", {
      class: "line series-0",
      points: seen.map(({ ts_ms: at, estimate }) => `${x(at).toFixed(1)},${y(estimate).toFixed(1)}`).join(" "),
    }),
    s("circle", { class: "dot series-0", cx: x(last), cy: y(seen.at(-1).estimate), r: 3.5 }),
  );
  box.replaceChildren(figure);
}

/** Half the height of the chart: the latest interval with room around it; what was wider early on is cut off. */
function limitOf(looks, { margin: least }) {
  const { estimate, anytime, fixed } = looks.at(-1);
  const ends = [estimate, ...(anytime ?? []), ...(fixed ?? [])].filter((end) => end !== null);
  return scale(Math.max(least * 1.2, ...ends.map(Math.abs)) * ROOM).top;
}

function clipped(lift, limit) {
  return Math.max(-limit, Math.min(limit, lift));
}

function band(looks, kind, { x, y, limit }) {
  const known = looks.filter((look) => look[kind]);
  const upper = known.map((look) => `${x(look.ts_ms).toFixed(1)},${y(look[kind][1] ?? limit).toFixed(1)}`);
  const lower = known.map((look) => `${x(look.ts_ms).toFixed(1)},${y(look[kind][0] ?? -limit).toFixed(1)}`).reverse();
  return s("polygon", { class: `band-${kind}`, points: [...upper, ...lower].join(" ") });
}

function axes({ x, y, width, height, limit, first, last }) {
  const levels = [-limit, -limit / 2, 0, limit / 2, limit];
  return [
    ...levels.map((level) =>
      s("line", { class: level ? "grid" : "grid zero", x1: LEFT, x2: width - RIGHT, y1: y(level), y2: y(level) }),
    ),
    ...levels.map((level) =>
      s(
        "text",
        { class: "tick", x: LEFT - 6, y: y(level) + 4, "text-anchor": "end" },
        change(level, limit < 0.02 ? 2 : 1),
      ),
    ),
    s("text", { class: "tick", x: x(first), y: height - 6 }, moment(first)),
    s("text", { class: "tick", x: x(last), y: height - 6, "text-anchor": "end" }, moment(last)),
  ];
}

function margin({ goal, margin: least }, { y, width, limit }) {
  if (goal !== "non_inferiority" || least > limit) return [];
  return [
    s("line", { class: "margin", x1: LEFT, x2: width - RIGHT, y1: y(-least), y2: y(-least) }),
    s("text", { class: "tick", x: width - RIGHT, y: y(-least) + 13, "text-anchor": "end" }, "margin"),
  ];
}

/** What the lines and bands mean. */
export function effectKey() {
  const entry = (text, mark) =>
    h("li", {}, s("svg", { class: "swatch", width: 26, height: 12, "aria-hidden": "true" }, mark), h("span", {}, text));
  const box = (kind) => s("rect", { class: kind, x: 0, y: 1, width: 26, height: 10 });
  return h(
    "ul",
    { class: "legend effect" },
    entry("estimate", s("line", { class: "line series-0", x1: 1, x2: 25, y1: 6, y2: 6 })),
    entry("one look at the planned end", box("band-fixed")),
    entry("every look", box("band-anytime")),
  );
}

function described(treatment, looks) {
  const { estimate, fixed, anytime, n } = looks.at(-1);
  const between = (interval) =>
    interval ? interval.map((end) => (end === null ? "open" : change(end))).join(" to ") : "unknown";
  return (
    `Lift of CTR by ${treatment} at ${looks.length} moments. At the last one, with ${n} units: ${change(estimate)}, ` +
    `interval for one look ${between(fixed)}, for every look ${between(anytime)}.`
  );
}

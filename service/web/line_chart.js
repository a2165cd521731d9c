/* Lines over time in SVG: drawn at the size of their box, which CSS fixes, so nothing moves when they grow. */

import { h, s } from "./dom.js";
import { UNKNOWN, span } from "./format.js";

const LEFT = 58;
const RIGHT = 8;
const TOP = 10;
const BOTTOM = 22;

/**
 * Draws lines into `box`.
 * Args:
 *   box: element of a fixed height.
 *   lines: [{name, class, points: [[milliseconds, value or null]]}].
 *   now: milliseconds at the right end; `seconds`: length of the axis.
 *   format: value → text; `title`: what is shown, for the text alternative.
 */
export function lineChart(box, { lines, now, seconds, format, title }) {
  const width = Math.max(box.clientWidth, 200);
  const height = Math.max(box.clientHeight, 80);
  const { top, ticks } = scale(Math.max(0, ...lines.flatMap(({ points }) => points.map(([, value]) => value ?? 0))));
  const x = (at) => LEFT + (width - LEFT - RIGHT) * (1 - (now - at) / (seconds * 1000));
  const y = (value) => TOP + (height - TOP - BOTTOM) * (1 - value / top);
  const figure = s("svg", {
    viewBox: `0 0 ${width} ${height}`,
    width,
    height,
    role: "img",
    "aria-label": described(title, lines, format),
  });
  figure.append(...grid(ticks, { y, width, height, format }), ...timeAxis({ x, now, seconds, height }));
  for (const line of lines) figure.append(...drawn(line, x, y));
  box.replaceChildren(figure);
}

/** A legend with the latest value of every line. */
export function legend(list, lines, format) {
  list.replaceChildren(
    ...lines.map(({ name, class: kind, points }) =>
      h(
        "li",
        {},
        swatch(kind),
        h("span", {}, name),
        h("b", {}, latest(points) === null ? UNKNOWN : format(latest(points))),
      ),
    ),
  );
}

/** A short piece of a line, as it looks in a chart. */
export function swatch(kind) {
  return s(
    "svg",
    { class: "swatch", width: 26, height: 10, "aria-hidden": "true" },
    s("line", { class: `line ${kind}`, x1: 1, x2: 25, y1: 5, y2: 5 }),
  );
}

/** {top, ticks}: round numbers that hold a largest value. */
export function scale(largest) {
  if (!(largest > 0)) return { top: 1, ticks: [0, 1] };
  const rough = largest / 3;
  const power = 10 ** Math.floor(Math.log10(rough));
  const step = [1, 2, 2.5, 5, 10].map((times) => times * power).find((size) => size >= rough * 0.999);
  const steps = Math.ceil(largest / step - 1e-9);
  return { top: steps * step, ticks: Array.from({ length: steps + 1 }, (_, i) => i * step) };
}

function grid(ticks, { y, width, height, format }) {
  return ticks.flatMap((tick) => [
    s("line", { class: "grid", x1: LEFT, x2: width - RIGHT, y1: y(tick), y2: y(tick) }),
    s(
      "text",
      { class: "tick", x: LEFT - 6, y: Math.min(y(tick) + 4, height - BOTTOM + 4), "text-anchor": "end" },
      format(tick),
    ),
  ]);
}

function timeAxis({ x, now, seconds, height }) {
  const step = seconds <= 60 ? 15 : seconds <= 120 ? 30 : 60;
  const ticks = Array.from({ length: Math.floor(seconds / step) + 1 }, (_, i) => i * step);
  return ticks.map((ago) =>
    s(
      "text",
      {
        class: "tick",
        x: x(now - ago * 1000),
        y: height - 5,
        "text-anchor": ago === 0 ? "end" : ago >= seconds ? "start" : "middle",
      },
      ago ? `−${span(ago)}` : "now",
    ),
  );
}

function drawn({ class: kind, points }, x, y) {
  const parts = [[]];
  for (const [at, value] of points) {
    if (value === null) parts.push([]);
    else parts.at(-1).push(`${x(at).toFixed(1)},${y(value).toFixed(1)}`);
  }
  const last = points.at(-1);
  const lines = parts
    .filter((part) => part.length > 1)
    .map((part) => s("polyline", { class: `line ${kind}`, points: part.join(" ") }));
  return last && last[1] !== null
    ? [...lines, s("circle", { class: `dot ${kind}`, cx: x(last[0]), cy: y(last[1]), r: 3 })]
    : lines;
}

function described(title, lines, format) {
  const parts = lines.map(({ name, points }) => {
    const values = points.map(([, value]) => value).filter((value) => value !== null);
    if (!values.length) return `${name}: nothing yet`;
    return `${name}: now ${format(values.at(-1))}, lowest ${format(Math.min(...values))}, highest ${format(Math.max(...values))}`;
  });
  return `${title}. ${parts.join("; ") || "Nothing yet"}.`;
}

function latest(points) {
  return points.at(-1)?.[1] ?? null;
}

/* The live figures: tiles, two charts over time, and where the time of an answer goes. */

import { bar } from "./bars.js";
import { series } from "./colours.js";
import { byId, h, rows, setText } from "./dom.js";
import { armsOf, latencies, latency, QUANTILES, rates, savings } from "./figures.js";
import { count, duration, large, percent, short, UNKNOWN } from "./format.js";
import { legend, lineChart } from "./line_chart.js";
import { total } from "./prometheus.js";
import { quantile } from "./quantiles.js";
import { timeOf } from "./times.js";

const WINDOW_S = 10;
const TABLE_S = 60;
const NAMES = {
  request: "whole request",
  decode: "read the body",
  encode: "values to ids",
  queue: "wait for a thread",
  infer: "score",
  respond: "write the answer",
};
let shown = QUANTILES.length - 1;

/** Lets the buttons choose which quantile is drawn. */
export function prepareLive(history) {
  const buttons = [...document.querySelectorAll("[data-quantile]")];
  for (const button of buttons) {
    button.addEventListener("click", () => {
      shown = Number(button.dataset.quantile);
      for (const other of buttons) other.setAttribute("aria-pressed", String(other === button));
      drawCharts(history);
    });
  }
}

/** Adds the latest scrape's figures to the lines of the charts. */
export function record(history) {
  const { at, samples } = history.latest;
  const window = history.over(WINDOW_S);
  if (!window) return;
  const { byArm } = rates(window);
  for (const arm of armsOf(samples)) {
    history.point(`rate ${arm}`, at, byArm.get(arm) ?? 0);
    const times = latency(window, arm);
    QUANTILES.forEach((q, place) => history.point(`latency ${place} ${arm}`, at, quantile(times, q)));
  }
}

/** Draws everything; `teacher` is the teacher's model or undefined. */
export function drawLive(history, teacher) {
  drawTiles(history, teacher);
  drawCharts(history);
  drawStages(history.over(TABLE_S));
}

function drawTiles(history, teacher) {
  const { samples } = history.latest;
  const window = history.over(WINDOW_S);
  if (window) drawRates(rates(window), latencyNote(window, armsOf(samples)));
  const saved = teacher ? savings(samples, teacher) : null;
  setText(byId("saved"), saved ? large(saved.saved) : UNKNOWN);
  setText(byId("saved-note"), savedNote(saved));
  setText(byId("inflight"), count(total(samples, "ctr_inflight")));
  setText(byId("workers"), count(total(samples, "ctr_workers")));
  setText(byId("workers-note"), `on ${short(total(samples, "ctr_effective_cpus"))} CPUs`);
}

function drawRates({ requests, refused, errors, candidates }, [p99, note]) {
  setText(byId("rate"), short(requests));
  setText(
    byId("rate-note"),
    errors || refused
      ? `${percent(errors / requests)} failed, ${percent(refused / requests)} refused`
      : "none failed or refused",
  );
  setText(byId("candidates"), large(candidates));
  setText(byId("candidates-note"), requests ? `${short(candidates / requests)} per prediction` : "nothing to score");
  setText(byId("p99"), p99);
  setText(byId("p99-note"), note);
}

/** [p99 of the first arm that answers, whose it is and what the others take]. */
function latencyNote(window, arms) {
  const found = arms.map((arm) => ({ arm, times: latency(window, arm) })).filter(({ times }) => times.count > 0);
  if (!found.length) return [UNKNOWN, "no answer to time"];
  const [first, ...others] = found;
  const rest = others.map(({ arm, times }) => `${arm} ${timeOf(times, 0.99)}`);
  return [timeOf(first.times, 0.99), [first.arm, ...rest].join(" · ")];
}

function savedNote(saved) {
  if (!saved) return "no teacher to compare with";
  if (!saved.candidates) return "once the student answers";
  return `${percent(saved.share)} of the teacher's work`;
}

function drawCharts(history) {
  if (!history.latest) return;
  const { at, samples } = history.latest;
  const arms = armsOf(samples);
  const lines = (name) =>
    arms.map((arm) => ({ name: arm, class: series(arm), points: history.line(`${name} ${arm}`) }));
  const draw = (id, found, format, title) => {
    lineChart(byId(`${id}-chart`), { lines: found, now: at, seconds: history.axis(), format, title });
    legend(byId(`${id}-legend`), found, format);
  };
  draw("rate", lines("rate"), short, "Predictions per second by arm over the last five minutes");
  const name = `p${QUANTILES[shown] * 100}`;
  draw("latency", lines(`latency ${shown}`), duration, `Latency ${name} by arm over the last five minutes`);
}

function drawStages(window) {
  const body = byId("stages").tBodies[0];
  const found = window ? latencies(window) : [];
  if (!found.length) {
    rows(body, [[{ text: "Nothing was answered in the last minute.", colspan: 7, class: "empty" }]]);
    return;
  }
  const longest = Math.max(...found.map(({ times }) => quantile(times, 0.99)));
  rows(
    body,
    found.map(({ arm, stage, times }) => [
      {
        text: stage === "request" ? h("span", { class: "arm" }, h("i", { class: `key ${series(arm)}` }), arm) : "",
        head: true,
        class: stage === "request" ? "first" : "",
      },
      NAMES[stage],
      ...QUANTILES.map((q) => ({ text: timeOf(times, q), class: "number" })),
      { text: count(times.count), class: "number" },
      bar(quantile(times, 0.99) / longest, series(arm)),
    ]),
  );
}

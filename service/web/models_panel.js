/* What the models cost, answer and do not know, and how far two of them agree. */

import { bar, distribution } from "./bars.js";
import { series } from "./colours.js";
import { byId, h, rows, setText } from "./dom.js";
import { costs, distributions, savings, shadow, unknowns } from "./figures.js";
import { count, large, percent, probability, short, tally } from "./format.js";
import { swatch } from "./line_chart.js";
import { mean, quantile, shares } from "./quantiles.js";
import { timeOf } from "./times.js";

/** Draws everything; `fields` are {name, role}, `teacher` is the teacher's model or undefined. */
export function drawModels(samples, fields, teacher) {
  drawCosts(costs(samples), teacher, samples);
  drawScores(distributions(samples).filter(({ scores }) => scores.count > 0));
  drawUnknowns(unknowns(samples, fields));
  drawShadow(shadow(samples));
}

function drawCosts(models, teacher, samples) {
  if (!models.length) return;
  const most = Math.max(...models.map(({ executed }) => executed));
  rows(
    byId("costs").tBodies[0],
    models.map(({ model, executed, effective, candidates }) => [
      { text: named(model), head: true },
      { text: large(executed), class: "number" },
      bar(executed / most, series(model)),
      { text: large(effective), class: "number" },
      { text: tally(candidates), class: "number" },
    ]),
  );
  const saved = teacher ? savings(samples, teacher) : null;
  setText(
    byId("costs-note"),
    saved?.candidates
      ? `${count(saved.candidates)} candidates answered without the teacher: ${large(saved.saved)} multiplications saved, ` +
          `${percent(saved.share)} of what it would have executed for them.`
      : "Executed: what the scorer multiplies, the context's share at a request of 200 candidates included.",
  );
}

function drawScores(models) {
  const drawn = models.map(({ model, scores }) => ({ name: model, class: series(model), buckets: shares(scores) }));
  const said = models.map(({ model, ...known }) => `${model}: ${spread(known)}`).join("; ");
  distribution(
    byId("scores-chart"),
    drawn,
    `Shares of answered probabilities by bucket. ${said || "Nothing was answered yet"}.`,
  );
  byId("scores-legend").replaceChildren(
    ...models.map(({ model, ...known }) =>
      h("li", {}, swatch(series(model)), h("span", {}, model.split("@")[0]), h("b", {}, spread(known))),
    ),
  );
}

function spread({ tenth, median, ninth }) {
  return `median ${probability(median)}, 80 % from ${probability(tenth)} to ${probability(ninth)}`;
}

function drawUnknowns(fields) {
  if (!fields.length) return;
  const most = Math.max(0.01, ...fields.map(({ share }) => share ?? 0));
  rows(
    byId("unknown").tBodies[0],
    fields.map(({ field, role, unknown, values, share }) => [
      { text: h("span", {}, field, h("small", {}, ` ${role}`)), head: true },
      { text: percent(share), class: "number" },
      bar(share / most, share > 0.05 ? "warn" : ""),
      { text: `${tally(unknown)} of ${tally(values)}`, class: "number" },
    ]),
  );
}

function drawShadow(found) {
  if (!found) return;
  const facts = [
    ["Requests compared", count(found.results.ok), dropped(found.results)],
    ["|Δ probability|", probability(mean(found.gap)), `p99 ${probability(quantile(found.gap, 0.99))}`],
    ["|Δ logit|", short(mean(found.logitGap)), `p99 ${short(quantile(found.logitGap, 0.99))}`],
    [
      "Kendall's τ, median",
      short(quantile(found.tau, 0.5)),
      `5 % of requests below ${short(quantile(found.tau, 0.05))}`,
    ],
    ["Top of the list shared", percent(mean(found.overlap)), `rank-biased overlap ${percent(mean(found.ranked))}`],
    ["Another first item", percent(found.flips), "of requests"],
    ...found.latency.map(({ model, histogram }) => [
      `time of ${model.split("@")[0]}`,
      timeOf(histogram, 0.5),
      `p99 ${timeOf(histogram, 0.99)}`,
    ]),
  ];
  byId("shadow").replaceChildren(
    h(
      "dl",
      { class: "facts" },
      ...facts.map(([name, value, note]) =>
        h("div", {}, h("dt", {}, name), h("dd", {}, value), h("dd", { class: "note" }, note)),
      ),
    ),
  );
}

function dropped({ dropped: lost = 0, error = 0 }) {
  return `${count(lost)} dropped, ${count(error)} failed`;
}

function named(model) {
  const [name, version] = model.split("@");
  return h(
    "span",
    { class: "arm" },
    h("i", { class: `key ${series(model)}` }),
    name,
    h("small", { class: "version" }, version ?? ""),
  );
}

/* Requests that were given an arm, as the service counts them now: no report has to be made for this. */

import { bar } from "./bars.js";
import { series } from "./colours.js";
import { byId, h, rows, setText, show } from "./dom.js";
import { exposures } from "./figures.js";
import { percent, setShare, tally, UNKNOWN } from "./format.js";

/** The empty table, filled by `drawExposures`. */
export function exposuresFrame() {
  const heads = ["Arm", "Requests", "Share", "Weight", ""].map((text) =>
    h("th", { scope: "col" }, text || h("span", { class: "hidden" }, "drawn")),
  );
  return h(
    "div",
    { id: "experiment-exposures", class: "card", hidden: true },
    h("h3", {}, "Exposures ", h("small", {}, "since the service started")),
    h(
      "div",
      { class: "scroll", tabindex: "0", role: "region", "aria-label": "Exposures by arm" },
      h(
        "table",
        { id: "exposures" },
        h("caption", { class: "hidden" }, "Exposures by arm"),
        h("thead", {}, h("tr", {}, ...heads)),
        h("tbody"),
      ),
    ),
    h("p", { id: "exposures-note", class: "note" }),
  );
}

/** Draws the exposures of an experiment; hides them while there are none. */
export function drawExposures(samples, experiment) {
  const all = exposures(samples).filter((each) => each.experiment === experiment?.name && each.value > 0);
  show(byId("experiment-exposures"), all.length > 0);
  if (!all.length) return;
  const assigned = all.filter(({ reason }) => reason === "assigned");
  const total = sum(assigned);
  const cells = experiment.arms.map(({ name, model, weight }) => {
    const value = sum(assigned.filter(({ arm }) => arm === name));
    const numbers = [tally(value), total ? percent(value / total) : UNKNOWN, setShare(weight / 10_000)];
    return [
      { text: name, head: true },
      ...numbers.map((text) => ({ text, class: "number" })),
      bar(total ? value / total : 0, series(model ?? name)),
    ];
  });
  rows(byId("exposures").tBodies[0], cells);
  setText(byId("exposures-note"), noted(all.filter(({ reason }) => reason !== "assigned")));
}

function noted(others) {
  const reasons = [...new Set(others.map(({ reason }) => reason))];
  const parts = reasons.map(
    (reason) => `${tally(sum(others.filter((each) => each.reason === reason)))} ${reason.replaceAll("_", " ")}`,
  );
  return parts.length
    ? `Not part of the analysis: ${parts.join(", ")}.`
    : "Shares of requests; the split itself is of units, and judged in the report.";
}

function sum(samples) {
  return samples.reduce((total, { value }) => total + value, 0);
}

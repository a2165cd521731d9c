/* The report on an experiment: verdict, the paper's table, the effect, guardrails, and where it comes from. */

import { byId, h, setText } from "./dom.js";
import { drawEffect, effectKey } from "./effect.js";
import { change, count, moment, percent, pValue, setShare, tally } from "./format.js";
import { drawArms, drawGuardrails } from "./report_tables.js";

const SAID = {
  ship: (arm) => ["✓", `Ship ${arm ?? "the treatment"}`],
  keep: () => ["=", "Keep the control"],
  stop_harm: (arm) => ["✕", `Stop: ${arm ?? "the treatment"} does harm`],
  inconclusive: () => ["…", "Not decided yet"],
  invalid: () => ["!", "No verdict: the data is not sound"],
};

/** The empty panel, drawn into by `drawReport`. */
export function reportFrame() {
  return [
    h(
      "div",
      { class: "columns" },
      h(
        "div",
        { class: "card", id: "verdict" },
        h("h3", {}, "Verdict"),
        h("p", { id: "verdict-word", role: "status" }),
        h("ul", { id: "verdict-reasons" }),
        h("p", { id: "verdict-rule", class: "note" }),
      ),
      h(
        "div",
        { class: "card", id: "srm" },
        h("h3", {}, "Split of the units"),
        h("p", { id: "srm-light" }),
        h("p", { id: "srm-text", class: "quiet" }),
        h("div", { id: "srm-counts" }),
      ),
    ),
    h("div", { class: "card" }, h("h3", {}, "The arms side by side"), h("div", { id: "arms" })),
    h("div", { id: "comparisons" }),
    h(
      "details",
      { class: "card" },
      h("summary", {}, "Where this report comes from"),
      h("dl", { id: "provenance", class: "facts" }),
    ),
  ];
}

/** Draws a report, as GET /experiment/report?format=json gives it. */
export function drawReport(report) {
  drawVerdict(report.verdict, report.plan);
  drawSrm(report.srm);
  drawArms(byId("arms"), report);
  byId("comparisons").replaceChildren(...report.comparisons.map((comparison) => compared(comparison, report.plan)));
  for (const comparison of report.comparisons)
    drawEffect(byId(`effect-${comparison.treatment}`), comparison, report.plan);
  drawProvenance(report.provenance, report.generated_at);
}

function drawVerdict({ verdict, treatment, reasons, rule, more_units: more }, plan) {
  const [sign, text] = (SAID[verdict] ?? SAID.invalid)(treatment);
  byId("verdict").dataset.verdict = verdict;
  setText(byId("verdict-word"), `${sign} ${text}`);
  byId("verdict-reasons").replaceChildren(
    ...reasons.map((reason) => h("li", { "data-code": reason.code }, reason.text)),
  );
  const decided =
    rule === "anytime" ? "By intervals that hold at every look" : "By intervals for the planned number of units";
  const goal =
    plan.goal === "superiority"
      ? "the treatment must win"
      : `the treatment may lose less than ${setShare(plan.margin)} of CTR`;
  setText(
    byId("verdict-rule"),
    `${decided}; ${goal}; ${count(plan.planned_units)} units planned${more ? `, about ${tally(more)} more needed as things are` : ""}.`,
  );
}

function drawSrm({ counts, shares, sequential_p: p, chi2_p: once, alarm, diagnosis }) {
  const light = byId("srm-light");
  light.className = alarm ? "light red" : "light green";
  setText(
    light,
    p === null
      ? "No unit yet"
      : alarm
        ? `Off: not the split that was promised, ${pValue(p)}`
        : `As promised, ${pValue(p)}`,
  );
  setText(
    byId("srm-text"),
    alarm
      ? diagnosis.text
      : `Sample ratio test that may be looked at every day; looked at once it would be ${pValue(once)}.`,
  );
  const total = Object.values(counts).reduce((sum, value) => sum + value, 0);
  byId("srm-counts").replaceChildren(
    h(
      "ul",
      { class: "plain" },
      ...Object.entries(counts).map(([arm, units]) =>
        h(
          "li",
          {},
          `${arm}: ${count(units)} units, ${percent(total ? units / total : null)} of them, ${setShare(shares[arm])} promised`,
        ),
      ),
    ),
  );
}

function compared({ treatment, primary, cuped, cupac, guardrails, missing }, plan) {
  const facts = primary
    ? effectFacts(primary, plan, cuped, cupac)
    : [["CTR", "–", missing ?? "nothing to compare yet"]];
  return h(
    "div",
    {},
    h(
      "figure",
      { class: "card" },
      h("figcaption", {}, `Effect of ${treatment} on CTR, over time`),
      h(
        "div",
        { class: "beside" },
        h("div", {}, h("div", { id: `effect-${treatment}`, class: "chart tall" }), effectKey()),
        h("dl", { class: "facts" }, ...facts.map(fact)),
      ),
    ),
    h(
      "div",
      { class: "card" },
      h("h3", {}, "Guardrails"),
      drawGuardrails(guardrails, treatment),
      h(
        "p",
        { class: "note" },
        "Harm is positive where the treatment is worse, pp are percentage points. Intervals are for looking once.",
      ),
    ),
  );
}

function effectFacts({ estimate, fixed, anytime, p, p_anytime: always, n }, { alpha }, cuped, cupac) {
  const level = setShare(1 - alpha);
  const adjusted = [
    ["CUPED", cuped],
    ["CUPAC", cupac],
  ]
    .filter(([, found]) => found)
    .map(([name, found]) => [
      name,
      change(found.lift.estimate),
      `${ends(found.lift.fixed)}; ${percent(found.variance_reduction)} less variance`,
    ]);
  return [
    ["Lift of CTR", change(estimate), `${tally(n)} units`],
    [`${level} interval at every look`, ends(anytime), pValue(always)],
    [`${level} interval at the planned end`, ends(fixed), pValue(p)],
    ...adjusted,
  ];
}

/** "−0.12 % to +1.30 %"; an end that is not bounded is said to be open. */
export function ends(interval) {
  if (!interval) return "–";
  const [low, high] = interval.map((end) => (end === null ? "open" : change(end)));
  return `${low} to ${high}`;
}

function fact([name, value, note]) {
  return h("div", {}, h("dt", {}, name), h("dd", {}, value), h("dd", { class: "note" }, note));
}

function drawProvenance(from, generated) {
  const reasons = Object.entries(from.reasons).map(([reason, n]) => `${tally(n)} ${reason.replaceAll("_", " ")}`);
  byId("provenance").replaceChildren(
    ...[
      ["Window", `${moment(from.from_ms)} to ${moment(from.until_ms)}`, `written ${moment(Date.parse(generated))}`],
      ["Requests", tally(from.requests), `${tally(from.answered)} answered, of ${tally(from.units)} units`],
      ["Impressions", tally(from.impressions), `${tally(from.clicks)} clicked, ${tally(from.strays)} strays left out`],
      ["Lost events", tally(from.losses), `${percent(from.exposure_loss)} of the exposures`],
      ["Units in several arms", tally(from.multi_arm_units), percent(from.multi_arm_share)],
      ["Configuration", from.config_hash, from.revisions.map(({ revision }) => `revision ${revision}`).join(", ")],
      ["Exposures", reasons.join(", ") || "–", "only assigned ones are analysed"],
    ].map(fact),
  );
}

/* Tables of the report: the arms as the paper's Table 4 has them, and the guardrails. */

import { series } from "./colours.js";
import { h } from "./dom.js";
import { change, count, duration, large, percent, setShare, short } from "./format.js";

const METRICS = {
  latency_p99: "latency p99",
  error_rate: "requests without an answer",
  fallback_rate: "answered by the fallback",
  log_loss: "log loss",
  calibration: "|calibration − 1|",
};
const OUTCOMES = {
  pass: ["✓", "holds"],
  fail: ["✕", "broken"],
  undecided: ["…", "not decided"],
  unmeasured: ["–", "not measured"],
};

/** Draws arms and improvements into `box`. */
export function drawArms(box, { arms, improvements }) {
  const heads = ["Arm", "Users", "Click users ↑", "CTR ↑", "FLOPs per candidate ↓", "Latency p50 ↓", "Latency p99 ↓"];
  box.replaceChildren(
    scrolled(
      "The arms side by side",
      h(
        "table",
        { id: "table4" },
        h("caption", { class: "hidden" }, "Click users, click-through rate, multiplications and latency by arm"),
        h(
          "thead",
          {},
          h("tr", {}, ...heads.map((text, place) => h("th", { scope: "col", class: place ? "number" : "" }, text))),
        ),
        h("tbody", {}, ...arms.map(armRow), ...improvements.map(improvementRow)),
      ),
    ),
    h(
      "p",
      { class: "note" },
      "An improvement is positive where the treatment is better: more clicks, fewer multiplications, less time. " +
        "Intervals in brackets are for looking once.",
    ),
  );
}

function armRow({
  arm,
  role,
  models,
  units,
  click_users: clickers,
  ctr,
  flops_effective: flops,
  flops_executed: executed,
  latency_p50_us: p50,
  latency_p99_us: p99,
}) {
  return h(
    "tr",
    {},
    h(
      "th",
      { scope: "row" },
      h("span", { class: "arm" }, h("i", { class: `key ${series(models[0], arm)}` }), arm),
      h(
        "small",
        { class: "version" },
        `${role}, ${models.map((model) => model.split("@")[0]).join(", ") || "no answer yet"}`,
      ),
    ),
    number(count(units)),
    number(count(clickers)),
    number(ctr ? ctr.value.toFixed(5) : "–"),
    number(large(flops), executed === null ? "" : `${large(executed)} executed`),
    number(micro(p50)),
    number(micro(p99)),
  );
}

function improvementRow({ treatment, click_users: clickers, ctr, flops, latency_p50: p50, latency_p99: p99 }) {
  return h(
    "tr",
    { class: "improvement" },
    h("th", { scope: "row" }, `${treatment} improves by`),
    h("td", {}),
    ...[clickers, ctr, flops, p50, p99].map((measured) =>
      number(
        measured ? change(measured.value) : "–",
        measured?.interval ? bracket(measured.interval, (end) => change(end, 1)) : "",
      ),
    ),
  );
}

/** The guardrails of one treatment as a table. */
export function drawGuardrails(guardrails, treatment) {
  const rows = guardrails.map((guardrail) => {
    const { metric, outcome, harm, fixed, missing } = guardrail;
    const [sign, text] = OUTCOMES[outcome];
    return h(
      "tr",
      { class: `outcome ${outcome}` },
      h(
        "th",
        { scope: "row" },
        METRICS[metric] ?? metric,
        h(
          "small",
          { class: "version" },
          missing ?? `${value(guardrail, "control_value")} → ${value(guardrail, "treatment_value")}`,
        ),
      ),
      number(harmText(guardrail, harm), fixed ? bracket(fixed, (end) => harmText(guardrail, end)) : ""),
      number(marginText(guardrail)),
      h("td", { class: "outcome-text" }, `${sign} ${text}`),
    );
  });
  const heads = ["What must not get worse", "Harm", "Margin", "So it"];
  return scrolled(
    `Guardrails of ${treatment}`,
    h(
      "table",
      { class: "guardrails" },
      h("caption", { class: "hidden" }, `Guardrails of ${treatment}`),
      h(
        "thead",
        {},
        h(
          "tr",
          {},
          ...heads.map((text, place) => h("th", { scope: "col", class: [1, 2].includes(place) ? "number" : "" }, text)),
        ),
      ),
      h("tbody", {}, ...rows),
    ),
  );
}

function value({ metric, ...values }, key) {
  const found = values[key];
  if (found === null) return "–";
  if (metric === "latency_p99") return duration(found / 1e6);
  return metric.endsWith("rate") ? percent(found) : short(found);
}

/** A relative change in percent; a difference of shares in percentage points. */
function harmText({ scale }, harm) {
  if (harm === null || harm === undefined) return "–";
  return scale === "lift" ? change(harm) : change(harm).replace("%", "pp");
}

function marginText({ scale, margin }) {
  return `< ${scale === "lift" ? setShare(margin) : setShare(margin).replace("%", "pp")}`;
}

/** "[−0.4 %, open]": an end that is not bounded is said to be open. */
function bracket(interval, format) {
  return `[${interval.map((end) => (end === null ? "open" : format(end))).join(", ")}]`;
}

function micro(measured) {
  return measured ? duration(measured.value / 1e6) : "–";
}

function number(text, below = "") {
  return h("td", { class: "number" }, text, below && h("small", { class: "version" }, below));
}

function scrolled(label, table) {
  return h("div", { class: "scroll", tabindex: "0", role: "region", "aria-label": label }, table);
}

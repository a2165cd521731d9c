/* Why: the terms that add up to the student's logit, by field and order, as a heat map that is a table. */

import { h } from "./dom.js";
import { probability, signed } from "./format.js";

const SAID = 3;
const SAME = 1e-12; // float64 sums of equal terms differ by less

/** Draws the reasons of the candidate at `place`; `why` is {answer} of /student/explain or {problem}. */
export function drawWhy(box, why, name, place) {
  if (why.problem) {
    box.replaceChildren(h("p", { class: "notice degraded" }, why.problem));
    return;
  }
  const { fields, orders, bias, calibration, logits, probabilities, terms } = why.answer;
  const found = terms[place];
  const strongest = Math.max(1e-9, ...terms.flat(2).map(Math.abs));
  box.replaceChildren(
    h(
      "p",
      { id: "why-sum" },
      h("b", {}, `${name}: `),
      `bias ${signed(bias, 3)}, terms ${signed(sum(found.flat()), 3)}, together the logit `,
      h("b", { id: "why-logit" }, signed(logits[place], 3)),
      `, ${calibrated(calibration)}probability `,
      h("b", {}, probability(probabilities[place])),
      ".",
    ),
    h("p", { id: "why-said" }, summary(found, fields, orders)),
    h(
      "div",
      { class: "whys" },
      part("All terms", table(found, { fields, orders, strongest, id: "terms" })),
      terms.length > 1 &&
        part(
          "Against the average of the candidates",
          table(against(terms, place), { fields, orders, strongest, id: "apart", only: SAME }),
        ),
    ),
    h(
      "p",
      { class: "note" },
      "Order t: products of t fields of which this one comes last, in the order of the model's graph; " +
        "context fields add the same to every candidate, so the second table leaves them out. The split is the model's own sum, not an estimate.",
    ),
  );
}

/** "Order-2 interactions of item add +0.42; …", the strongest first. */
export function summary(terms, fields, orders) {
  const all = terms.flatMap((row, t) => row.map((value, f) => ({ value, field: fields[f], order: orders[t] })));
  const strongest = all.sort((one, other) => Math.abs(other.value) - Math.abs(one.value)).slice(0, SAID);
  const parts = strongest.map(({ value, field, order }) => {
    const many = order > 1;
    const what = many ? `order-${order} interactions of ${field}` : `${field} alone`;
    return `${what} ${value < 0 ? "take" : "add"}${many ? "" : "s"} ${signed(value)}`;
  });
  const text = parts.join("; ");
  return `${text[0].toUpperCase()}${text.slice(1)}.`;
}

/** The terms of one candidate less their mean over all: what sets it apart. */
function against(terms, place) {
  return terms[place].map((row, t) =>
    row.map((value, f) => value - sum(terms.map((each) => each[t][f])) / terms.length),
  );
}

function part(title, content) {
  return h(
    "div",
    { class: "scroll", tabindex: "0", role: "region", "aria-label": `${title}, by field and order` },
    h("h4", {}, title),
    content,
  );
}

/** The table of terms [order][field]; `only` leaves out fields whose terms are all smaller. */
function table(terms, { fields, orders, strongest, id, only = 0 }) {
  const listed = fields.map((_, f) => f).filter((f) => terms.some((row) => Math.abs(row[f]) >= only));
  const cell = (value, total = false) =>
    h(
      "td",
      {
        class: `term ${value < 0 ? "less" : "more"}${total ? " total" : ""}`,
        style: total ? {} : { "--strength": Math.sqrt(Math.abs(value) / strongest).toFixed(3) },
      },
      signed(value, 3),
    );
  const head = (text) => h("th", { scope: "col" }, text);
  return h(
    "table",
    { id, class: "terms" },
    h("caption", { class: "hidden" }, "Terms by field and order"),
    h(
      "thead",
      {},
      h(
        "tr",
        {},
        head("Field"),
        ...orders.map((order) => head(order === 1 ? "alone" : `order ${order}`)),
        head("together"),
      ),
    ),
    h(
      "tbody",
      {},
      ...listed.map((f) =>
        h(
          "tr",
          {},
          h("th", { scope: "row" }, fields[f]),
          ...terms.map((row) => cell(row[f])),
          cell(sum(terms.map((row) => row[f])), true),
        ),
      ),
      h(
        "tr",
        {},
        h("th", { scope: "row" }, "together"),
        ...terms.map((row) => cell(sum(row), true)),
        cell(sum(terms.flat()), true),
      ),
    ),
  );
}

function calibrated({ slope, intercept }) {
  return slope === 1 && intercept === 0 ? "" : `calibrated to ${slope} × logit ${signed(intercept, 3)}, `;
}

function sum(numbers) {
  return numbers.reduce((total, number) => total + number, 0);
}

/* Two models' probabilities of the same candidates, their ranks, and what moves. */

import { bar } from "./bars.js";
import { h, s } from "./dom.js";
import { probability } from "./format.js";

const ROW = 26;

/**
 * Draws the table and the lines between both orders; returns one sentence that says what moves.
 * Args:
 *   box: where to draw.
 *   names, student, teacher: the candidates and what both answered; teacher may be {problem}.
 *   select: called with the place of a candidate whose reasons are wanted.
 */
export function drawRanks(box, { names, student, teacher, select }) {
  const ours = student.probabilities;
  const theirs = teacher.answer?.probabilities ?? null;
  const ranks = { ours: ranksOf(ours), theirs: theirs && ranksOf(theirs) };
  const order = names.map((_, place) => place).sort((one, other) => ranks.ours[one] - ranks.ours[other]);
  const buttons = order.map((place) => chooser(names[place], place));
  function chooser(name, place) {
    return h(
      "button",
      {
        type: "button",
        class: "item",
        "aria-pressed": "false",
        "data-place": place,
        title: "Show why",
        onclick: () => choose(place),
      },
      name,
    );
  }
  function choose(place) {
    for (const button of buttons) button.setAttribute("aria-pressed", String(Number(button.dataset.place) === place));
    select(place);
  }
  const line = (place, row) =>
    h(
      "tr",
      {},
      h("th", { scope: "row" }, buttons[row]),
      h("td", { class: "number" }, String(ranks.ours[place])),
      h("td", { class: "number" }, probability(ours[place])),
      h("td", {}, bar(ours[place], "series-0")),
      ...(theirs
        ? [
            h("td", { class: "number" }, probability(theirs[place])),
            h("td", {}, bar(theirs[place], "series-1")),
            h("td", { class: "number" }, String(ranks.theirs[place])),
            move(ranks.ours[place], ranks.theirs[place]),
          ]
        : []),
    );
  const heads = ["Candidate", "Rank", "Student", "", ...(theirs ? ["Teacher", "", "Rank", "Against the student"] : [])];
  const table = h(
    "table",
    { id: "ranks" },
    h("caption", { class: "hidden" }, "Probabilities and ranks of the candidates"),
    h(
      "thead",
      {},
      h("tr", {}, ...heads.map((head) => h("th", { scope: "col" }, head || h("span", { class: "hidden" }, "drawn")))),
    ),
    h("tbody", {}, ...order.map(line)),
  );
  const scroll = h(
    "div",
    { class: "scroll", tabindex: "0", role: "region", "aria-label": "Probabilities and ranks" },
    table,
  );
  box.replaceChildren(
    ...(theirs
      ? [h("div", { class: "ranks" }, scroll, slopes(names, ranks))]
      : [h("p", { class: "notice degraded" }, `No teacher beside it. ${teacher.problem}`), scroll]),
  );
  choose(order[0]);
  return theirs ? said(names, ranks) : "The student answered; the teacher did not.";
}

/** Rank of every number, 1 the largest; equal ones in the order sent. */
export function ranksOf(numbers) {
  const order = numbers.map((_, place) => place).sort((one, other) => numbers[other] - numbers[one] || one - other);
  const ranks = new Array(numbers.length);
  order.forEach((place, rank) => {
    ranks[place] = rank + 1;
  });
  return ranks;
}

function move(ours, theirs) {
  const by = ours - theirs;
  if (!by) return h("td", { class: "quiet" }, "same place");
  const places = `${Math.abs(by)} ${Math.abs(by) === 1 ? "place" : "places"}`;
  return h("td", { class: by > 0 ? "up" : "down" }, by > 0 ? `▲ ${places} up` : `▼ ${places} down`);
}

function slopes(names, { ours, theirs }) {
  const height = names.length * ROW + 30;
  const y = (rank) => 30 + (rank - 0.5) * ROW;
  const text = (x, rank, anchor, name) =>
    s("text", { class: "tick", x, y: y(rank) + 4, "text-anchor": anchor }, clipped(name));
  return s(
    "svg",
    {
      class: "slopes",
      viewBox: `0 0 240 ${height}`,
      width: 240,
      height,
      role: "img",
      "aria-label": `The student's order on the left, the teacher's on the right. ${said(names, { ours, theirs })}`,
    },
    s("text", { class: "tick strong", x: 70, y: 14, "text-anchor": "end" }, "student"),
    s("text", { class: "tick strong", x: 170, y: 14 }, "teacher"),
    ...names.flatMap((name, place) => [
      s("line", {
        class: `slope ${kind(ours[place], theirs[place])}`,
        x1: 76,
        x2: 164,
        y1: y(ours[place]),
        y2: y(theirs[place]),
      }),
      text(70, ours[place], "end", `${name}`),
      text(170, theirs[place], "start", `${name}`),
    ]),
  );
}

function kind(ours, theirs) {
  return ours === theirs ? "same" : theirs < ours ? "up" : "down";
}

function clipped(name) {
  return name.length > 10 ? `${name.slice(0, 9)}…` : name;
}

function said(names, { ours, theirs }) {
  const moves = names.map((name, place) => ({ name, by: Math.abs(ours[place] - theirs[place]), place }));
  const moved = moves.filter(({ by }) => by > 0);
  if (!moved.length) return `Both models put all ${names.length} candidates in the same order.`;
  const most = moved.reduce((one, other) => (other.by > one.by ? other : one));
  const first = ours.indexOf(1) === theirs.indexOf(1) ? "The first one stays the first" : "Another one comes first";
  return (
    `${first}; ${moved.length} of ${names.length} change places, most of all ${most.name}: ` +
    `rank ${ours[most.place]} by the student, ${theirs[most.place]} by the teacher.`
  );
}

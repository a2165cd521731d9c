/* The form: one context, some candidates; both models' answers and the student's reasons. */

import { getJson, postJson, Refused } from "./api.js";
import { byId, h, setText, show } from "./dom.js";
import { fieldInput, suggesting } from "./picks.js";
import { drawRanks } from "./ranks.js";
import { drawWhy } from "./why.js";

const MOST = 50;
const SHUFFLED = 8;
let fields = [];
let example = null;

/** Waits for the models, then lets the form ask them. */
export function startTry() {
  document.addEventListener("models", ({ detail }) => detail.student && prepare(detail.student.fields));
  byId("try-form").addEventListener("submit", (event) => {
    event.preventDefault(); // the policy of the page forbids sending forms anywhere
    predict();
  });
  byId("try-shuffle").addEventListener("click", shuffle);
  byId("try-example").addEventListener("click", () => fill(example));
}

async function prepare(found) {
  if (JSON.stringify(found) === JSON.stringify(fields)) return;
  fields = found;
  example = await getJson("/models/student/example");
  show(byId("try-shuffle"), example.items.length > 0);
  fill(example);
  for (const button of byId("try-form").querySelectorAll(".actions button")) button.disabled = false;
}

function fill({ context, items, candidates }) {
  const inputs = fields.filter(({ role }) => role === "context").map((field) => fieldInput(field, context[field.name]));
  byId("try-context").replaceChildren(
    ...(inputs.length ? inputs : [h("p", { class: "quiet" }, "This model has no context fields.")]),
  );
  byId("try-candidates").replaceChildren(...(items.length ? itemInputs(items) : columnInput(candidates)));
}

function itemInputs(items) {
  const list = h(
    "textarea",
    { id: "try-items", rows: 2, "aria-describedby": "try-items-note", spellcheck: "false" },
    items.join(", "),
  );
  const adding = suggesting({ id: "try-add", name: "add an item", path: "/models/student/items" });
  const input = adding.querySelector("input");
  function add() {
    if (input.value.trim()) list.value = [...itemsOf(list.value), input.value.trim()].join(", ");
    input.value = "";
  }
  input.addEventListener("keydown", (event) => {
    if (event.key !== "Enter" || !input.value.trim()) return;
    event.preventDefault(); // Enter adds the item that was typed, and sends the form when there is none
    add();
  });
  const together = h("div", { class: "together" });
  input.replaceWith(together);
  together.append(input, h("button", { type: "button", onclick: add }, "Add"));
  return [
    h(
      "div",
      { class: "field wide" },
      h("label", { for: "try-items" }, "items"),
      list,
      h("small", { id: "try-items-note", class: "note" }, `1 to ${MOST} items of the catalogue, separated by commas`),
    ),
    adding,
  ];
}

function columnInput(candidates) {
  return [
    h(
      "div",
      { class: "field wide" },
      h("label", { for: "try-columns" }, "candidate columns, as JSON"),
      h("textarea", { id: "try-columns", rows: 6, spellcheck: "false" }, JSON.stringify(candidates, null, 1)),
    ),
  ];
}

async function shuffle() {
  try {
    const { values } = await getJson("/models/student/items?limit=100");
    const drawn = values.map((value) => [Math.random(), value]).sort(([one], [other]) => one - other);
    byId("try-items").value = drawn
      .slice(0, SHUFFLED)
      .map(([, value]) => value)
      .join(", ");
  } catch (error) {
    setText(byId("try-status"), error.message);
  }
}

function asked() {
  const context = {};
  for (const { name, role, kind } of fields) {
    if (role !== "context") continue;
    const text = byId(`try-${name}`).value.trim();
    context[name] = text === "" ? null : kind === "numeric" ? Number(text) : text;
  }
  const items = byId("try-items");
  if (items) return { context, items: itemsOf(items.value) };
  return { context, candidates: JSON.parse(byId("try-columns").value) };
}

function itemsOf(text) {
  return text.split(/[\s,;]+/).filter(Boolean);
}

async function predict() {
  const status = byId("try-status");
  let body;
  try {
    body = asked();
  } catch (error) {
    setText(status, `The candidate columns are not JSON: ${error.message}`);
    return;
  }
  setText(status, "Asking both models…");
  const [student, teacher, why] = await Promise.all(
    ["/student/predict", "/teacher/predict", "/student/explain"].map((path) => answerOf(path, body)),
  );
  if (student.problem) {
    setText(status, student.problem);
    show(byId("try-answer"), false);
    return;
  }
  const names = body.items ?? student.answer.probabilities.map((_, place) => `candidate ${place + 1}`);
  const select = (place) => drawWhy(byId("try-why"), why, names[place], place);
  setText(status, drawRanks(byId("try-ranks"), { names, student: student.answer, teacher, select }));
  show(byId("try-answer"), true);
}

async function answerOf(path, body) {
  try {
    return { answer: await postJson(path, body) };
  } catch (error) {
    const title = error instanceof Refused && error.problem?.title ? `${error.problem.title}: ` : "";
    return { problem: title + error.message };
  }
}

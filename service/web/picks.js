/* Inputs that offer the values a field knows, asked of the service while one types. */

import { getJson } from "./api.js";
import { h, setText } from "./dom.js";
import { count } from "./format.js";

const WAIT_MS = 150;
const OFFERED = 20;

/** A labelled input for a field of the model, with suggestions where its values are text. */
export function fieldInput({ name, kind, vocabulary }, value) {
  const path = `/models/student/fields/${encodeURIComponent(name)}/values`;
  const id = `try-${name}`;
  if (kind === "numeric")
    return labelled(id, name, h("input", { id, name, type: "number", step: "any", value: value ?? "" }));
  return suggesting({ id, name, path, value, hint: `${count(vocabulary)} ids` });
}

/** A labelled text input whose suggestions come from `path`; says below whether its value is known. */
export function suggesting({ id, name, path, value = "", hint = "" }) {
  const list = h("datalist", { id: `${id}-values` });
  const note = h("small", { id: `${id}-note`, class: "note" }, hint);
  const input = h("input", {
    id,
    name,
    type: "text",
    list: list.id,
    value: value ?? "",
    "aria-describedby": note.id,
    spellcheck: "false",
    autocapitalize: "off",
  });
  let timer = 0;
  let asked = 0;
  async function offer() {
    const mine = ++asked;
    const text = input.value;
    try {
      const found = await getJson(`${path}?limit=${OFFERED}&prefix=${encodeURIComponent(text)}`);
      if (mine !== asked) return; // a later answer came first
      list.replaceChildren(...found.values.map((each) => h("option", { value: each })));
      setText(note, text && !found.known ? "not known: scored as unknown" : hint);
    } catch (error) {
      setText(note, error.message);
    }
  }
  input.addEventListener("focus", offer, { once: true });
  input.addEventListener("input", () => {
    clearTimeout(timer);
    timer = setTimeout(offer, WAIT_MS);
  });
  return labelled(id, name, input, list, note);
}

function labelled(id, name, ...parts) {
  return h("div", { class: "field" }, h("label", { for: id }, name.replaceAll("_", " ")), ...parts);
}

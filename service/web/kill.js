/* The kill switch: asks for the admin token and a reason, says what will happen, and only then does it. */

import { postJson } from "./api.js";
import { byId, h, setText, show } from "./dom.js";

let token = ""; // in this page's memory only: gone when it is closed or loaded again

/** Builds the dialog; returns what opens it for (document, experiment). `done` is called once it was stopped. */
export function prepareKill(done) {
  const dialog = h("dialog", { id: "kill-dialog", "aria-labelledby": "kill-title" }, form());
  document.body.append(dialog);
  byId("kill-cancel").addEventListener("click", () => dialog.close());
  byId("kill-form").addEventListener("submit", (event) => {
    event.preventDefault();
    stop(dialog, done);
  });
  return (found, experiment) => {
    setText(byId("kill-title"), `Stop ${experiment.name}?`);
    setText(
      byId("kill-text"),
      `Every unit will be answered by ${found.default}, in every worker within a second. ` +
        `Phase ${experiment.phase} cannot be taken up again: going on takes a new phase.`,
    );
    byId("kill-scope").replaceChildren(
      h("option", { value: experiment.name }, experiment.name),
      h("option", { value: "" }, `every experiment (${found.experiments.length})`),
    );
    show(byId("kill-scope-field"), found.experiments.length > 1);
    byId("kill-token").value = token;
    say("");
    dialog.showModal();
    byId(token ? "kill-reason" : "kill-token").focus();
  };
}

async function stop(dialog, done) {
  const given = byId("kill-token").value.trim();
  const reason = byId("kill-reason").value.trim();
  if (!given || !reason) {
    say(given ? "Say why: the reason is kept with the revision." : "The admin token is the value of CTR_ADMIN_TOKEN.");
    byId(given ? "kill-reason" : "kill-token").focus();
    return;
  }
  const button = byId("kill-now");
  button.disabled = true;
  try {
    const body = { experiment: byId("kill-scope").value || null, reason };
    const { revision } = await postJson("/experiment/kill", body, { authorization: `Bearer ${given}` });
    token = given;
    byId("kill-reason").value = "";
    dialog.close();
    setText(byId("kill-done"), `Stopped: revision ${revision} is in force.`);
    await done();
  } catch (error) {
    say(error.message);
  } finally {
    button.disabled = false;
  }
}

function say(text) {
  setText(byId("kill-problem"), text);
  show(byId("kill-problem"), text !== "");
}

function form() {
  return h(
    "form",
    { id: "kill-form", novalidate: true },
    h("h3", { id: "kill-title" }, "Stop?"),
    h("p", { id: "kill-text" }),
    h(
      "div",
      { class: "field", id: "kill-scope-field" },
      h("label", { for: "kill-scope" }, "what to stop"),
      h("select", { id: "kill-scope" }),
    ),
    h(
      "div",
      { class: "field" },
      h("label", { for: "kill-token" }, "admin token"),
      h("input", {
        id: "kill-token",
        type: "password",
        autocomplete: "off",
        spellcheck: "false",
        "aria-describedby": "kill-token-note",
      }),
      h("small", { id: "kill-token-note", class: "note" }, "kept in this page's memory only"),
    ),
    h(
      "div",
      { class: "field" },
      h("label", { for: "kill-reason" }, "reason"),
      h("input", { id: "kill-reason", type: "text", maxlength: 500 }),
    ),
    h("p", { id: "kill-problem", class: "notice down", role: "alert", hidden: true }),
    h(
      "p",
      { class: "actions" },
      h("button", { id: "kill-now", type: "submit", class: "danger" }, "Stop it now"),
      h("button", { id: "kill-cancel", type: "button" }, "Cancel"),
    ),
  );
}

/* The experiment in force: which one, what the report says about it, and the way to stop it. */

import { getJson, Refused } from "./api.js";
import { byId, h, setText, show } from "./dom.js";
import { drawExposures, exposuresFrame } from "./exposures.js";
import { moment, setShare } from "./format.js";
import { prepareKill } from "./kill.js";
import { drawReport, reportFrame } from "./report.js";

const EVERY_MS = 10_000;
const REPORT_MS = 60_000;
const HISTORY = 8;
const REPORT = "/experiment/report?format=json";
let chosen = null;
let inForce = null;
let drawn = "";
let timer = 0;

/** Asks for the experiment every ten seconds, and shows exposures with every scrape. */
export function startExperiment() {
  const kill = prepareKill(ask);
  byId("experiment-panel").append(...frame(kill));
  document.addEventListener("scraped", ({ detail }) => {
    drawExposures(detail.samples, current());
  });
  addEventListener("resize", () => {
    drawn = "";
  });
  ask();
}

async function ask() {
  clearTimeout(timer);
  if (!document.hidden) await draw();
  clearTimeout(timer);
  timer = setTimeout(ask, EVERY_MS);
}

async function draw() {
  try {
    inForce = await getJson("/experiment");
  } catch (error) {
    absent(refusal(error));
    return;
  }
  const experiment = current();
  if (!experiment) {
    const { default: model } = inForce.document;
    absent(
      `No experiment runs: every unit is answered by ${model}. PUT /experiment puts one in force, in every worker within a second.`,
    );
    return;
  }
  show(byId("experiment-none"), false);
  show(byId("experiment-panel"), true);
  head(experiment);
  await drawLatest(experiment);
}

async function drawLatest({ name, phase }) {
  const status = byId("report-status");
  try {
    const path = `${REPORT}&experiment=${encodeURIComponent(name)}&phase=${phase}`;
    const report = await getJson(path, REPORT_MS);
    if (current()?.name !== name) return; // another one was chosen meanwhile
    show(byId("report"), true); // first: a hidden chart has no size
    drawChanged(report);
    setText(status, "");
  } catch (error) {
    setText(status, `No report now: ${error.message}`);
    if (error instanceof Refused) show(byId("report"), false);
  }
  show(status, status.textContent !== "");
}

/** Draws a report only where it says something new: what has the focus stays, and nothing is announced again. */
function drawChanged({ generated_at, ...said }) {
  const text = JSON.stringify(said);
  if (text === drawn) return;
  drawn = text;
  drawReport({ generated_at, ...said });
}

function frame(kill) {
  const choice = h("select", {
    id: "experiment-choice",
    "aria-label": "Experiment",
    onchange: ({ target }) => {
      chosen = target.value;
      ask();
    },
  });
  return [
    h(
      "div",
      { class: "card heading" },
      h("div", {}, choice, h("p", { id: "experiment-facts", class: "quiet" })),
      h(
        "button",
        { type: "button", id: "kill", class: "danger", onclick: () => kill(inForce.document, current()) },
        "Stop the experiment",
      ),
    ),
    exposuresFrame(),
    h("p", { id: "report-status", class: "notice", role: "status" }),
    h("div", { id: "report", hidden: true }, ...reportFrame()),
    h(
      "details",
      { class: "card" },
      h("summary", {}, "What was in force before"),
      h("div", { class: "scroll" }, h("table", { id: "revisions" })),
    ),
  ];
}

function head(experiment) {
  const { document: found, revision, revisions } = inForce;
  const choice = byId("experiment-choice");
  const names = found.experiments.map(({ name }) => name);
  if ([...choice.options].map(({ value }) => value).join() !== names.join()) {
    choice.replaceChildren(...names.map((name) => h("option", { value: name }, name)));
  }
  choice.value = experiment.name;
  const arms = experiment.arms.map(
    ({ name, model, weight }) => `${name} ${setShare(weight / 10_000)}${model && model !== name ? ` (${model})` : ""}`,
  );
  const state = experiment.kill
    ? `stopped: every unit is answered by ${found.default}`
    : `${setShare(experiment.ramp / 100)} of its units included`;
  setText(
    byId("experiment-facts"),
    `Phase ${experiment.phase}, ${experiment.mode === "aa" ? "A/A" : "A/B"}, ${state}. Arms: ${arms.join(", ")}. Revision ${revision}.`,
  );
  setText(byId("experiment-name"), experiment.kill ? "stopped" : "running");
  const button = byId("kill");
  button.disabled = experiment.kill;
  setText(button, experiment.kill ? "Stopped" : "Stop the experiment");
  drawRevisions(revisions);
}

function drawRevisions(revisions) {
  const latest = [...revisions].sort((one, other) => other.revision - one.revision).slice(0, HISTORY);
  byId("revisions").replaceChildren(
    h("thead", {}, h("tr", {}, ...["Revision", "When", "What", "Why"].map((text) => h("th", { scope: "col" }, text)))),
    h(
      "tbody",
      {},
      ...latest.map(({ revision, ts_ms: at, action, reason }) =>
        h(
          "tr",
          {},
          h("th", { scope: "row" }, String(revision)),
          h("td", {}, moment(at)),
          h("td", {}, action),
          h("td", {}, reason || "–"),
        ),
      ),
    ),
  );
}

function current() {
  const experiments = inForce?.document.experiments ?? [];
  return experiments.find(({ name }) => name === chosen) ?? experiments[0] ?? null;
}

function absent(text) {
  inForce = null;
  setText(byId("experiment-name"), "");
  const none = byId("experiment-none");
  setText(none, text);
  show(none, true);
  show(byId("experiment-panel"), false);
}

function refusal(error) {
  if (!(error instanceof Refused)) return `Whether an experiment runs is not known: ${error.message}.`;
  if (error.status === 404) return "This service has no experiments.";
  return `No experiment can run here: ${error.message}`;
}

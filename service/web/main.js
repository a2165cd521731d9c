/* The page's clock: asks the service again and again, one question after another, and hands out the answers. */

import { getJson, getText, Refused } from "./api.js";
import { learn } from "./colours.js";
import { byId, setText } from "./dom.js";
import { startExperiment } from "./experiment.js";
import { armsOf, predictions } from "./figures.js";
import { History } from "./history.js";
import { drawLive, prepareLive, record } from "./live.js";
import { drawModels } from "./models_panel.js";
import { parse } from "./prometheus.js";
import { showDown, showReady, showState, showUnready } from "./status.js";
import { startTry } from "./try.js";

const EVERY_MS = 2000;
const history = new History(300);
const known = { models: {}, arms: {}, reasons: {} };
let paused = false;
let asking = false;
let timer = 0;

/** One round: scrape, ask whether it is ready, draw. */
async function round() {
  try {
    const samples = parse(await getText("/metrics"));
    const ready = await readiness();
    history.push(Date.now(), samples);
    record(history);
    if (!Object.keys(known.models).length || ready.changed) await learnModels();
    draw(samples);
    if (ready.problem) showUnready(ready.problem);
    else showReady({ reasons: known.reasons, traffic: predictions(samples) > 0 });
    setText(byId("updated"), `Updated ${new Date().toLocaleTimeString("en-GB")}`);
  } catch (error) {
    if (history.latest) history.gap(Date.now());
    showDown(history.latest?.at, EVERY_MS);
    if (!(error instanceof Refused) && error.constructor === TypeError) throw error;
  }
}

async function readiness() {
  try {
    const { arms, reasons } = await getJson("/readyz");
    const changed = JSON.stringify(arms) !== JSON.stringify(known.arms);
    Object.assign(known, { arms, reasons });
    learn(arms);
    return { changed };
  } catch (error) {
    if (!(error instanceof Refused)) throw error;
    return { changed: false, problem: error.message };
  }
}

async function learnModels() {
  known.models = (await getJson("/models")).arms;
  const said = Object.entries(known.models).map(([arm, { model, scorer }]) => `${arm} ${model} (${scorer})`);
  if (said.length) setText(byId("serving"), said.join(" · "));
  document.dispatchEvent(new CustomEvent("models", { detail: known.models }));
}

function draw(samples) {
  const fields = Object.values(known.models)[0]?.fields ?? [];
  drawLive(history, known.arms.teacher);
  drawModels(samples, fields, known.arms.teacher);
  document.dispatchEvent(new CustomEvent("scraped", { detail: { samples, arms: armsOf(samples) } }));
}

async function again() {
  if (asking) return;
  clearTimeout(timer);
  asking = true;
  if (!paused && !document.hidden) await round();
  asking = false;
  timer = setTimeout(again, EVERY_MS);
}

byId("pause").addEventListener("click", (event) => {
  paused = !paused;
  event.target.setAttribute("aria-pressed", String(paused));
  setText(event.target, paused ? "Resume" : "Pause");
  if (paused) showState("paused");
  else again();
});
document.addEventListener("visibilitychange", () => !document.hidden && again());
addEventListener("resize", () => history.latest && draw(history.latest.samples));

prepareLive(history);
startTry();
startExperiment();
again();

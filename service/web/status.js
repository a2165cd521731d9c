/* What is the matter, if anything is, and what to do: said once, when it changes. */

import { byId, setText, show } from "./dom.js";
import { span } from "./format.js";

const PILLS = {
  waiting: "connecting",
  live: "live",
  idle: "ready, no traffic",
  degraded: "degraded",
  unready: "not ready",
  down: "down",
  paused: "paused",
};

/** Shows a state: its pill, and a notice where `title` is given. */
export function showState(state, title = "", text = "") {
  const pill = byId("state");
  setText(pill, PILLS[state]);
  pill.className = `pill ${state}`;
  document.body.dataset.state = state;
  const notice = byId("notice");
  notice.className = `notice ${state}`;
  setText(byId("notice-title"), title);
  setText(byId("notice-text"), text);
  show(notice, title !== "");
}

/** The service does not answer. */
export function showDown(seenAt, every) {
  const seen = seenAt
    ? `What you see is from ${new Date(seenAt).toLocaleTimeString("en-GB")}.`
    : "It never did since this page was opened.";
  showState(
    "down",
    "The service does not answer.",
    `${seen} Start it again (make serve) or look into its log; this page asks again every ${span(every / 1000)}.`,
  );
}

/** No student answers; `detail` is the service's own reason. */
export function showUnready(detail) {
  showState("unready", "The service is up but not ready.", detail);
}

/** Ready: nothing to say, or that something is missing. */
export function showReady({ reasons, traffic }) {
  const missing = Object.entries(reasons)
    .map(([arm, reason]) => `${arm}: ${reason}`)
    .join("; ");
  if (missing) showState("degraded", "The service answers, but not with every model.", missing);
  else if (!traffic) {
    showState(
      "idle",
      "Ready, and nobody has asked yet.",
      "POST /predict gets probabilities; /openapi.json has requests that work as they stand, and so has “Try it” below.",
    );
  } else showState("live");
}

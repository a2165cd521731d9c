/* From scrapes to the figures of the page. Pure: samples in, numbers out. */

import { labelValues, select, total } from "./prometheus.js";
import { histogram, increase, observed, quantile } from "./quantiles.js";

const REQUESTS = "ctr_request_duration_seconds";
const STAGE = "ctr_stage_duration_seconds";
const CANDIDATES = "ctr_candidates_total";
const PER_CANDIDATE = "ctr_model_flops_per_candidate";
export const STAGES = ["decode", "encode", "queue", "infer", "respond"];
export const QUANTILES = [0.5, 0.95, 0.99];
const answers = (arm) => arm !== undefined && arm !== "none"; // pages and scrapes are answered by no arm
const good = { arm: answers, status_class: "2xx" };

/** Arms that have answered anything, student and teacher first. */
export function armsOf(samples) {
  const found = labelValues(samples, `${REQUESTS}_count`, "arm", { arm: answers }).filter(
    (arm) => total(samples, `${REQUESTS}_count`, { arm }) > 0,
  );
  const order = (arm) => ["student", "teacher", arm].indexOf(arm);
  return found.sort((one, other) => order(one) - order(other) || one.localeCompare(other));
}

/** Predictions answered so far, errors included. */
export function predictions(samples) {
  return total(samples, `${REQUESTS}_count`, { arm: answers }) ?? 0;
}

/** {requests, candidates, errors, byArm} per second over a window. */
export function rates({ now, then, seconds }) {
  const per = (name, match) => increase(now, then, name, match) / seconds;
  return {
    requests: per(`${REQUESTS}_count`, { arm: answers }),
    refused: per(`${REQUESTS}_count`, { arm: answers, status_class: "4xx" }),
    errors: per(`${REQUESTS}_count`, { arm: answers, status_class: "5xx" }),
    candidates: per(CANDIDATES, {}),
    byArm: new Map(armsOf(now).map((arm) => [arm, per(`${REQUESTS}_count`, { arm })])),
  };
}

/** Histogram of the durations of one arm's good answers over a window. */
export function latency({ now, then }, arm) {
  return observed(now, then, REQUESTS, { ...good, arm });
}

/** [{arm, stage, times}]: whole requests of every arm (stage "request"), then their stages. */
export function latencies({ now, then }) {
  return armsOf(now)
    .flatMap((arm) => [
      { arm, stage: "request", times: latency({ now, then }, arm) },
      ...STAGES.map((stage) => ({ arm, stage, times: observed(now, then, STAGE, { arm, stage }) })),
    ])
    .filter(({ times }) => times.count > 0);
}

/** [{model, executed, effective, candidates}] of the models there are. */
export function costs(samples) {
  return labelValues(samples, PER_CANDIDATE, "model").map((model) => ({
    model,
    executed: total(samples, PER_CANDIDATE, { model, kind: "executed" }),
    effective: total(samples, PER_CANDIDATE, { model, kind: "effective" }),
    candidates: total(samples, CANDIDATES, { model }) ?? 0,
  }));
}

/**
 * {saved, share, candidates}: multiplications that the teacher would have needed for the candidates of other models,
 * less what those executed, and as a share of the teacher's; null without a teacher.
 */
export function savings(samples, teacher) {
  const models = costs(samples);
  const known = models.find(({ model }) => model === teacher);
  if (!known) return null;
  const others = models.filter(({ model }) => model !== teacher);
  const candidates = others.reduce((sum, model) => sum + model.candidates, 0);
  const saved = others.reduce((sum, model) => sum + model.candidates * (known.executed - model.executed), 0);
  return { saved, candidates, share: candidates ? saved / (candidates * known.executed) : null };
}

/** Model → histogram of its answered probabilities so far. */
export function distributions(samples) {
  return labelValues(samples, "ctr_score_count", "model").map((model) => {
    const scores = histogram(samples, "ctr_score", { model });
    return { model, scores, tenth: quantile(scores, 0.1), median: quantile(scores, 0.5), ninth: quantile(scores, 0.9) };
  });
}

/** [{field, role, unknown, values, share}] so far; `fields` are {name, role}, as /models describes them. */
export function unknowns(samples, fields) {
  const requests = total(samples, `${REQUESTS}_count`, good) ?? 0;
  const candidates = total(samples, CANDIDATES) ?? 0;
  return fields.map(({ name, role }) => {
    const unknown = total(samples, "ctr_oov_total", { field: name }) ?? 0;
    const values = role === "context" ? requests : candidates;
    return { field: name, role, unknown, values, share: values ? unknown / values : null };
  });
}

/** Shadow agreement so far, null while nothing was compared. */
export function shadow(samples) {
  const results = Object.fromEntries(
    select(samples, "ctr_shadow_total").map(({ labels, value }) => [labels.result, value]),
  );
  if (!(results.ok > 0)) return null;
  const of = (name) => histogram(samples, name);
  return {
    results,
    gap: of("ctr_shadow_abs_diff"),
    logitGap: of("ctr_shadow_logit_diff"),
    tau: of("ctr_shadow_kendall_tau"),
    overlap: of("ctr_shadow_top_k_overlap"),
    ranked: of("ctr_shadow_rank_biased_overlap"),
    flips: (total(samples, "ctr_shadow_top_1_flips_total") ?? 0) / results.ok,
    latency: labelValues(samples, "ctr_shadow_latency_seconds_count", "model").map((model) => ({
      model,
      histogram: histogram(samples, "ctr_shadow_latency_seconds", { model }),
    })),
  };
}

/** [{experiment, arm, reason, value}] of exposures so far. */
export function exposures(samples) {
  return select(samples, "ctr_exposures_total").map(({ labels, value }) => ({ ...labels, value }));
}

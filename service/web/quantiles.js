/* Histograms with cumulative buckets, as Prometheus keeps them: sums, differences and quantiles. */

import { select } from "./prometheus.js";

/** {bounds, counts, count, sum or null}: the matching series added up; counts are cumulative, the last bound is infinite. */
export function histogram(samples, name, match = {}) {
  return added(samples, null, name, match);
}

/** What was observed from `then` to `now`; a series that went down was restarted and counts from zero. */
export function observed(now, then, name, match = {}) {
  return added(now, then, name, match);
}

/** The increase of a counter from `then` to `now`, summed over the matching series. */
export function increase(now, then, name, match = {}) {
  const before = byKey(then, name);
  return select(now, name, match).reduce((sum, { key, value }) => sum + grown(value, before.get(key)), 0);
}

/**
 * The q-quantile, interpolated within its bucket as Prometheus' histogram_quantile does; null without observations.
 * Above the last finite bound that bound is returned: the truth is at least as large.
 */
export function quantile({ bounds, counts, count }, q) {
  if (!(count > 0)) return null;
  const rank = q * count;
  const place = counts.findIndex((below) => below >= rank);
  if (bounds[place] === Infinity) return place ? bounds[place - 1] : null;
  const low = place ? bounds[place - 1] : Math.min(0, bounds[0]);
  const below = place ? counts[place - 1] : 0;
  const within = counts[place] - below;
  return within ? low + (bounds[place] - low) * ((rank - below) / within) : low;
}

/** "below", "above" or "inside": whether the q-quantile lies beyond the buckets that could tell where. */
export function placeOf({ bounds, counts, count }, q) {
  if (!(count > 0)) return "inside";
  const place = counts.findIndex((below) => below >= q * count);
  if (bounds[place] === Infinity) return "above";
  return place === 0 ? "below" : "inside";
}

/** The mean of what was observed; null without observations, or without a sum: values that may be negative have none. */
export function mean({ count, sum }) {
  return count > 0 && sum !== null ? sum / count : null;
}

/** [{low, high, share}] per finite bucket, and one for what lies above if anything does. */
export function shares({ bounds, counts, count }) {
  const found = bounds.map((high, place) => ({
    low: place ? bounds[place - 1] : 0,
    high,
    share: count ? (counts[place] - (place ? counts[place - 1] : 0)) / count : 0,
  }));
  return found.filter(({ high, share }) => high !== Infinity || share > 0);
}

function added(now, then, name, match) {
  const before = byKey(then, `${name}_bucket`);
  const totals = new Map();
  for (const { labels, key, value } of select(now, `${name}_bucket`, match)) {
    const bound = labels.le === "+Inf" ? Infinity : Number(labels.le);
    totals.set(bound, (totals.get(bound) ?? 0) + grown(value, before.get(key)));
  }
  const summed = select(now, `${name}_sum`, match).length ? increase(now, then, `${name}_sum`, match) : null;
  const bounds = [...totals.keys()].sort((one, other) => one - other);
  const counts = bounds.map((bound) => totals.get(bound));
  return { bounds, counts, count: counts.at(-1) ?? 0, sum: summed };
}

function byKey(samples, name) {
  return new Map((samples?.get(name) ?? []).map(({ key, value }) => [key, value]));
}

function grown(value, before = 0) {
  return value >= before ? value - before : value;
}

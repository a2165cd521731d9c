/* Quantiles of durations in words: where the buckets cannot tell, a bound instead of a guess. */

import { duration } from "./format.js";
import { placeOf, quantile } from "./quantiles.js";

/** "1.23 ms", "< 250 µs" in the lowest bucket, "> 1.00 s" above the highest, "–" without observations. */
export function timeOf(times, q) {
  const place = placeOf(times, q);
  if (place === "below") return `< ${duration(times.bounds[0])}`;
  return (place === "above" ? "> " : "") + duration(quantile(times, q));
}

/* Bars: one per row with its number beside it, and the buckets of several histograms side by side. */

import { h, s } from "./dom.js";
import { percent, probability } from "./format.js";

const BOTTOM = 20;

/** A bar of `share` (0 to 1) of its cell's width; the number beside it says the same. */
export function bar(share, kind = "") {
  const filled = Math.max(0, Math.min(1, share || 0));
  return h(
    "span",
    { class: "bar", "aria-hidden": "true" },
    h("span", { class: `fill ${kind}`, style: { width: `${(filled * 100).toFixed(2)}%` } }),
  );
}

/**
 * Draws shares of equal buckets side by side into `box`: [{name, class, buckets: [{low, high, share}]}].
 * The buckets are drawn equally wide; their bounds stand below them.
 */
export function distribution(box, histograms, title) {
  const width = Math.max(box.clientWidth, 200);
  const height = Math.max(box.clientHeight, 80);
  const most = Math.max(0.01, ...histograms.flatMap(({ buckets }) => buckets.map(({ share }) => share)));
  const bounds = histograms[0]?.buckets ?? [];
  const slot = width / Math.max(bounds.length, 1);
  const wide = (slot * 0.84) / Math.max(histograms.length, 1);
  const figure = s("svg", { viewBox: `0 0 ${width} ${height}`, width, height, role: "img", "aria-label": title });
  histograms.forEach(({ name, class: kind, buckets }, place) =>
    buckets.forEach(({ low, high, share }, bucket) => {
      const tall = (height - BOTTOM - 4) * (share / most);
      figure.append(
        s(
          "rect",
          {
            class: `area ${kind}`,
            x: bucket * slot + slot * 0.08 + place * wide,
            y: height - BOTTOM - tall,
            width: wide,
            height: tall,
          },
          s("title", {}, `${name}: ${percent(share)} from ${probability(low)} to ${probability(high)}`),
        ),
      );
    }),
  );
  figure.append(s("line", { class: "grid", x1: 0, x2: width, y1: height - BOTTOM, y2: height - BOTTOM }));
  figure.append(...ticks(bounds, slot, width, height));
  box.replaceChildren(figure);
}

function ticks(bounds, slot, width, height) {
  const every = Math.ceil(34 / slot);
  return bounds
    .map(({ high }, place) => [high, (place + 1) * slot])
    .filter(([, x], place) => (bounds.length - 1 - place) % every === 0 && x > 12)
    .map(([high, x]) =>
      s(
        "text",
        { class: "tick", x: Math.min(x, width - 1), y: height - 5, "text-anchor": x > width - 12 ? "end" : "middle" },
        String(high),
      ),
    );
}

/* Prometheus' text format → samples. One pass over the lines, no library.
   Source: prometheus.io/docs/instrumenting/exposition_formats */

const LINE = /^([A-Za-z_:][\w:]*)(?:\{(.*)\})?\s+(\S+)(?:\s+-?\d+)?\s*$/;
const LABEL = /([A-Za-z_]\w*)="((?:[^"\\]|\\.)*)"/g;
const ESCAPED = /\\(.)/g;

/** Metric name → [{labels, key, value}]; `key` tells the samples of one name apart. Comments are left out. */
export function parse(text) {
  const samples = new Map();
  for (const line of text.split("\n")) {
    if (!line || line.startsWith("#")) continue;
    const found = LINE.exec(line);
    if (!found) continue;
    const [, name, labels = "", value] = found;
    if (!samples.has(name)) samples.set(name, []);
    samples.get(name).push({ labels: labelsOf(labels), key: labels, value: number(value) });
  }
  return samples;
}

/** The samples of a name whose labels are those of `match`; a function as a label's match decides by its value. */
export function select(samples, name, match = {}) {
  const wanted = Object.entries(match);
  return (samples.get(name) ?? []).filter(({ labels }) =>
    wanted.every(([label, value]) => (typeof value === "function" ? value(labels[label]) : labels[label] === value)),
  );
}

/** The sum of the matching samples; null where there is none. */
export function total(samples, name, match = {}) {
  const found = select(samples, name, match);
  return found.length ? found.reduce((sum, { value }) => sum + value, 0) : null;
}

/** The distinct values of a label, in order of appearance. */
export function labelValues(samples, name, label, match = {}) {
  return [...new Set(select(samples, name, match).map(({ labels }) => labels[label]))];
}

function labelsOf(text) {
  const labels = {};
  for (const [, name, value] of text.matchAll(LABEL)) {
    labels[name] = value.replace(ESCAPED, (_, character) => (character === "n" ? "\n" : character));
  }
  return labels;
}

function number(text) {
  if (text === "+Inf" || text === "Inf") return Infinity;
  return text === "-Inf" ? -Infinity : Number(text);
}

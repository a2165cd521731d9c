/* Numbers as people read them: three significant digits, a unit, a true minus sign, and "–" for what is not known. */

export const UNKNOWN = "–";
const SPACE = "\u202f"; // narrow, not breaking: a number and its unit stay together
const PREFIXES = [
  [1e15, "P"],
  [1e12, "T"],
  [1e9, "G"],
  [1e6, "M"],
  [1e3, "k"],
];

const whole = new Intl.NumberFormat("en", { maximumFractionDigits: 0 });
const exact = new Intl.NumberFormat("en", { maximumFractionDigits: 4 });
const fixed = [0, 1, 2, 3, 4].map(
  (digits) =>
    new Intl.NumberFormat("en", {
      minimumFractionDigits: digits,
      maximumFractionDigits: digits,
    }),
);

const known = (number) => number !== null && number !== undefined && Number.isFinite(number);

/** 1234567 → "1,234,567". */
export function count(number) {
  return known(number) ? minus(whole.format(number)) : UNKNOWN;
}

/** Three significant digits: 0.1234 → "0.123", 12.34 → "12.3", 1234 → "1,234". */
export function short(number) {
  if (!known(number)) return UNKNOWN;
  const size = Math.abs(number);
  if (size === 0) return "0";
  if (size < 0.001) return minus(number.toExponential(1));
  return minus(fixed[size >= 99.95 ? 0 : size >= 9.995 ? 1 : size >= 0.9995 ? 2 : 3].format(number));
}

/** Three significant digits with a decimal prefix: 4032 → "4.03 k", 1.2e12 → "1.20 T". */
export function large(number) {
  if (!known(number)) return UNKNOWN;
  const [unit, prefix] = PREFIXES.find(([size]) => Math.abs(number) >= size * 0.9995) ?? [1, ""];
  return short(number / unit) + (prefix && SPACE + prefix);
}

/** Seconds → "850 µs", "1.23 ms", "2.50 s". */
export function duration(seconds) {
  if (!known(seconds)) return UNKNOWN;
  if (seconds === 0) return `0${SPACE}ms`;
  if (seconds < 0.9995e-3) return short(seconds * 1e6) + SPACE + "µs";
  return seconds < 0.9995 ? short(seconds * 1e3) + SPACE + "ms" : short(seconds) + SPACE + "s";
}

/** How many: whole numbers in full up to 9,999, then three digits: 257 → "257", 1234567 → "1.23 M". */
export function tally(number) {
  return known(number) && Math.abs(number) >= 10000 ? large(number) : count(number);
}

/** A share: 0.1234 → "12.3 %". */
export function percent(share) {
  return known(share) ? short(share * 100) + SPACE + "%" : UNKNOWN;
}

/** A share that was set, not measured: 0.5 → "50 %", 0.0025 → "0.25 %". */
export function setShare(share) {
  return known(share) ? exact.format(share * 100) + SPACE + "%" : UNKNOWN;
}

/** A change with its sign: 0.42 → "+0.42", with `digits` decimals. */
export function signed(number, digits = 2) {
  if (!known(number)) return UNKNOWN;
  const text = fixed[digits].format(Math.abs(number));
  if (Number(text) === 0) return text;
  return (number < 0 ? "−" : "+") + text;
}

/** A relative change: 0.0123 → "+1.23 %". */
export function change(share, digits = 2) {
  return known(share) ? signed(share * 100, digits) + SPACE + "%" : UNKNOWN;
}

/** A probability: four decimals, or two significant digits where those would all be zeros. */
export function probability(number) {
  if (!known(number)) return UNKNOWN;
  return number !== 0 && number < 0.001 ? number.toPrecision(2) : fixed[4].format(number);
}

/** "p < 0.001" or "p = 0.042". */
export function pValue(number) {
  if (!known(number)) return `p ${UNKNOWN}`;
  return number < 0.001 ? "p < 0.001" : `p = ${fixed[3].format(number)}`;
}

/** Seconds passed → "4 s", "3 min", "2 h", "5 d". */
export function span(seconds) {
  if (!known(seconds)) return UNKNOWN;
  for (const [unit, name] of [
    [86400, "d"],
    [3600, "h"],
    [60, "min"],
  ]) {
    if (seconds >= unit * 2) return whole.format(seconds / unit) + SPACE + name;
  }
  return whole.format(seconds) + SPACE + "s";
}

/** Milliseconds since 1970 → "21 Nov 12:30", in the reader's time zone. */
export function moment(milliseconds) {
  if (!known(milliseconds)) return UNKNOWN;
  return new Date(milliseconds)
    .toLocaleString("en-GB", {
      day: "numeric",
      month: "short",
      hour: "2-digit",
      minute: "2-digit",
    })
    .replace(",", "");
}

function minus(text) {
  return text.replace("-", "−");
}

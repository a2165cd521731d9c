/* Rules over the page as it is drawn; each returns what breaks it. Read by test_accessibility.py. */

const visible = (selector) => [...document.querySelectorAll(selector)].filter((element) => element.checkVisibility());
const opening = (element) => element.outerHTML.slice(0, 120);

function parts(colour) {
  const [red, green, blue, alpha = 1] = colour.match(/[\d.]+/g).map(Number);
  return { channels: [red, green, blue], alpha };
}

function over({ channels, alpha }, below) {
  return channels.map((channel, place) => channel * alpha + below[place] * (1 - alpha));
}

/** The colour behind an element's text: its own ground over its ancestors'. */
function ground(element) {
  if (!element) return [255, 255, 255];
  const own = parts(getComputedStyle(element).backgroundColor);
  return own.alpha === 1 ? own.channels : over(own, ground(element.parentElement));
}

/** Relative luminance, WCAG 2.2. */
function luminance(channels) {
  const linear = channels
    .map((channel) => channel / 255)
    .map((c) => (c <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4));
  return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2];
}

function contrastOf(element) {
  const style = getComputedStyle(element);
  const behind = ground(element);
  const text = over(parts(element instanceof SVGElement ? style.fill : style.color), behind);
  const [dark, light] = [luminance(text), luminance(behind)].sort((one, other) => one - other);
  return (light + 0.05) / (dark + 0.05);
}

/** Elements with text of their own, however small, whose contrast is under 4.5 to 1; and how many were looked at. */
function faint() {
  const written = visible("body *").filter(
    (element) =>
      [...element.childNodes].some((node) => node.nodeType === Node.TEXT_NODE && node.textContent.trim()) &&
      !element.closest(".hidden, .skip, title, option, datalist, :disabled"),
  );
  const found = written.filter((element) => contrastOf(element) < 4.5);
  return {
    looked: written.length,
    found: found.map((element) => `${contrastOf(element).toFixed(2)}: ${opening(element)}`),
  };
}

/** Controls, landmarks, tables and drawings without a name. */
function nameless() {
  const named = (element) =>
    element.getAttribute("aria-label") ||
    element.labels?.length ||
    element.caption ||
    document.getElementById(element.getAttribute("aria-labelledby") ?? "")?.textContent.trim() ||
    (["BUTTON", "A"].includes(element.tagName) && element.textContent.trim());
  const kinds = "input, select, textarea, button, a, svg[role=img], [role=region], table, section, nav";
  return visible(kinds)
    .filter((element) => !named(element))
    .map(opening);
}

/** Controls too small to be hit. */
function small() {
  return visible("button, input, select, textarea")
    .filter((element) => Math.min(element.offsetHeight, element.offsetWidth) < 32)
    .map(opening);
}

/** Levels of the headings that are shown, in order. */
function levels() {
  return visible("h1, h2, h3, h4, h5, h6").map((heading) => Number(heading.tagName[1]));
}

/** References to ids that are not there, and ids that are there twice. */
function lost() {
  const ids = [...document.querySelectorAll("[id]")].map(({ id }) => id);
  const kinds = ["for", "aria-labelledby", "aria-describedby", "list"];
  const references = [...document.querySelectorAll("*")].flatMap((element) =>
    kinds.map((kind) => element.getAttribute(kind)),
  );
  const unknown = references.filter((id) => id && !ids.includes(id));
  return [...unknown, ...ids.filter((id, place) => ids.indexOf(id) !== place)];
}

/** Elements that move when they change. */
function moving() {
  return [...document.querySelectorAll("*")]
    .filter((element) => parseFloat(getComputedStyle(element).transitionDuration) > 0)
    .map(opening);
}

/* Elements without markup in strings: what comes from outside can only ever become text. */

const SVG = "http://www.w3.org/2000/svg";

/** An HTML element; `on…` are listeners, `style` is an object, false and null attributes are left out. */
export function h(tag, attributes = {}, ...children) {
  return filled(document.createElement(tag), attributes, children);
}

/** The same in SVG. */
export function s(tag, attributes = {}, ...children) {
  return filled(document.createElementNS(SVG, tag), attributes, children);
}

export function byId(id) {
  return document.getElementById(id);
}

/** Sets the text only where it changed, so that nothing is announced or selected anew. */
export function setText(element, text) {
  if (element.textContent !== text) element.textContent = text;
}

/** Shows or hides an element. */
export function show(element, visible) {
  if (element.hidden === visible) element.hidden = !visible;
}

/** A body of rows; a cell is text, an element, or {text, class, head} for a row's heading. */
export function rows(body, cells) {
  body.replaceChildren(...cells.map((row) => h("tr", {}, ...row.map(cell))));
}

function cell(content) {
  if (content instanceof Node || typeof content === "string") return h("td", {}, content);
  const { text, head, ...attributes } = content;
  return h(head ? "th" : "td", { ...attributes, scope: head ? "row" : null }, text);
}

function filled(element, attributes, children) {
  for (const [name, value] of Object.entries(attributes)) {
    if (value === null || value === undefined || value === false) continue;
    if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else if (name === "style") {
      for (const [property, setting] of Object.entries(value)) element.style.setProperty(property, setting);
    } else element.setAttribute(name, value === true ? "" : value);
  }
  element.append(...children.flat().filter((child) => child !== null && child !== undefined && child !== false));
  return element;
}

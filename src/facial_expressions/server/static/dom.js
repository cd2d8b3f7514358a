// Small helpers for the page's elements.

export const at = (id) => document.getElementById(id);
export const percent = (value) => `${Math.round(value * 100)}%`;
export const pause = (ms) => new Promise((resolve) => { setTimeout(resolve, ms); });
export const hueOf = (label) => `var(--${CSS.escape(label)}, var(--other))`;

// The same colour as a value, for canvases, which know no variables.
export function paintOf(label) {
  const style = getComputedStyle(document.documentElement);
  return (style.getPropertyValue(`--${label}`) || style.getPropertyValue("--other")).trim();
}

export function make(tag, className, text = "") {
  const element = document.createElement(tag);
  element.className = className;
  element.textContent = text;
  return element;
}

// Live answers come ten times a second: elements are kept, so that focus is too.
export function reuse(parent, items, create, fill) {
  while (parent.children.length > items.length) parent.lastElementChild.remove();
  items.forEach((item, i) => {
    if (i >= parent.children.length) parent.append(create(i));
    fill(parent.children[i], item, i);
  });
}

export function setText(element, text) {
  if (element.textContent !== text) element.textContent = text; // read aloud once
}

export const toJpeg = (canvas, quality) =>
  new Promise((resolve) => { canvas.toBlob(resolve, "image/jpeg", quality); });

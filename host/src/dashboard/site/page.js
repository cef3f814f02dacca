// Elements of the page. Texts become text nodes, whatever they hold.

export const find = (id) => document.getElementById(id);

// `children`: elements and texts.
export function element(name, attributes = {}, ...children) {
  const made = document.createElement(name);
  return filled(made, attributes, children);
}

export function shape(name, attributes = {}, ...children) {
  const made = document.createElementNS("http://www.w3.org/2000/svg", name);
  return filled(made, attributes, children);
}

function filled(made, attributes, children) {
  for (const [key, value] of Object.entries(attributes)) {
    if (value != null && value !== false) made.setAttribute(key, value === true ? "" : value);
  }
  made.append(...children);
  return made;
}

// Only where it differs, so that a reader's selection and a screen reader's place stay.
export function write(target, text) {
  if (target.textContent !== text) target.textContent = text;
}

export function enable(button, isEnabled) {
  button.setAttribute("aria-disabled", String(!isEnabled));
}

export const isEnabled = (button) => button.getAttribute("aria-disabled") !== "true";

// The few ways in which the page touches the document. All text goes in through textContent, so that a name with
// markup stays a name; and only when it differs, so that a quiet row costs nothing.
export function byId(id) {
  return document.getElementById(id);
}

export function make(tag, className = "", text = "") {
  const element = document.createElement(tag);
  if (className) element.className = className;
  if (text) element.textContent = text;
  return element;
}

export function setText(element, text) {
  if (element.textContent !== text) element.textContent = text;
}

export function setAttribute(element, name, value) {
  if (element.getAttribute(name) !== value) element.setAttribute(name, value);
}

export function setClass(element, name, on) {
  if (element.classList.contains(name) !== on) element.classList.toggle(name, on);
}

export function setHidden(element, hidden) {
  if (element.hidden !== hidden) element.hidden = hidden;
}

// A length for the style sheet. Setting a property from script is allowed by the policy; a style attribute is not.
export function setLength(element, property, value) {
  if (element.style.getPropertyValue(property) !== value) element.style.setProperty(property, value);
}

const SVG = "http://www.w3.org/2000/svg";

// A traffic light: icon, word and colour, kept in step by `showLight`.
export function makeLight() {
  const light = make("span", "light");
  const icon = document.createElementNS(SVG, "svg");
  icon.setAttribute("aria-hidden", "true");
  icon.append(document.createElementNS(SVG, "use"));
  light.append(icon, make("span", "word"));
  return light;
}

export function showLight(light, state, word) {
  if (light.dataset.state !== state) {
    light.dataset.state = state;
    light.firstChild.firstChild.setAttribute("href", `#icon-${state}`);
  }
  setText(light.lastChild, word);
}

// The page's two languages. A language is chosen once (browser's, or by the buttons), kept, and told to listeners.
import { english } from "./words_en.js";
import { polish } from "./words_pl.js";

const DICTIONARIES = { en: english, pl: polish };
const STORED_AS = "bilans.language";
const listeners = new Set();
let language = startingLanguage();

function startingLanguage() {
  try {
    const kept = localStorage.getItem(STORED_AS);
    if (kept in DICTIONARIES) return kept;
  } catch {
    // Storage may be forbidden; then the choice lasts as long as the tab.
  }
  const wanted = (navigator.languages ?? [navigator.language]).map((tag) => tag.slice(0, 2).toLowerCase());
  return wanted.find((tag) => tag in DICTIONARIES) ?? "en";
}

export function currentLanguage() {
  return language;
}

export function setLanguage(chosen) {
  if (!(chosen in DICTIONARIES)) return;
  language = chosen;
  try {
    localStorage.setItem(STORED_AS, chosen);
  } catch {
    // See above.
  }
  for (const listener of listeners) listener();
}

export function onLanguage(listener) {
  listeners.add(listener);
}

// `say("heard", {heard: 5, meters: 7})`: the phrase with its {places} filled in. A missing key shows itself.
export function say(key, places = {}) {
  const phrase = DICTIONARIES[language][key] ?? english[key] ?? key;
  return phrase.replace(/\{(\w+)\}/g, (whole, name) => (name in places ? String(places[name]) : whole));
}

export function knows(key) {
  return key in DICTIONARIES[language];
}

// Fills every element of the page that carries only words.
export function fillWords(root = document) {
  document.documentElement.lang = language;
  for (const element of root.querySelectorAll("[data-word]")) element.textContent = say(element.dataset.word);
  for (const button of root.querySelectorAll("[data-language]")) {
    button.setAttribute("aria-pressed", String(button.dataset.language === language));
  }
}

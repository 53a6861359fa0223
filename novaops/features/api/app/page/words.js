// What the page is made of, and says. What a model, a document or a server says becomes text nodes, never HTML.

export const $ = (id) => document.getElementById(id);

export function make(tag, properties = {}, ...children) {
  const element = Object.assign(document.createElement(tag), properties);
  element.append(...children.filter((child) => child !== null));
  return element;
}

// Words: each element remembers what it says, so that it can be said again in the other language.

let texts = {};
let language = navigator.language.startsWith("zh") ? "zh" : "en";
const ATTRIBUTES = { hint: "placeholder", label: "aria-label" };

export async function loadWords() {
  texts = await (await fetch("/texts.json")).json();
}

export function otherLanguage() {
  language = language === "zh" ? "en" : "zh";
  sayAll();
}

export function t(key, values = {}) {
  return texts[language][key].replace(/\{(\w+)\}/g, (_, name) => values[name]);
}

export function say(element, key, values = {}) {
  element.said = [key, values];
  element.dataset.text = key;
  element.textContent = t(key, values);
  return element;
}

export function label(element, key, values = {}) {
  element.labelled = values;
  element.dataset.label = key;
  element.setAttribute("aria-label", t(key, values));
  return element;
}

// In the language of now, also what was not on the page when that was chosen.
export function sayAgain(part) {
  for (const element of part.querySelectorAll("[data-text]")) {
    element.textContent = t(element.dataset.text, element.said?.[1]);
  }
  for (const [name, attribute] of Object.entries(ATTRIBUTES)) {
    for (const element of part.querySelectorAll(`[data-${name}]`)) {
      element.setAttribute(attribute, t(element.dataset[name], element.labelled));
    }
  }
}

export function sayAll() {
  document.documentElement.lang = language === "zh" ? "zh-CN" : "en";
  sayAgain(document);
  const other = language === "zh" ? "en" : "zh";
  $("language").textContent = texts[other].name;
  $("language").lang = other;
}

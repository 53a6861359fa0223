// The frame of the page, and its beginning.

import { changeRoute, known, measure, routeName, showModelHint, showProvider, showProviders } from "./connection.js";
import { begin, fit, saveConversation, search, showComposer, stop, submit } from "./conversation.js";
import { addThere, wireFiles } from "./files.js";
import { addDropped, showBases, wireKnowledge } from "./knowledge.js";
import { call, path, problem } from "./server.js";
import { $, loadWords, make, otherLanguage, say, sayAll } from "./words.js";

function openSide(open) {
  $("side").classList.toggle("open", open);
  $("menu").setAttribute("aria-expanded", String(open));
}

function changeTheme() {
  const root = document.documentElement;
  const dark = root.dataset.theme ? root.dataset.theme === "dark" : matchMedia("(prefers-color-scheme: dark)").matches;
  root.dataset.theme = dark ? "light" : "dark";
}

function changeLanguage() {
  otherLanguage();
  showProviders();
  for (const option of $("via").options) option.textContent = routeName(option.value);
  showModelHint();
  showComposer();
}

function watchDrops() {
  const files = (event) => event.dataTransfer?.types.includes("Files");
  const shown = (on) => document.body.classList.toggle("dropping", on);
  addEventListener("dragover", (event) => {
    if (!files(event)) return;
    event.preventDefault();
    shown(true);
  });
  addEventListener("dragleave", (event) => event.relatedTarget === null && shown(false));
  addEventListener("drop", (event) => {
    if (!files(event)) return;
    event.preventDefault();
    shown(false);
    const dropped = [...event.dataTransfer.files];
    if (event.target.closest?.("#files-there")) addThere(dropped);
    else if (addDropped(dropped)) openSide(true);
  });
}

function keys(event) {
  if (event.key === "Escape" && !stop()) openSide(false);
}

function wire() {
  const on = (id, kind, run) => $(id).addEventListener(kind, run);
  on("ask-form", "submit", (event) => {
    event.preventDefault();
    if (stop()) return;
    openSide(false);
    submit();
  });
  on("ask", "input", fit);
  on("ask", "keydown", (event) => {
    // An input method that composes Chinese takes Enter for itself.
    if (event.key !== "Enter" || event.shiftKey || event.isComposing) return;
    event.preventDefault();
    openSide(false);
    submit();
  });
  on("provider", "change", () => showProvider($("via").value));
  on("via", "change", changeRoute);
  on("check", "click", measure);
  on("search", "click", search);
  on("save", "click", saveConversation);
  on("fresh", "click", begin);
  on("menu", "click", () => openSide(!$("side").classList.contains("open")));
  on("theme", "click", changeTheme);
  on("language", "click", changeLanguage);
  wireKnowledge();
  wireFiles();
  addEventListener("keydown", keys);
  watchDrops();
}

async function start() {
  await loadWords();
  for (const name of ["idea1", "idea2", "idea3"]) {
    const idea = say(make("button", { type: "button" }), name);
    idea.onclick = () => {
      $("ask").value = idea.textContent;
      fit();
      $("ask").focus();
    };
    $("ideas").append(idea);
  }
  wire();
  sayAll();
  try {
    Object.assign(known, await call("GET", path("state")));
  } catch (error) {
    $("connection-problem").append(problem(error));
    return;
  }
  showProviders();
  $("provider").value = known.chosen.provider;
  $("kinds").textContent = known.kinds.map((kind) => kind.slice(1)).join(" · ");
  showProvider(known.chosen.via);
  showBases();
  $("ask").focus();
  document.documentElement.dataset.ready = "yes";
}

start();

// Knowledge bases, of this machine and at the provider, and their documents.

import { showComposer } from "./conversation.js";
import { choice, known, provider } from "./connection.js";
import { call, path, problem } from "./server.js";
import { FileList, placeHere, placeThere, removal } from "./uploads.js";
import { $, make, say, t } from "./words.js";

export let base = "";
let providerBases = [];
let pending = []; // files that were dropped before there was a base for them
let documents;

// As people call it: one at the provider has a name beside its id.
export const baseName = () => providerBases.find((each) => each.id === base)?.name ?? base;
const atProvider = (name) => providerBases.some((each) => each.id === name);

export function showProviderBases(found) {
  const gone = atProvider(base) && !found.some((each) => each.id === base);
  if (JSON.stringify(found) === JSON.stringify(providerBases)) return;
  const focused = $("bases").contains(document.activeElement);
  providerBases = found;
  if (gone) base = "";
  showBases();
  if (focused) $("bases").querySelector("input:checked").focus();
}

export function showBases() {
  const row = (name, text, remove) => {
    const input = make("input", { type: "radio", name: "base", value: name, checked: name === base, onchange: () => choose(name) });
    return make("div", { className: "base" }, make("label", {}, input, text), remove);
  };
  $("bases").replaceChildren(
    row("", say(make("span"), "noBase"), null),
    ...known.bases.map((name) => row(name, make("span", { textContent: name }), removal(name, () => deleteBase(name)))),
    ...providerBases.map(({ id, name }) =>
      row(id, say(make("span"), "baseThere", { name, provider: provider().name }), removal(name, () => deleteThere(id)))),
  );
  $("documents").hidden = !base;
  if (!base) documents.show(null);
  $("kinds").hidden = atProvider(base);
  showComposer();
}

function choose(name) {
  base = name;
  showBases();
  $("bases").querySelector("input:checked")?.focus();
  if (base) documents.show(atProvider(base) ? placeThere(base) : placeHere(base));
}

async function deleteBase(name) {
  await deleted(async () => {
    await call("DELETE", path("bases", name));
    known.bases = known.bases.filter((each) => each !== name);
  });
}

async function deleteThere(id) {
  await deleted(async () => {
    await call("POST", path("provider-bases", "delete"), { ...choice(), base: id });
    providerBases = providerBases.filter((each) => each.id !== id);
  });
}

async function deleted(remove) {
  $("bases-problem").replaceChildren();
  try {
    await remove();
    choose("");
  } catch (error) {
    $("bases-problem").append(problem(error));
  }
}

function askName(files = []) {
  pending = files;
  $("new-base").hidden = false;
  $("add-base").hidden = true;
  $("base-problem").replaceChildren();
  $("pending").hidden = !files.length;
  if (files.length) say($("pending"), "pending", { files: files.map((file) => file.name).join(", ") });
  $("where-label").hidden = !provider().keeps_bases;
  say($("where-there"), "whereThere", { provider: provider().name });
  $("where").value = "here";
  showWhere();
  $("base-name").focus();
}

function showWhere() {
  $("vectors-label").hidden = $("where").value === "there";
}

export function closeName() {
  pending = [];
  $("new-base").hidden = true;
  $("add-base").hidden = false;
  $("base-name").value = "";
  $("vectors").value = "";
}

async function createBase(event) {
  event.preventDefault();
  $("base-problem").replaceChildren();
  const name = $("base-name").value;
  try {
    let made;
    if ($("where").value === "there") {
      const found = await call("POST", path("provider-bases", "new"), { ...choice(), name });
      providerBases = [...providerBases, found];
      made = found.id;
    } else {
      made = (await call("POST", path("bases"), { name, embeddings: $("vectors").value.trim() })).name;
      known.bases = [...known.bases, made].sort();
    }
    const files = pending;
    closeName();
    choose(made);
    documents.add(files);
  } catch (error) {
    $("base-problem").append(problem(error));
    $("base-name").focus();
  }
}

// Files that were dropped anywhere: into the base that is chosen, or a new one. Says whether a name is asked for.
export function addDropped(files) {
  if (base) documents.add(files);
  else askName(files);
  return !base;
}

export function wireKnowledge() {
  documents = new FileList($("files"), $("documents-problem"));
  $("add-base").addEventListener("click", () => askName());
  $("no-base").addEventListener("click", closeName);
  $("new-base").addEventListener("submit", createBase);
  $("where").addEventListener("change", showWhere);
  $("choose").addEventListener("change", () => {
    documents.add([...$("choose").files]);
    $("choose").value = "";
  });
}

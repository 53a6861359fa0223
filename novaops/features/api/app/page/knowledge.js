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

// Whether it can be searched without a question: some providers search only to answer.
export const searchable = () => Boolean(base) && (!atProvider(base) || provider().searches);
// As people call it: one at the provider has a name beside its id.
export const baseName = () => providerBases.find((each) => each.id === base)?.name ?? base;
const atProvider = (name) => providerBases.some((each) => each.id === name);

let listing = 0;

// Those of this machine and those at the provider. Where one list cannot be had, what is known stays.
export async function loadBases() {
  const mine = ++listing;
  const at = choice();
  const [here, there] = await Promise.all([
    call("GET", path("bases")).catch(() => null),
    call("POST", path("provider-bases"), at).catch(() => null),
  ]);
  if (mine !== listing) return; // something was made, deleted or chosen since it was asked for
  refresh(here?.bases ?? known.bases, there?.bases ?? providerBases);
}

// Of another provider nothing is known yet.
export function forgetProviderBases() {
  listing++;
  refresh(known.bases, []);
  if (!$("new-base").hidden) showWhere();
}

export function showRoute() {
  if (atProvider(base)) documents.show(placeThere(base));
}

function refresh(here, there) {
  if (JSON.stringify([here, there]) === JSON.stringify([known.bases, providerBases])) return;
  const focused = $("bases").contains(document.activeElement);
  known.bases = here;
  providerBases = there;
  if (base && !here.includes(base) && !atProvider(base)) base = "";
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
      row(id, say(make("span"), "baseThere", { name, provider: id.split("/")[0] }), removal(name, () => deleteThere(id)))),
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
  await deleted(name, () => call("DELETE", path("bases", name)));
}

async function deleteThere(id) {
  await deleted(id, () => call("POST", path("provider-bases", "delete"), { ...choice(), base: id }));
}

async function deleted(id, remove) {
  $("bases-problem").replaceChildren();
  try {
    await remove();
  } catch (error) {
    $("bases-problem").append(problem(error));
    return;
  }
  listing++;
  refresh(known.bases.filter((each) => each !== id), providerBases.filter((each) => each.id !== id));
}

function askName(files = []) {
  pending = files;
  $("new-base").hidden = false;
  $("add-base").hidden = true;
  $("base-problem").replaceChildren();
  $("pending").hidden = !files.length;
  if (files.length) say($("pending"), "pending", { files: files.map((file) => file.name).join(", ") });
  $("where").value = "here";
  showWhere();
  $("base-name").focus();
}

// As the provider of now has it.
function showWhere() {
  const keeps = provider()?.keeps_bases;
  if (!keeps) $("where").value = "here";
  $("where-label").hidden = !keeps;
  say($("where-there"), "whereThere", { provider: provider()?.name });
  $("vectors-label").hidden = $("where").value === "there";
}

function closeName() {
  pending = [];
  $("new-base").hidden = true;
  $("add-base").hidden = false;
  $("base-name").value = "";
  $("vectors").value = "";
}

async function createBase(event) {
  event.preventDefault();
  if ($("create").disabled) return;
  const [name, embeddings, files, at] = [$("base-name").value, $("vectors").value.trim(), pending, choice()];
  const there = $("where").value === "there";
  $("base-problem").replaceChildren();
  $("create").disabled = true;
  try {
    const made = there
      ? await call("POST", path("provider-bases", "new"), { ...at, name })
      : await call("POST", path("bases"), { name, embeddings });
    listing++;
    closeName();
    if (!there) {
      refresh([...known.bases, made.name].sort(), providerBases);
      choose(made.name);
    } else if (at.provider === choice().provider) {
      refresh(known.bases, [...providerBases, made]);
      choose(made.id);
    }
    documents.add(files, there ? placeThere(made.id, "", at) : placeHere(made.name));
  } catch (error) {
    $("base-problem").append(problem(error));
    $("base-name").focus();
  } finally {
    $("create").disabled = false;
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

// A list of files at one place: what is there, what is on its way, and how a file is added and removed.

import { choice, known, provider } from "./connection.js";
import { call, path, problem } from "./server.js";
import { label, make, say, t } from "./words.js";

const POLL_MS = 400; // of this machine
const POLL_THERE_MS = 3000;

// In a knowledge base of this machine.
export function placeHere(base) {
  const documents = (...name) => path("bases", base, "documents", ...name);
  return {
    key: base,
    load: () => call("GET", documents()),
    url: documents,
    remove: ({ name }) => call("DELETE", documents(name)),
    kinds: known.kinds,
    largest: known.largest,
    poll: POLL_MS,
  };
}

// In a knowledge base at the provider; without one, among its files. Which kinds it takes, it says itself.
export function placeThere(base, purpose = "") {
  const at = { ...choice(), base };
  return {
    key: `${at.provider} ${base}`,
    load: () => call("POST", path("provider-files"), at),
    url: (name) => `${path("provider-files", name)}?${new URLSearchParams({ ...at, purpose })}`,
    remove: ({ id, name }) => call("POST", path("provider-files", "remove"), { ...at, id, name }),
    largest: provider().largest,
    poll: POLL_THERE_MS,
  };
}

export function size(bytes) {
  const [unit, name] = bytes < 2 ** 10 ? [1, "B"] : bytes < 2 ** 20 ? [2 ** 10, "KiB"] : [2 ** 20, "MiB"];
  return `${Math.floor(bytes / unit)} ${name}`;
}

function refused(file, { kinds, largest }) {
  if (kinds && !kinds.some((kind) => file.name.toLowerCase().endsWith(kind))) {
    return { what: t("wrongKind", { name: file.name }), fix: t("wrongKindFix", { kinds: kinds.map((kind) => kind.slice(1)).join(", ") }) };
  }
  if (file.size > largest) return { what: t("tooLarge", { name: file.name, most: size(largest) }), fix: t("tooLargeFix") };
  return null;
}

// A button that has to be pressed twice.
export function removal(name, remove) {
  const button = label(make("button", { type: "button", className: "quiet" }, "×"), "remove", { name });
  button.onclick = () => {
    if (button.dataset.label === "removeSure") return remove();
    label(say(button, "sure"), "removeSure", { name });
  };
  button.onblur = () => {
    label(button, "remove", { name });
    delete button.dataset.text;
    button.textContent = "×";
  };
  return button;
}

function stateOf({ state, passages, part }) {
  if (state === "ready") return passages === undefined ? ["ready"] : ["pieces", { n: passages }];
  if (state === "sending") return ["sending", { n: Math.floor(part * 100) }];
  return [state === "failed" ? "failed" : "waiting"];
}

function fileRow(document, remove) {
  const { name, state, error, said, size: bytes, purpose } = document;
  const shown = say(make("span", { className: "state" }), ...stateOf(document));
  const row = make("div", { className: "row" }, make("span", { className: "name", textContent: name, title: name }), shown);
  if (state === "ready" || state === "failed") row.append(removal(name, remove));
  const bar = state === "sending" ? label(make("progress", { max: 1, value: document.part }), "receiving") : null;
  const about = [purpose, bytes && size(bytes)].filter(Boolean).join(" · ");
  const more = about ? make("small", { textContent: about }) : null;
  const why = error ?? (state === "failed" && said ? { what: said } : null);
  return make("li", { className: state }, row, bar, more, why ? problem(why) : null);
}

export class FileList {
  #uploads = new Map();
  #polling = 0;
  #place = null;

  constructor(list, problems) {
    this.list = list;
    this.problems = problems;
  }

  show(place) {
    this.#place = place;
    this.list.replaceChildren();
    this.problems.replaceChildren();
    return this.load();
  }

  async load() {
    clearTimeout(this.#polling);
    const place = this.#place;
    if (!place) return;
    try {
      const { documents } = await place.load();
      if (place !== this.#place) return;
      const sending = [...this.#uploads.values()].filter((each) => each.key === place.key);
      const others = documents.filter((each) => !sending.some((one) => one.name === each.name));
      // A button that waits for its second press is not drawn anew.
      const pressed = this.list.contains(document.activeElement) && document.activeElement.dataset.label === "removeSure";
      if (!pressed) this.list.replaceChildren(...others.map((each) => fileRow(each, () => this.remove(each))), ...sending.map((each) => each.row));
      if (others.some(({ state }) => state !== "ready" && state !== "failed")) this.#polling = setTimeout(() => this.load(), place.poll);
    } catch (error) {
      if (place === this.#place) this.problems.replaceChildren(problem(error));
    }
  }

  async remove(document) {
    const place = this.#place;
    try {
      await place.remove(document);
      globalThis.document.activeElement.blur();
      await this.load();
    } catch (error) {
      this.problems.replaceChildren(problem(error));
    }
  }

  add(files) {
    const place = this.#place;
    this.problems.replaceChildren();
    for (const file of files) {
      const error = refused(file, place);
      if (error) this.problems.append(problem(error));
      else this.#send(file, place);
    }
  }

  // XMLHttpRequest, because fetch does not tell how much was sent.
  #send(file, place) {
    const key = `${place.key}/${file.name}`;
    if (this.#uploads.has(key)) return;
    const bar = label(make("progress", { max: 1, value: 0 }), "receiving");
    const sending = new XMLHttpRequest();
    const cancel = label(make("button", { type: "button", className: "quiet", onclick: () => sending.abort() }, "×"), "remove", { name: file.name });
    const shown = say(make("span", { className: "state" }), "receiving");
    const row = make("li", {}, make("div", { className: "row" }, make("span", { className: "name", textContent: file.name }), shown, cancel), bar);
    this.#uploads.set(key, { key: place.key, name: file.name, row });
    if (place.key === this.#place?.key) this.list.append(row);
    const end = (error) => {
      this.#uploads.delete(key);
      row.remove();
      if (place.key !== this.#place?.key) return;
      if (error) this.problems.append(problem(error, () => this.add([file])));
      this.load();
    };
    sending.upload.onprogress = (event) => {
      bar.value = event.loaded / event.total;
    };
    sending.onload = () => {
      if (sending.status < 300) return end();
      let said = null;
      try {
        said = JSON.parse(sending.responseText).error;
      } catch {}
      end(said ?? { what: t("uploadCut", { name: file.name }), why: `${sending.status}` });
    };
    sending.onerror = () => end({ what: t("uploadCut", { name: file.name }) });
    sending.onabort = () => end();
    sending.open("PUT", place.url(file.name));
    sending.setRequestHeader("Content-Type", "application/octet-stream");
    sending.send(file);
  }
}

// A list of files at one place: what is there, what is on its way, and how a file is added and removed.

import { choice, known, provider } from "./connection.js";
import { call, path, problem } from "./server.js";
import { label, make, say, sayAgain, t } from "./words.js";

const POLL_MS = 400; // of this machine
const POLL_THERE_MS = 3000;

// In a knowledge base of this machine.
export function placeHere(base) {
  const documents = (...name) => path("bases", base, "documents", ...name);
  return {
    key: base,
    load: (signal) => call("GET", documents(), undefined, signal),
    url: documents,
    remove: ({ name }) => call("DELETE", documents(name)),
    kinds: known.kinds,
    largest: known.largest,
    poll: POLL_MS,
  };
}

// In a knowledge base at a provider; without one, among its files. Which kinds it takes, it says itself.
export function placeThere(base, purpose = "", at = choice()) {
  const asked = { ...at, base };
  return {
    key: `${at.provider} ${base}`,
    load: (signal) => call("POST", path("provider-files"), asked, signal),
    url: (name) => `${path("provider-files", name)}?${new URLSearchParams({ ...asked, purpose })}`,
    remove: ({ id, name }) => call("POST", path("provider-files", "remove"), { ...asked, id, name }),
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

// A button that has to be pressed twice. While it removes it does nothing else.
export function removal(name, remove) {
  const button = label(make("button", { type: "button", className: "quiet" }, "×"), "remove", { name });
  let busy = false;
  button.onclick = async () => {
    if (busy) return;
    if (button.dataset.label !== "removeSure") {
      label(say(button, "sure"), "removeSure", { name });
      return;
    }
    busy = true;
    await remove();
    busy = false;
    button.onblur();
  };
  button.onblur = () => {
    if (busy) return;
    label(button, "remove", { name });
    delete button.dataset.text;
    button.textContent = "×";
  };
  return button;
}

const settled = ({ state }) => state === "ready" || state === "failed";

function stateOf({ state, passages, part }) {
  if (state === "ready") return passages === undefined ? ["ready"] : ["pieces", { n: passages }];
  if (state === "sending") return ["sending", { n: Math.floor(part * 100) }];
  return [{ failed: "failed", queued: "queued" }[state] ?? "waiting"];
}

// What is at the provider can be deleted in any state, and what is not begun can be called off.
const removable = (document) => settled(document) || document.state === "queued" || Boolean(document.id);

function line(name, ...rest) {
  return make("div", { className: "row" }, make("span", { className: "name", textContent: name, title: name }), ...rest);
}

function fileRow(document, remove) {
  const { name, state, error, said, size: bytes, purpose } = document;
  const shown = say(make("span", { className: "state" }), ...stateOf(document));
  const row = line(name, shown, removable(document) ? removal(name, remove) : null);
  const bar = state === "sending" ? label(make("progress", { max: 1, value: document.part }), "receiving") : null;
  const about = [purpose, bytes && size(bytes)].filter(Boolean).join(" · ");
  const more = about ? make("small", { textContent: about }) : null;
  const why = error ?? (state === "failed" && said ? { what: said } : null);
  return make("li", { className: state }, row, bar, more, why ? problem(why) : null);
}

export class FileList {
  #sending = new Map(); // by place and name: a row each
  #problems = new Map(); // by place: what could not be sent or removed, until the list is shown
  #rows = new Map(); // what is drawn, by what it says
  #place = null;
  #asking = new AbortController();
  #polling = 0;

  constructor(list, problems) {
    this.list = list;
    this.problems = problems;
  }

  show(place) {
    const other = place?.key !== this.#place?.key;
    this.#place = place;
    if (other) {
      this.#rows.clear();
      this.list.replaceChildren();
      this.problems.replaceChildren();
    }
    if (!place) {
      this.#asking.abort();
      clearTimeout(this.#polling);
      return undefined;
    }
    if (other) this.#draw([]);
    this.problems.append(...(this.#problems.get(place.key) ?? []).map((each) => problem(each.error, each.again)));
    this.#problems.delete(place.key);
    return this.load();
  }

  // One request at a time: a later one counts, and the one before it is called off.
  async load() {
    clearTimeout(this.#polling);
    this.#asking.abort();
    const asking = (this.#asking = new AbortController());
    const place = this.#place;
    if (!place) return;
    try {
      const { documents, error } = await place.load(asking.signal);
      if (asking.signal.aborted) return;
      this.#listing?.remove();
      if (error) this.#fail(error);
      this.#draw(documents);
      if (error || !documents.every(settled)) this.#later(place);
    } catch (error) {
      if (asking.signal.aborted) return;
      this.#fail(error);
      this.#later(place);
    }
  }

  #listing = null; // the problem of the last listing

  #fail(error) {
    this.#listing?.remove();
    this.#listing = problem(error, () => this.load());
    this.problems.append(this.#listing);
  }

  #later(place) {
    this.#polling = setTimeout(() => this.load(), place.poll);
  }

  // A row that says the same stays, with the focus that it may have.
  #draw(documents) {
    const place = this.#place;
    const sending = [...this.#sending.values()].filter((each) => each.key === place.key);
    const before = this.#rows;
    this.#rows = new Map();
    for (const each of documents) {
      if (sending.some((one) => one.name === each.name) && !settled(each)) continue;
      const said = JSON.stringify(each);
      this.#rows.set(said, before.get(said) ?? fileRow(each, () => this.remove(each, place)));
    }
    const wanted = [...this.#rows.values(), ...sending.map((each) => each.row)];
    let lost; // where the focus was
    [...this.list.children].forEach((row, index) => {
      if (wanted.includes(row)) return;
      if (row.contains(document.activeElement)) lost = index;
      row.remove();
    });
    wanted.forEach((row, index) => {
      if (this.list.children[index] !== row) this.list.insertBefore(row, this.list.children[index] ?? null);
    });
    sayAgain(this.list);
    if (lost !== undefined) (this.list.children[lost] ?? this.list.lastElementChild)?.querySelector("button")?.focus();
  }

  async remove(document, place) {
    try {
      await place.remove(document);
    } catch (error) {
      this.#tell(place, error);
    }
    if (place.key === this.#place?.key) await this.load();
  }

  // Beside the list that it is about, now or when that is shown again.
  #tell(place, error, again) {
    if (place.key === this.#place?.key) this.problems.append(problem(error, again));
    else this.#problems.set(place.key, [...(this.#problems.get(place.key) ?? []), { error, again }]);
  }

  add(files, place = this.#place) {
    if (place.key === this.#place?.key) this.problems.replaceChildren();
    for (const file of files) {
      const error = refused(file, place);
      if (error) this.#tell(place, error);
      else this.#send(file, place);
    }
  }

  // XMLHttpRequest, because fetch does not tell how much was sent.
  #send(file, place) {
    const key = `${place.key}/${file.name}`;
    if (this.#sending.has(key)) return;
    const bar = label(make("progress", { max: 1, value: 0 }), "receiving");
    const sending = new XMLHttpRequest();
    const cancel = label(make("button", { type: "button", className: "quiet", onclick: () => sending.abort() }, "×"), "remove", { name: file.name });
    const shown = say(make("span", { className: "state" }), "receiving");
    const row = make("li", {}, line(file.name, shown, cancel), bar);
    this.#sending.set(key, { key: place.key, name: file.name, row });
    if (place.key === this.#place?.key) this.list.append(row);
    const end = (error) => {
      this.#sending.delete(key);
      row.remove();
      if (error) this.#tell(place, error, () => this.add([file], place));
      if (place.key === this.#place?.key) this.load();
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

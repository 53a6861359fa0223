// The page. What a model, a document or a server says becomes text nodes, never HTML.

const $ = (id) => document.getElementById(id);

function make(tag, properties = {}, ...children) {
  const element = Object.assign(document.createElement(tag), properties);
  element.append(...children.filter((child) => child !== null));
  return element;
}

// --- Words: each element remembers what it says, so that it can be said again in the other language.

let texts = {};
let language = navigator.language.startsWith("zh") ? "zh" : "en";
const ATTRIBUTES = { hint: "placeholder", label: "aria-label" };

function t(key, values = {}) {
  return texts[language][key].replace(/\{(\w+)\}/g, (_, name) => values[name]);
}

function say(element, key, values = {}) {
  element.said = [key, values];
  element.dataset.text = key;
  element.textContent = t(key, values);
  return element;
}

function label(element, key, values = {}) {
  element.labelled = values;
  element.dataset.label = key;
  element.setAttribute("aria-label", t(key, values));
  return element;
}

function sayAll() {
  document.documentElement.lang = language === "zh" ? "zh-CN" : "en";
  for (const element of document.querySelectorAll("[data-text]")) {
    element.textContent = t(element.dataset.text, element.said?.[1]);
  }
  for (const [name, attribute] of Object.entries(ATTRIBUTES)) {
    for (const element of document.querySelectorAll(`[data-${name}]`)) {
      element.setAttribute(attribute, t(element.dataset[name], element.labelled));
    }
  }
  const other = language === "zh" ? "en" : "zh";
  $("language").textContent = texts[other].name;
  $("language").lang = other;
}

// --- The server.

function path(...parts) {
  return ["/api", ...parts.map(encodeURIComponent)].join("/");
}

async function request(method, url, body, signal) {
  const json = body === undefined ? {} : { headers: { "Content-Type": "application/json" }, body: JSON.stringify(body) };
  let answer;
  try {
    answer = await fetch(url, { method, signal, ...json });
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw { what: t("gone"), why: "", fix: t("goneFix") };
  }
  if (answer.ok) return answer;
  const said = await answer.json().catch(() => null);
  throw said?.error ?? { what: `${answer.status} ${answer.statusText}`, why: "", fix: "" };
}

async function call(method, url, body) {
  const answer = await request(method, url, body);
  return answer.status === 204 ? null : answer.json();
}

function problem({ what, why, fix }, again) {
  const box = make("div", { className: "problem" }, make("strong", { textContent: what }));
  box.setAttribute("role", "alert");
  for (const line of [why, fix]) if (line) box.append(make("p", { textContent: line }));
  if (again) box.append(say(make("button", { type: "button", onclick: again }), "again"));
  return box;
}

// --- Connection.

let known = { providers: [], bases: [], kinds: [], largest: 0 };
const provider = () => known.providers.find((each) => each.name === $("provider").value);
const choice = () => ({ provider: $("provider").value, via: $("via").value });
const routeName = (via) => (via === "direct" ? t("direct") : via);
const PARAMETERS = {
  temperature: { min: 0, max: 2, step: 0.1 },
  top_p: { min: 0, max: 1, step: 0.05 },
  max_tokens: { min: 1, step: 1 },
  repetition_penalty: { min: 0, step: 0.05 },
  seed: { step: 1 },
};

function shownStatus(kind, key, values) {
  for (const element of [document.querySelector(".status"), $("menu")]) {
    element.classList.toggle("good", kind === "good");
    element.classList.toggle("bad", kind === "bad");
  }
  say($("latency"), key, values);
  $("route-short").textContent = [$("provider").value, routeName($("via").value), values?.ms && `${values.ms} ms`].filter(Boolean).join(" · ");
}

let measurement = 0;

async function measure() {
  const mine = ++measurement;
  $("connection-problem").replaceChildren();
  shownStatus("", "checking");
  try {
    const { ms } = await call("POST", path("check"), choice());
    if (mine === measurement) shownStatus("good", "latency", { ms });
  } catch (error) {
    if (mine !== measurement) return;
    shownStatus("bad", "unreached");
    $("connection-problem").append(problem(error));
    return;
  }
  const [{ models }, { bases }] = await Promise.all([
    call("POST", path("models"), choice()).catch(() => ({ models: [] })),
    call("POST", path("provider-bases"), choice()).catch(() => ({ bases: [] })),
  ]);
  if (mine !== measurement) return;
  $("models").replaceChildren(...models.map((value) => make("option", { value })));
  showProviderBases(bases);
}

// What depends on the provider.
function showProvider(via) {
  fill($("via"), provider().routes.map((each) => [each, routeName(each)]));
  if (provider().routes.includes(via)) $("via").value = via;
  $("model").value = "";
  $("models").replaceChildren();
  showProviderBases([]);
  showModelHint();
  showParameters();
  measure();
}

function showModelHint() {
  $("model").placeholder = provider()?.model || t("modelHint");
}

function showParameters() {
  const fields = Object.entries(PARAMETERS).filter(([name]) => provider().parameters.includes(name));
  $("parameters").replaceChildren(
    ...fields.map(([name, limits]) => {
      const input = make("input", { name, inputMode: "decimal", autocomplete: "off", ...limits });
      input.dataset.hint = "default";
      input.placeholder = t("default");
      return make("label", {}, say(make("span"), name), input);
    }),
  );
  $("web").hidden = !provider().web_search;
}

function parameters() {
  const fields = [...$("parameters").querySelectorAll("input")].filter((input) => input.value.trim());
  return Object.fromEntries(fields.map((input) => [input.name, Number(input.value)]));
}

function fill(select, values) {
  const before = select.value;
  select.replaceChildren(...values.map(([value, text]) => make("option", { value, textContent: text })));
  if (values.some(([value]) => value === before)) select.value = before;
}

function showProviders() {
  fill($("provider"), known.providers.map(({ name, usable }) => [name, usable ? name : `${name} · ${t("unusable")}`]));
}

// --- Knowledge bases and their documents.

let base = "";
let providerBases = []; // What is at the provider is shown and asked. It is changed by `novaops api knowledge`.
let pending = [];
const uploads = new Map();

const atProvider = (name) => providerBases.some((each) => each.id === name);

function showProviderBases(found) {
  const gone = atProvider(base) && !found.some((each) => each.id === base);
  if (JSON.stringify(found) === JSON.stringify(providerBases)) return;
  const focused = $("bases").contains(document.activeElement);
  providerBases = found;
  if (gone) base = "";
  showBases();
  if (focused) $("bases").querySelector("input:checked").focus();
}

function showBases() {
  const row = (name, text, remove) => {
    const input = make("input", { type: "radio", name: "base", value: name, checked: name === base, onchange: () => choose(name) });
    return make("div", { className: "base" }, make("label", {}, input, text), remove);
  };
  $("bases").replaceChildren(
    row("", say(make("span"), "noBase"), null),
    ...known.bases.map((name) => row(name, make("span", { textContent: name }), removal(name, () => deleteBase(name)))),
    ...providerBases.map(({ id, name }) => row(id, say(make("span"), "baseThere", { name, provider: $("provider").value }), null)),
  );
  $("documents").hidden = !base;
  $("drop").hidden = atProvider(base);
  showComposer();
}

function choose(name) {
  base = name;
  $("documents-problem").replaceChildren();
  $("files").replaceChildren();
  showBases();
  $("bases").querySelector("input:checked")?.focus();
  if (base) showDocuments();
}

// A button that has to be pressed twice.
function removal(name, remove) {
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

async function deleteBase(name) {
  $("documents-problem").replaceChildren();
  try {
    await call("DELETE", path("bases", name));
    known.bases = known.bases.filter((each) => each !== name);
    choose("");
  } catch (error) {
    $("documents-problem").append(problem(error));
  }
}

function askName(files = []) {
  pending = files;
  $("new-base").hidden = false;
  $("add-base").hidden = true;
  $("base-problem").replaceChildren();
  $("pending").hidden = !files.length;
  if (files.length) say($("pending"), "pending", { files: files.map((file) => file.name).join(", ") });
  openSide(true);
  $("base-name").focus();
}

function closeName() {
  pending = [];
  $("new-base").hidden = true;
  $("add-base").hidden = false;
  $("base-name").value = "";
}

async function createBase(event) {
  event.preventDefault();
  $("base-problem").replaceChildren();
  try {
    const { name } = await call("POST", path("bases"), { name: $("base-name").value });
    const files = pending;
    known.bases = [...known.bases, name].sort();
    closeName();
    choose(name);
    addFiles(files);
  } catch (error) {
    $("base-problem").append(problem(error));
    $("base-name").focus();
  }
}

let polling = 0;

async function showDocuments() {
  clearTimeout(polling);
  const shown = base;
  try {
    const there = atProvider(shown);
    const asked = there ? call("POST", path("provider-files"), { ...choice(), base: shown }) : call("GET", path("bases", shown, "documents"));
    const { documents } = await asked;
    if (shown !== base) return;
    const sending = [...uploads.values()].filter((each) => each.base === shown);
    const others = documents.filter((each) => !sending.some((one) => one.name === each.name));
    $("files").replaceChildren(...others.map(documentRow), ...sending.map((each) => each.row));
    if (documents.some((each) => each.state !== "ready" && each.state !== "failed")) polling = setTimeout(showDocuments, there ? 3000 : 400);
  } catch (error) {
    if (shown === base) $("documents-problem").replaceChildren(problem(error));
  }
}

function documentRow({ name, state, passages, error }) {
  const there = passages === undefined; // at the provider
  const texts = { ready: there ? ["ready", {}] : ["pieces", { n: passages }], failed: ["failed", {}] };
  const shown = say(make("span", { className: "state" }), ...(texts[state] ?? ["waiting", {}]));
  const settled = state === "ready" || state === "failed";
  const row = make("div", { className: "row" }, make("span", { className: "name", textContent: name, title: name }), shown);
  if (settled && !there) row.append(removal(name, () => removeDocument(name)));
  return make("li", { className: state }, row, error ? problem(error) : null);
}

async function removeDocument(name) {
  try {
    await call("DELETE", path("bases", base, "documents", name));
    await showDocuments();
  } catch (error) {
    $("documents-problem").replaceChildren(problem(error));
  }
}

function size(bytes) {
  return `${Math.floor(bytes / 2 ** 20)} MiB`;
}

function refusedFile(file) {
  const kinds = known.kinds.map((kind) => kind.slice(1)).join(", ");
  if (!known.kinds.some((kind) => file.name.toLowerCase().endsWith(kind))) {
    return { what: t("wrongKind", { name: file.name }), fix: t("wrongKindFix", { kinds }) };
  }
  if (file.size > known.largest) return { what: t("tooLarge", { name: file.name, most: size(known.largest) }), fix: t("tooLargeFix") };
  return null;
}

function addFiles(files) {
  $("documents-problem").replaceChildren();
  for (const file of files) {
    const error = refusedFile(file);
    if (error) $("documents-problem").append(problem(error));
    else send(file, base);
  }
}

// XMLHttpRequest, because fetch does not tell how much was sent.
function send(file, into) {
  const key = `${into}/${file.name}`;
  if (uploads.has(key)) return;
  const bar = label(make("progress", { max: 1, value: 0 }), "receiving");
  const sending = new XMLHttpRequest();
  const cancel = label(make("button", { type: "button", className: "quiet", onclick: () => sending.abort() }, "×"), "remove", { name: file.name });
  const shown = say(make("span", { className: "state" }), "receiving");
  const row = make("li", {}, make("div", { className: "row" }, make("span", { className: "name", textContent: file.name }), shown, cancel), bar);
  uploads.set(key, { base: into, name: file.name, row });
  if (into === base) $("files").append(row);
  const end = (error) => {
    uploads.delete(key);
    row.remove();
    if (into !== base) return;
    if (error) $("documents-problem").append(problem(error, () => addFiles([file])));
    showDocuments();
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
  sending.open("PUT", path("bases", into, "documents", file.name));
  sending.setRequestHeader("Content-Type", "application/octet-stream");
  sending.send(file);
}

// --- A little Markdown, as nodes. Links and pictures stay text: where they lead is the model's word only.

function inline(text) {
  return text.split(/(`[^`\n]+`|\*\*[^*\n]+\*\*)/).map((part) => {
    if (part.length > 2 && part.startsWith("`") && part.endsWith("`")) return make("code", { textContent: part.slice(1, -1) });
    if (part.length > 4 && part.startsWith("**") && part.endsWith("**")) return make("strong", { textContent: part.slice(2, -2) });
    return document.createTextNode(part);
  });
}

const BLOCKS = [
  [/^#{1,6}\s+(.*)/, "h3", null],
  [/^\s*[-*+]\s+(.*)/, "li", "ul"],
  [/^\s*\d+[.)]\s+(.*)/, "li", "ol"],
];

function markdown(text) {
  const blocks = [];
  let code = null;
  let open = null;
  for (const line of text.split("\n")) {
    if (line.trimStart().startsWith("```")) {
      if (!code) blocks.push(make("pre", { tabIndex: 0 }, (code = make("code"))));
      else code = null;
      open = null;
    } else if (code) {
      code.append(`${line}\n`);
    } else if (!line.trim()) {
      if (open?.tagName === "P") open = null;
    } else {
      const [match, tag, list] = BLOCKS.map(([form, ...rest]) => [form.exec(line), ...rest]).find(([found]) => found) ?? [];
      const wanted = (list ?? tag ?? "p").toUpperCase();
      if (open?.tagName !== wanted || tag === "h3") {
        open = make(wanted);
        const number = /^\s*(\d+)/.exec(line);
        if (wanted === "OL" && number) open.start = Number(number[1]);
        blocks.push(open);
      } else if (wanted === "P") open.append(make("br"));
      if (list) open.append(make("li", {}, ...inline(match[1])));
      else open.append(...inline(match ? match[1] : line));
    }
  }
  return blocks;
}

// --- The conversation.

const turns = [];
let running = null;

function history() {
  const system = $("system").value.trim();
  const before = turns.filter((turn) => turn.answer).flatMap(({ question, answer }) => [
    { role: "user", text: question },
    { role: "assistant", text: answer },
  ]);
  return [...(system ? [{ role: "system", text: system }] : []), ...before];
}

function showComposer() {
  $("ask").placeholder = base ? t("askBase", { base }) : t("ask");
  $("ask-label").textContent = $("ask").placeholder;
  say($("send"), running ? "stop" : "send").classList.toggle("stop", Boolean(running));
  $("log").setAttribute("aria-busy", String(Boolean(running)));
  for (const id of ["save", "fresh"]) $(id).hidden = !turns.length;
  $("empty").hidden = turns.length > 0;
}

// Stay at the end of the conversation where the reader is there.
function following(change) {
  const log = $("log");
  const atEnd = log.scrollHeight - log.scrollTop - log.clientHeight < 60;
  change();
  if (atEnd) log.scrollTop = log.scrollHeight;
}

function fit() {
  $("ask").style.height = "auto";
  $("ask").style.height = `${$("ask").scrollHeight}px`;
}

async function* events(answer) {
  const reader = answer.body.pipeThrough(new TextDecoderStream()).getReader();
  let rest = "";
  for (;;) {
    const { value, done } = await reader.read();
    if (done) return;
    const lines = (rest + value).split("\n");
    rest = lines.pop();
    for (const line of lines) yield JSON.parse(line);
  }
}

// One line for each passage, with its number and source; its text when it is opened.
function passageList(passages, into) {
  const title = say(make("h4"), passages.length ? "passages" : "noPassages", { base: into });
  const items = passages.map(({ text, document, place }, index) =>
    make("details", {}, make("summary", { textContent: `${index + 1} · ${[document, place].filter(Boolean).join(", ")}` }), make("blockquote", { textContent: text })));
  return make("section", { className: "aside passages" }, title, ...items);
}

const WHOLE = new Set(["stop", "end_turn", "stop_sequence", "tool_calls", "tool_use", "function_call"]);
const LIMITS = new Set(["length", "max_tokens", "max_output_tokens", "model_length", "model_context_window_exceeded"]);

class Turn {
  constructor(question) {
    this.question = question;
    this.answer = "";
    this.reasoning = "";
    this.base = base;
    this.via = $("via").value;
    this.text = make("div", { className: "text" }, say(make("p", { className: "waiting" }), "thinking"));
    this.extras = make("div");
    this.sources = make("div");
    this.meta = make("div", { className: "meta" });
    this.errors = make("div");
    this.element = make("article", { className: "turn" },
      make("h3", { className: "hidden" }, say(make("span"), "you")), make("div", { className: "said", textContent: question }),
      make("h3", { className: "hidden" }, say(make("span"), "answer")), this.extras, this.text, this.sources, this.errors, this.meta);
  }

  take(event) {
    const kinds = {
      text: () => this.takeText(event),
      passages: () => following(() => this.sources.append(passageList(event.passages, this.base))),
      used: () => (this.used = event),
      ended: () => (this.ended = event),
      error: () => this.fail(event),
    };
    kinds[event.kind]();
  }

  takeText({ text, reasoning, ms }) {
    this.first ??= ms;
    this.last = ms;
    if (reasoning) this.reasoning += text;
    else this.answer += text;
    this.drawn ??= requestAnimationFrame(() => this.draw());
  }

  draw() {
    this.drawn = undefined;
    if (this.reasoning && !this.thought) {
      this.thought = make("div");
      this.extras.append(make("details", { className: "aside" }, say(make("summary"), "reasoning"), this.thought));
    }
    if (this.thought) this.thought.textContent = this.reasoning;
    if (this.answer) following(() => this.text.replaceChildren(...markdown(this.answer)));
  }

  fail(error) {
    this.failed = true;
    following(() => this.errors.replaceChildren(problem(error, () => this.again())));
  }

  again() {
    turns.splice(turns.indexOf(this), 1);
    this.element.remove();
    ask(this.question);
  }

  close(stopped) {
    cancelAnimationFrame(this.drawn);
    this.draw();
    if (!this.answer) {
      if (this.failed || stopped) this.text.replaceChildren();
      else this.text.replaceChildren(say(make("p", { className: "waiting" }), "nothing"));
    }
    following(() => this.meta.append(...this.remarks(stopped)));
  }

  remarks(stopped) {
    const found = this.first === undefined ? [] : [this.speed()];
    if (stopped) found.push(say(make("span"), "stopped"));
    else if (this.shortness()) found.push(say(make("span"), ...this.shortness()));
    if (this.answer) found.push(say(make("button", { type: "button", className: "quiet", onclick: (event) => this.copy(event.target) }), "copy"));
    return found;
  }

  // Why the answer may not be whole, as a text with its values. An error says that itself.
  shortness() {
    const reason = this.ended?.reason;
    if (this.failed || !reason || WHOLE.has(reason.toLowerCase())) return undefined;
    return LIMITS.has(reason.toLowerCase()) ? ["length"] : ["endedBy", { reason }];
  }

  speed() {
    const seconds = (this.last - this.first) / 1000;
    const tokens = this.used?.answer_tokens;
    const values = { route: this.via, first: (this.first / 1000).toFixed(2), tokens, speed: ((tokens - 1) / seconds).toFixed(1) };
    return say(make("span"), tokens > 1 && seconds > 0.2 ? "metaTokens" : "meta", values);
  }

  async copy(button) {
    await navigator.clipboard.writeText(this.answer);
    say(button, "copied");
  }
}

async function ask(question) {
  if (running || !question.trim()) return;
  const messages = [...history(), { role: "user", text: question }];
  const turn = new Turn(question);
  turns.push(turn);
  $("log").append(turn.element);
  running = new AbortController();
  showComposer();
  $("log").scrollTop = $("log").scrollHeight;
  let stopped = false;
  try {
    const given = { context: $("context").value.trim(), web_search: provider().web_search && $("web-search").checked };
    const body = { ...choice(), model: $("model").value.trim(), messages, parameters: parameters(), base, ...given };
    const answer = await request("POST", path("answer"), body, running.signal);
    for await (const event of events(answer)) turn.take(event);
    if (!turn.failed && !turn.ended) turn.fail({ what: t("cut"), why: t("cutWhy"), fix: t("cutFix") });
  } catch (error) {
    stopped = error.name === "AbortError";
    if (!stopped) turn.fail(error instanceof Error ? { what: t("cut"), why: t("cutWhy"), fix: t("cutFix") } : error);
  }
  running = null;
  turn.close(stopped);
  showComposer();
  say($("spoken"), ...(stopped ? ["stopped"] : turn.failed ? ["cut"] : turn.shortness() ?? ["done"]));
}

function submit(event) {
  event.preventDefault();
  if (running) return running.abort();
  const question = $("ask").value;
  if (!question.trim()) return;
  $("ask").value = "";
  fit();
  openSide(false);
  ask(question);
}

function saveConversation() {
  const text = turns.map(({ question, answer }) => `## ${question}\n\n${answer}\n`).join("\n");
  const link = make("a", { href: URL.createObjectURL(new Blob([text], { type: "text/markdown" })), download: "conversation.md" });
  link.click();
  URL.revokeObjectURL(link.href);
}

function begin() {
  running?.abort();
  for (const turn of turns.splice(0)) turn.element.remove();
  showComposer();
  $("ask").focus();
}

// --- The frame.

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
  language = language === "zh" ? "en" : "zh";
  sayAll();
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
    if (base && !atProvider(base)) addFiles(dropped);
    else askName(dropped);
  });
}

function keys(event) {
  if (event.key === "Escape" && running) running.abort();
  else if (event.key === "Escape") openSide(false);
}

function wire() {
  const on = (id, kind, run) => $(id).addEventListener(kind, run);
  on("ask-form", "submit", submit);
  on("ask", "input", fit);
  on("ask", "keydown", (event) => {
    // An input method that composes Chinese takes Enter for itself.
    if (event.key === "Enter" && !event.shiftKey && !event.isComposing && !running) submit(event);
  });
  on("provider", "change", () => showProvider($("via").value));
  on("via", "change", measure);
  on("check", "click", measure);
  on("add-base", "click", () => askName());
  on("no-base", "click", closeName);
  on("new-base", "submit", createBase);
  on("choose", "change", () => {
    addFiles([...$("choose").files]);
    $("choose").value = "";
  });
  on("save", "click", saveConversation);
  on("fresh", "click", begin);
  on("menu", "click", () => openSide(!$("side").classList.contains("open")));
  on("theme", "click", changeTheme);
  on("language", "click", changeLanguage);
  addEventListener("keydown", keys);
  watchDrops();
}

async function start() {
  texts = await (await fetch("/texts.json")).json();
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
    known = await call("GET", path("state"));
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

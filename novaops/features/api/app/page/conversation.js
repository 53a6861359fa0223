// The conversation.

import { choice, parameters, provider } from "./connection.js";
import { base, baseName, searchable } from "./knowledge.js";
import { markdown } from "./markdown.js";
import { path, problem, request } from "./server.js";
import { $, make, say, t } from "./words.js";

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

export function showComposer() {
  $("search").hidden = !searchable();
  $("search").disabled = Boolean(running);
  $("ask").placeholder = base ? t("askBase", { base: baseName() }) : t("ask");
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

export function fit() {
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

const source = ({ document, place }) => [document, place].filter(Boolean).join(", ");

// One line for each passage, with its number and source; its text when it is opened.
function passageList(passages, into) {
  const title = say(make("h4"), passages.length ? "passages" : "noPassages", { base: into });
  const items = passages.map((each, index) =>
    make("details", {}, make("summary", { textContent: `${index + 1} · ${source(each)}` }), make("blockquote", { textContent: each.text })));
  return make("section", { className: "aside passages" }, title, ...items);
}

const WHOLE = new Set(["stop", "end_turn", "stop_sequence", "tool_calls", "tool_use", "function_call"]);
const LIMITS = new Set(["length", "max_tokens", "max_output_tokens", "model_length", "model_context_window_exceeded"]);

class Turn {
  constructor(question, again = ask) {
    this.question = question;
    this.asked = again;
    this.searched = again !== ask;
    this.answers = [];
    this.reasons = [];
    this.thoughts = [];
    this.passages = [];
    this.base = baseName();
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
      passages: () => this.takePassages(event.passages),
      used: () => (this.used = event),
      ended: () => this.reasons.push(event.reason),
      error: () => this.fail(event),
    };
    kinds[event.kind]();
  }

  // The first one is what the conversation goes on with.
  get answer() {
    return this.answers.find(Boolean) ?? "";
  }

  // All of them, and what was looked up instead of an answer, for whoever keeps it.
  get whole() {
    if (this.searched) return this.passages.map((each) => `> ${each.text.replaceAll("\n", "\n> ")}\n\n${source(each)}`).join("\n\n");
    if (this.answers.length < 2) return this.answer;
    return this.answers.map((text, index) => `### ${t("answerNumber", { n: index + 1 })}\n\n${text}`).join("\n\n");
  }

  takePassages(passages) {
    this.passages.push(...passages);
    following(() => this.sources.append(passageList(passages, this.base)));
  }

  takeText({ text, reasoning, answer, ms }) {
    this.first ??= ms;
    this.last = ms;
    if (reasoning) this.thoughts[answer] = (this.thoughts[answer] ?? "") + text;
    else this.answers[answer] = (this.answers[answer] ?? "") + text;
    this.drawn ??= requestAnimationFrame(() => this.draw());
  }

  draw() {
    this.drawn = undefined;
    if (this.thoughts.length && !this.thought) {
      this.thought = make("div");
      this.extras.append(make("details", { className: "aside" }, say(make("summary"), "reasoning"), this.thought));
    }
    if (this.thought) this.thought.textContent = this.thoughts.filter(Boolean).join("\n\n");
    if (this.answers.length) following(() => this.text.replaceChildren(...this.answers.flatMap((text, index) => this.shown(text, index))));
  }

  shown(text, index) {
    const title = this.answers.length > 1 ? [say(make("h4"), "answerNumber", { n: index + 1 })] : [];
    return [...title, ...markdown(text)];
  }

  fail(error) {
    this.failed = true;
    following(() => this.errors.replaceChildren(problem(error, () => this.again())));
  }

  again() {
    if (running) return;
    turns.splice(turns.indexOf(this), 1);
    this.element.remove();
    this.asked(this.question);
  }

  close(stopped) {
    cancelAnimationFrame(this.drawn);
    this.draw();
    if (!this.answer) {
      if (this.failed || stopped || this.searched) this.text.replaceChildren();
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
    const reason = this.reasons.find((each) => each && !WHOLE.has(each.toLowerCase()));
    if (this.failed || !reason) return undefined;
    return LIMITS.has(reason.toLowerCase()) ? ["length"] : ["endedBy", { reason }];
  }

  speed() {
    const seconds = (this.last - this.first) / 1000;
    const tokens = this.used?.answer_tokens;
    const values = { route: this.via, first: (this.first / 1000).toFixed(2), tokens, speed: ((tokens - 1) / seconds).toFixed(1) };
    return say(make("span"), tokens > 1 && seconds > 0.2 ? "metaTokens" : "meta", values);
  }

  async copy(button) {
    await navigator.clipboard.writeText(this.whole);
    say(button, "copied");
  }
}

async function ask(question) {
  const messages = [...history(), { role: "user", text: question }];
  await take(new Turn(question), async (turn, signal) => {
    if (!provider()) throw { what: t("notLoaded"), fix: t("goneFix") };
    const given = { context: $("context").value.trim(), web_search: provider().web_search && $("web-search").checked };
    const body = { ...choice(), model: $("model").value.trim(), messages, parameters: parameters(), base, ...given };
    const answer = await request("POST", path("answer"), body, signal);
    for await (const event of events(answer)) turn.take(event);
    if (!turn.failed && !turn.reasons.length) turn.fail({ what: t("cut"), why: t("cutWhy"), fix: t("cutFix") });
  });
}

// Only the passages of the base; the model is not asked.
async function searchFor(text, body = { ...choice(), base, text }) {
  await take(new Turn(text, () => searchFor(text, body)), async (turn, signal) => {
    const { passages } = await (await request("POST", path("search"), body, signal)).json();
    turn.take({ kind: "passages", passages });
  });
}

async function take(turn, run) {
  turns.push(turn);
  $("log").append(turn.element);
  running = new AbortController();
  showComposer();
  $("log").scrollTop = $("log").scrollHeight;
  let stopped = false;
  try {
    await run(turn, running.signal);
  } catch (error) {
    stopped = error.name === "AbortError";
    if (!stopped) turn.fail(error instanceof Error ? { what: t("cut"), why: t("cutWhy"), fix: t("cutFix") } : error);
  }
  running = null;
  turn.close(stopped);
  showComposer();
  const done = turn.searched ? ["pieces", { n: turn.passages.length }] : (turn.shortness() ?? ["done"]);
  say($("spoken"), ...(stopped ? ["stopped"] : turn.failed ? ["cut"] : done));
}

// The question, if nothing is on its way and there is one.
function typed() {
  const question = $("ask").value;
  if (running || !question.trim()) return "";
  $("ask").value = "";
  fit();
  return question;
}

export function submit() {
  const question = typed();
  if (question) ask(question);
}

export function search() {
  const text = typed();
  $("ask").focus();
  if (text) searchFor(text);
}

// Whether there was something to stop.
export function stop() {
  running?.abort();
  return Boolean(running);
}

export function saveConversation() {
  const text = turns.map(({ question, whole }) => `## ${question}\n\n${whole}\n`).join("\n");
  const link = make("a", { href: URL.createObjectURL(new Blob([text], { type: "text/markdown" })), download: "conversation.md" });
  link.click();
  URL.revokeObjectURL(link.href);
}

export function begin() {
  running?.abort();
  for (const turn of turns.splice(0)) turn.element.remove();
  showComposer();
  $("ask").focus();
}

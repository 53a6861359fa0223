// The server, and its errors as the page shows them.

import { make, say, t } from "./words.js";

export function path(...parts) {
  return ["/api", ...parts.map(encodeURIComponent)].join("/");
}

export async function request(method, url, body, signal) {
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

export async function call(method, url, body, signal) {
  const answer = await request(method, url, body, signal);
  return answer.status === 204 ? null : answer.json();
}

export function problem({ what, why, fix }, again) {
  const box = make("div", { className: "problem" }, make("strong", { textContent: what }));
  box.setAttribute("role", "alert");
  for (const line of [why, fix]) if (line) box.append(make("p", { textContent: line }));
  if (again) box.append(say(make("button", { type: "button", onclick: again }), "again"));
  return box;
}

// The provider, the route, the model and the parameters.

import { show as showFileList, showFiles } from "./files.js";
import { forgetProviderBases, loadBases, showRoute } from "./knowledge.js";
import { call, path, problem } from "./server.js";
import { $, make, say, t } from "./words.js";

export const known = { providers: [], bases: [], kinds: [], largest: 0 };
export const provider = () => known.providers.find((each) => each.name === $("provider").value);
export const choice = () => ({ provider: $("provider").value, via: $("via").value });
export const routeName = (via) => (via === "direct" ? t("direct") : via);
const PARAMETERS = {
  temperature: { min: 0, max: 2, step: 0.1 },
  top_p: { min: 0, max: 1, step: 0.05 },
  max_tokens: { min: 1, step: 1 },
  repetition_penalty: { min: 0, step: 0.05 },
  n: { min: 1, step: 1 },
  seed: { step: 1 },
  user: null, // a text
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

export async function measure() {
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
  loadBases();
  const { models } = await call("POST", path("models"), choice()).catch(() => ({ models: [] }));
  if (mine === measurement) $("models").replaceChildren(...models.map((value) => make("option", { value })));
}

export function changeRoute() {
  measure();
  showRoute();
  showFileList();
}

// What depends on the provider.
export function showProvider(via) {
  fill($("via"), provider().routes.map((each) => [each, routeName(each)]));
  if (provider().routes.includes(via)) $("via").value = via;
  $("model").value = "";
  $("models").replaceChildren();
  forgetProviderBases();
  showFiles();
  showModelHint();
  showParameters();
  measure();
}

export function showModelHint() {
  $("model").placeholder = provider()?.model || t("modelHint");
}

export function showParameters() {
  const fields = Object.entries(PARAMETERS).filter(([name]) => provider().parameters.includes(name));
  $("parameters").replaceChildren(
    ...fields.map(([name, limits]) => {
      const input = make("input", { name, autocomplete: "off", ...(limits && { inputMode: "decimal", ...limits }) });
      input.dataset.hint = "default";
      input.placeholder = t("default");
      return make("label", {}, say(make("span"), name), input);
    }),
  );
  $("web").hidden = !provider().web_search;
}

export function parameters() {
  const fields = [...$("parameters").querySelectorAll("input")].filter((input) => input.value.trim());
  return Object.fromEntries(fields.map(({ name, value }) => [name, PARAMETERS[name] ? Number(value) : value.trim()]));
}

function fill(select, values) {
  const before = select.value;
  select.replaceChildren(...values.map(([value, text]) => make("option", { value, textContent: text })));
  if (values.some(([value]) => value === before)) select.value = before;
}

export function showProviders() {
  fill($("provider"), known.providers.map(({ name, usable }) => [name, usable ? name : `${name} · ${t("unusable")}`]));
}

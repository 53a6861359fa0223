// The files that the provider keeps, for its knowledge bases and for fine-tuning.

import { provider } from "./connection.js";
import { $, make, say } from "./words.js";
import { FileList, placeThere } from "./uploads.js";

let list;

// Nothing is asked of the provider before somebody opens the list.
export function showFiles() {
  const purposes = provider().usable ? provider().purposes : [];
  $("files-there").hidden = !purposes.length;
  $("files-open").open = false;
  say($("files-title"), "filesThere", { provider: provider().name });
  $("purpose").replaceChildren(...purposes.map((value) => make("option", { value, textContent: value })));
  show();
}

// By the route of now.
export function show() {
  list.show($("files-open").open ? placeThere("") : null);
}

export function addThere(files) {
  $("files-open").open = true;
  show(); // a browser tells later that it is open
  list.add(files, placeThere("", $("purpose").value));
}

export function wireFiles() {
  list = new FileList($("there"), $("there-problem"));
  $("files-open").addEventListener("toggle", show);
  $("choose-there").addEventListener("change", () => {
    addThere([...$("choose-there").files]);
    $("choose-there").value = "";
  });
}

// A little Markdown, as nodes. Links and pictures stay text: where they lead is the model's word only.

import { make } from "./words.js";

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

export function markdown(text) {
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

// The form of a policy: what changed is marked with what it was, counted and listed before it is saved.

import { guard } from "./unsaved.js";

const form = document.getElementById("policy");
const bar = document.querySelector("[data-diff]");
const none = document.querySelector("[data-diff-none]");

const shown = (input) => (input.tagName === "SELECT" ? input.selectedOptions[0].text : input.value || "–");

function judge(field) {
  const input = field.querySelector("[data-was]");
  const changed = input.value.trim() !== input.dataset.was;
  field.classList.toggle("lm-changed", changed);
  const was = field.querySelector(".lm-was");
  was.hidden = !changed;
  was.textContent = changed ? form.dataset.was.replace("{value}", field.dataset.before) : "";
  for (const part of field.querySelectorAll("[data-reset]")) part.hidden = !input.value;
  for (const part of field.querySelectorAll("[data-inherited]")) part.hidden = Boolean(input.value);
  return changed ? [`${field.dataset.label}: ${field.dataset.before} → ${shown(input)}`] : [];
}

const windows = () =>
  [...form.querySelectorAll("[data-window]")]
    .map((row) => [...row.querySelectorAll("input")].map((input) => input.value.trim()).join(" "))
    .filter((text) => text.trim());
const savedWindows = JSON.stringify([...form.querySelectorAll("[data-window]")].map(
  (row) => [...row.querySelectorAll("input")].map((input) => input.defaultValue.trim()).join(" "),
).filter((text) => text.trim()));

function judgeWindows() {
  const now = windows();
  if (JSON.stringify(now) === savedWindows) return [];
  const title = document.getElementById("set-window").textContent;
  return [`${title}: ${JSON.parse(savedWindows).join(", ") || "–"} → ${now.join(", ") || "–"}`];
}

const found = () => [...form.querySelectorAll("[data-field]")].flatMap(judge).concat(judgeWindows());

function count() {
  const changes = found();
  bar.hidden = !changes.length;
  none.hidden = Boolean(changes.length);
  none.textContent = form.dataset.none;
  bar.querySelector("[data-diff-n]").textContent =
    changes.length === 1 ? form.dataset.one : form.dataset.many.replace("{n}", changes.length);
  bar.querySelector("ul").replaceChildren(
    ...changes.map((text) => Object.assign(document.createElement("li"), { textContent: text })),
  );
}

form.addEventListener("input", count);
form.addEventListener("change", count);
form.addEventListener("reset", () => setTimeout(count));
form.addEventListener("click", (event) => {
  const reset = event.target.closest("[data-reset]");
  if (!reset) return;
  const input = reset.closest("[data-field]").querySelector("[data-was]");
  input.value = "";
  input.focus();
  count();
});
guard(form, () => found().length > 0);
// Another org has other agents.
document.getElementById("of-org")?.addEventListener("change", () => {
  document.getElementById("of-agent").value = "";
});
count();

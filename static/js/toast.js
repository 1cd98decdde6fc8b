// The answer to an act, with its undo. It stays 8 s, and as long as the pointer or focus is on it.

import { words } from "./words.js";

const STAYS = 8000;
const box = document.getElementById("toasts");

export function toast(text, undo = "", label = "", href = "") {
  const made = note(text);
  if (href) made.append(link(href, label));
  else if (undo) made.append(button(made, label, () => askFor(undo)));
  keep(made);
}

// A toast that stays until its button is pressed, or who made it removes it.
export function note(text, label = "", act = null) {
  const made = document.createElement("div");
  made.className = "lm-toast";
  const said = document.createElement("span");
  said.textContent = text;
  made.append(said);
  if (act) made.append(button(made, label, act), button(made, words.dismiss, () => {}));
  box.append(made);
  return made;
}

function link(href, label) {
  const made = document.createElement("a");
  Object.assign(made, { className: "btn btn-quiet", href, textContent: label, target: "_blank", rel: "noopener" });
  return made;
}

function button(made, label, act) {
  const button = document.createElement("button");
  button.type = "button";
  button.className = "btn btn-quiet";
  button.textContent = label;
  button.addEventListener("click", () => {
    const byKey = button.matches(":focus-visible");
    made.remove();
    if (byKey) goOn();
    act();
  });
  return button;
}

// The button is gone that had the focus: whoever uses keys goes on where they were.
function goOn() {
  const row = document.querySelector(".lm-row.is-cursor [data-key=open]");
  (row ?? document.querySelector("#alert-head [data-key]") ?? document.getElementById("main"))?.focus({ preventScroll: true });
}

function askFor(undo) {
  const alert = document.getElementById("alert");
  window.htmx.ajax("POST", undo, alert ? { target: alert, swap: "morph:innerHTML" } : { source: box, swap: "none" });
}

function keep(made) {
  let timer = 0;
  const leave = () => { timer = setTimeout(() => made.remove(), STAYS); };
  const stay = () => clearTimeout(timer);
  for (const event of ["pointerenter", "focusin"]) made.addEventListener(event, stay);
  for (const event of ["pointerleave", "focusout"]) made.addEventListener(event, leave);
  leave();
}

export function start() {
  for (const made of box.querySelectorAll("[data-toast]")) keep(made);
  const left = sessionStorage.getItem("lm-toast");
  sessionStorage.removeItem("lm-toast");
  if (left) toast(left);
  onAnswer((xhr, asked) => {
    const said = JSON.parse(xhr.getResponseHeader("HX-Trigger") || "{}")["lm:toast"];
    if (said) toast(said.text, said.undo, said.label, said.href);
    else if (asked.kept || answeredStale(xhr)) return; // acts.js and session.js see to it
    else if (asked.requestConfig.verb === "get" && (xhr.status === 0 || xhr.status >= 500)) return; // the page asks again by itself
    else if (xhr.status === 0 || xhr.status >= 500) toast(words.failed);
    else if (xhr.status >= 400 && xhr.status !== 401) toast(words.refused);
  });
}

// The page's token is not the session's: there has been another log-in.
export const answeredStale = (xhr) => xhr.status === 403 && xhr.getResponseHeader("X-Refused") === "csrf";

// The page that is loaded next says this.
export const toastAfterLoading = (text) => sessionStorage.setItem("lm-toast", text);

// Every answer to htmx, and what was asked. Not by htmx's own event: the row that asked may have been replaced by then, and hears nothing.
export function onAnswer(take) {
  document.body.addEventListener("htmx:beforeRequest", ({ detail }) => {
    detail.xhr.addEventListener("loadend", () => take(detail.xhr, detail));
  });
}

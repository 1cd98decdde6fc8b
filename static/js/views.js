// Saved views: a dialog with their list, and while it is open, how many alerts each of them has now.

import { here } from "./here.js";
import { toast } from "./toast.js";
import { personalise, words } from "./words.js";

const ASK_EVERY = 2000; // ms

let dialog;
let box;

export function start() {
  dialog = document.getElementById("views");
  if (!dialog) return;
  box = dialog.querySelector("[data-views]");
  dialog.addEventListener("toggle", ({ newState }) => newState === "open" && opened());
  document.body.addEventListener("lm:views", list);
  document.addEventListener("lm:counts", ask);
  document.addEventListener("visibilitychange", ask);
}

function opened() {
  document.getElementById("filters").classList.remove("is-open");
  list();
}

async function fetched(parameters) {
  const answer = await fetch(`/views?${new URLSearchParams(parameters)}`, { redirect: "manual" });
  if (!answer.ok) throw new Error(String(answer.status));
  return answer;
}

async function list() {
  try {
    box.innerHTML = await (await fetched({ query: here.search })).text();
  } catch {
    return toast(words.failed);
  }
  window.htmx.process(box);
  personalise(box);
}

// --- counts ------------------------------------------------------------------------------------------------------------

let busy = false;
let askedAt = -Infinity;

function ask() {
  if (busy || document.hidden || !dialog.matches(":popover-open")) return;
  busy = true;
  setTimeout(count, Math.max(0, askedAt + ASK_EVERY - performance.now()));
}

async function count() {
  askedAt = performance.now();
  try {
    const counts = await (await fetched({ counts: 1 })).json();
    for (const figure of box.querySelectorAll("[data-view-count]")) figure.textContent = counts[figure.dataset.viewCount] ?? figure.textContent;
  } catch {
    // the next change asks again
  }
  busy = false;
}

// Saved views: in the menu and in a dialog, and how many alerts each of them that one sees has now.

import { here } from "./here.js";
import { rarely } from "./rarely.js";
import { toast } from "./toast.js";
import { figure, personalise, words } from "./words.js";

let dialog; // on the board only

export function start() {
  dialog = document.getElementById("views");
  dialog?.addEventListener("toggle", ({ newState }) => newState === "open" && opened());
  document.body.addEventListener("lm:views", renew);
  document.addEventListener("lm:counts", count);
  document.addEventListener("toggle", count, { capture: true }); // a menu that opens
  document.addEventListener("click", all);
  if (dialog && location.hash === "#views") show();
}

const isOpen = () => dialog?.matches(":popover-open");

// "All views": the dialog, which is the board's; elsewhere the link leads there.
function all(event) {
  if (!dialog || !event.target.closest("[data-all-views]")) return;
  event.preventDefault();
  for (const menu of document.querySelectorAll("details.lm-menu[open]")) menu.open = false;
  dialog.showPopover();
}

function show() {
  history.replaceState(history.state, "", here.pathname + here.search);
  dialog.showPopover();
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

// --- lists -------------------------------------------------------------------------------------------------------------

function renew() {
  menu();
  if (isOpen()) list();
}

async function menu() {
  const query = dialog ? { query: here.search } : {};
  await put({ part: "menu", ...query }, document.querySelectorAll("[data-views-menu]"));
}

const list = () => put({ query: here.search }, [dialog.querySelector("[data-views]")]);

async function put(parameters, places) {
  try {
    const made = await (await fetched(parameters)).text();
    for (const place of places) {
      place.innerHTML = made;
      window.htmx.process(place);
      personalise(place);
    }
  } catch {
    toast(words.failed);
  }
}

// --- counts ------------------------------------------------------------------------------------------------------------

const figures = () => [...document.querySelectorAll("[data-view-count]")];

// Whether one is seen is asked here, at most once in 2 s: the answer costs a layout of the page.
const ask = rarely(async () => {
  if (!figures().some((one) => one.checkVisibility())) return;
  const parameters = { counts: 1, ...(isOpen() ? {} : { part: "menu" }) };
  const counts = await (await fetched(parameters)).json();
  for (const one of figures()) set(one, counts[one.dataset.viewCount]);
});

function count() {
  if (document.querySelector("[data-view-count]")) ask();
}

function set(one, n) {
  if (n !== undefined && one.textContent !== figure(n)) one.textContent = figure(n);
}

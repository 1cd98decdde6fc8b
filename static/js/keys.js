// j k Enter o a t / ?  on the board, j k o a t r v / ? on an alert.

import { show, shown } from "./drawer.js";
import { here } from "./here.js";
import { idsOf, neighbour } from "./list.js";
import { keyed } from "./select.js";
import { toast } from "./toast.js";
import { words } from "./words.js";

const LIST = "lm-list"; // the board one came from: its address, and the open alerts it showed
const typing = (target) => target.closest("input:not([type=checkbox]), select, textarea, [contenteditable], dialog, [popover]");

function cursor() {
  return document.querySelector("#feed .lm-row.is-cursor") ?? document.activeElement?.closest("#feed .lm-row") ?? null;
}

// The lists that show their rows.
function lists() {
  return [...document.querySelectorAll("#feed .lm-part:not([hidden], details:not([open])) .lm-rows")];
}

const edge = (list, step) => (step > 0 ? list?.firstElementChild : list?.lastElementChild);

function beside(row, step) {
  const near = step > 0 ? row.nextElementSibling : row.previousElementSibling;
  const all = lists();
  return near ?? edge(all[all.indexOf(row.parentElement) + step], step);
}

function move(step) {
  if (shown()) show(step);
  else if (document.getElementById("alert")) turn(step);
  else moveCursor(step);
}

function moveCursor(step) {
  const from = cursor();
  const next = from ? beside(from, step) : edge(lists()[0], 1);
  if (!next) return;
  from?.classList.remove("is-cursor");
  next.classList.add("is-cursor");
  next.querySelector("[data-key=open]").focus({ preventScroll: true });
  next.scrollIntoView({ block: "nearest" });
}

// What the list shows now, in its order: others take and resolve meanwhile.
async function stillOpen(address) {
  const asked = new URL(address, location.origin);
  asked.searchParams.set("partial", "feed");
  const answer = await fetch(asked, { headers: { Accept: "text/html" }, redirect: "manual" });
  if (!answer.ok) throw new Error(String(answer.status));
  return idsOf(new DOMParser().parseFromString(await answer.text(), "text/html"));
}

// The next or previous open alert of the list one came from; that of one that has left the list is where it stood.
async function turn(step) {
  const { address, ids } = JSON.parse(sessionStorage.getItem(LIST) ?? '{"address": "/", "ids": []}');
  const { id } = document.getElementById("alert").dataset;
  let open;
  try {
    open = await stillOpen(address);
  } catch {
    return toast(words.failed);
  }
  const { next, order } = neighbour(id, open, ids, step);
  if (!next) return toast(words.no_more);
  sessionStorage.setItem(LIST, JSON.stringify({ address, ids: order }));
  location.assign(`/alerts/${next}`);
}

function rememberList() {
  const feed = document.getElementById("feed");
  if (!feed) return;
  sessionStorage.setItem(LIST, JSON.stringify({ address: here.pathname + here.search, ids: idsOf(feed) }));
}

function current() {
  return document.getElementById("alert-head") ?? cursor();
}

function press(key) {
  current()?.querySelector(`[data-key=${key}]`)?.click();
}

function acknowledge() {
  const row = cursor();
  if (!row || shown()) return press("acknowledge");
  if (row.dataset.state === "open") window.htmx.ajax("POST", `/alerts/${row.dataset.id}/acknowledge`, { source: row, swap: "none" });
}

export function showKeys() {
  document.getElementById("keys").showModal();
}

let before = ""; // the id of the row at which one went to the search

// What is not searched for is not said; the next key is the list's again.
function leaveSearch(event) {
  if (event.key !== "Escape") return;
  event.preventDefault();
  event.target.value = event.target.defaultValue;
  event.target.blur();
  const row = document.getElementById(before);
  row?.classList.add("is-cursor");
  row?.querySelector("[data-key=open]").focus({ preventScroll: true });
}

const KEYS = {
  j: () => move(1),
  k: () => move(-1),
  o: () => press("room"),
  t: () => press("take"),
  r: () => document.getElementById("alert-head") && press("resolve"),
  v: () => document.querySelector("[data-key=verdict]")?.focus(),
  a: acknowledge,
  "?": showKeys,
  "/": (event) => {
    event.preventDefault();
    before = cursor()?.id ?? "";
    const field = document.querySelector("[data-key=search]");
    if (field?.checkVisibility()) field.focus();
    else document.getElementById("find")?.click();
  },
};

export function start() {
  document.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey || event.repeat || typing(event.target)) return;
    if (event.key === "Enter" && event.target === document.body) press("open");
    else if (!keyed(event.key, cursor())) KEYS[event.key]?.(event);
  });
  document.querySelector("[data-key=search]")?.addEventListener("keydown", leaveSearch);
  for (const button of document.querySelectorAll("[data-show-keys]")) button.addEventListener("click", showKeys);
  addEventListener("pagehide", rememberList);
  document.addEventListener("focusin", (event) => {
    if (event.target.closest("dialog, [popover]")) return; // from there one comes back to the row
    const row = event.target.closest("#feed .lm-row");
    const marked = cursor();
    if (marked && marked !== row) marked.classList.remove("is-cursor");
  });
}

// An alert over the board, on a wide screen: the list keeps its place, the address is the alert's, Back and Escape close
// it. On a narrow one an alert is a page of its own; Back from there finds the list as it was.

import { here } from "./here.js";
import { idsOf, neighbour, SHOWN } from "./list.js";
import { reach } from "./pages.js";
import { toast } from "./toast.js";
import { personalise, words } from "./words.js";

const WIDE = matchMedia("(min-width: 1024px)");
const LEFT = "lm-left"; // where one was in a list when one left it

let drawer;
let current = ""; // the id of the alert that is shown, or on its way
let stood = { ids: [] }; // the group of the alert that is shown when it was opened, and the rows of that group
let order = []; // the list as it was when the alert that is shown stood in it

export const shown = () => current !== "";

export function start() {
  drawer = document.getElementById("drawer");
  document.addEventListener("click", clicked);
  document.addEventListener("keydown", escaped, { capture: true });
  addEventListener("popstate", ({ state }) => (state?.alert ? open(`/alerts/${state.alert}`) : close()));
  new MutationObserver(mark).observe(document.getElementById("feed").parentElement, { childList: true, subtree: true });
  addEventListener("pagehide", remember);
  comeBack();
}

function clicked(event) {
  const link = event.target.closest("#feed .lm-row a[data-key=open], #drawer a[href^='/alerts/']:not([target], [data-drawer-page])");
  if (event.target.closest("[data-drawer-close]")) back();
  const plain = event.button === 0 && !event.ctrlKey && !event.metaKey && !event.shiftKey && !event.altKey;
  if (!link || !plain || !WIDE.matches || event.defaultPrevented) return;
  event.preventDefault();
  go(link.pathname + link.search);
}

// Show an alert under its own address. Back leads to the board, however many were shown meanwhile.
function go(address) {
  const state = [{ alert: idOf(address) }, "", address];
  if (shown()) history.replaceState(...state);
  else history.pushState(...state);
  open(address);
}

const idOf = (address) => /^\/alerts\/([^/?]+)/.exec(address)[1];
const place = () => drawer.querySelector("[data-drawer-place]");

let loading = new AbortController();
async function open(address) {
  if (shown() && drawer.dataset.address === address) return drawer.focus({ preventScroll: true });
  drawer.dataset.address = address;
  if (current !== idOf(address)) {
    place().replaceChildren(); // a key that comes too early must not act on the one before
    stood = standing(document.getElementById(`row-${idOf(address)}`));
  }
  current = idOf(address);
  drawer.hidden = false;
  drawer.classList.add("is-open"); // Escape is meant for it, and not for what lies under it
  drawer.focus({ preventScroll: true });
  mark();
  loading.abort();
  loading = new AbortController();
  let html;
  try {
    const asked = new URL(address, location.origin);
    asked.searchParams.set("partial", "1");
    const answer = await fetch(asked, { headers: { Accept: "text/html" }, redirect: "manual", signal: loading.signal });
    if (!answer.ok) throw new Error(String(answer.status));
    html = await answer.text();
  } catch (error) {
    if (error.name === "AbortError") return;
    toast(words.failed);
    return back();
  }
  fill(address, html);
}

function fill(address, html) {
  const made = document.createElement("div");
  const id = idOf(address);
  const part = new URL(address, location.origin).searchParams.get("t") ?? "all";
  made.id = "alert";
  made.dataset.id = id;
  const asks = { "hx-ext": "morph", "hx-get": `/alerts/${id}?partial=1&t=${part}`, "hx-trigger": "lm:refresh", "hx-swap": "morph:innerHTML" };
  for (const [name, value] of Object.entries(asks)) made.setAttribute(name, value);
  made.innerHTML = html;
  place().replaceChildren(made);
  drawer.querySelector("[data-drawer-page]").href = address;
  drawer.querySelector("[data-drawer-copy]").dataset.copy = `${location.origin}/alerts/${id}`;
  window.htmx.process(made);
  personalise(made);
  drawer.scrollTop = 0;
}

// The alert's row; the list it stands in is the order to go on in when it has left.
function mark() {
  const ids = idsOf(document.getElementById("feed"));
  if (ids.includes(current)) order = ids;
  for (const row of document.querySelectorAll(`#feed .lm-row.is-shown, #row-${current || "none"}`)) {
    if (row.classList.contains("is-shown") !== (row.dataset.id === current)) row.classList.toggle("is-shown");
  }
}

// The next or previous alert of the list.
export function show(step) {
  const { next, order: goesOn } = neighbour(current, idsOf(document.getElementById("feed")), order, step);
  if (!next) return toast(words.no_more);
  order = goesOn;
  go(`/alerts/${next}`);
  document.getElementById(`row-${next}`)?.scrollIntoView({ block: "nearest" });
}

const back = () => (history.state?.alert ? history.back() : close());

function escaped(event) {
  if (event.key !== "Escape" || !shown()) return;
  if (document.querySelector("details.lm-menu[open], dialog[open], :popover-open")) return; // these close first
  event.stopPropagation();
  back();
}

function close() {
  if (!shown()) return;
  loading.abort();
  const id = current;
  current = "";
  drawer.hidden = true;
  drawer.classList.remove("is-open");
  place().replaceChildren();
  mark();
  focusOn(inPlaceOf(id));
}

const standing = (row) => ({ group: groupOf(row), ids: [...(row?.parentElement.children ?? [])].map((one) => one.dataset.id) });

// One that was taken or resolved here has gone elsewhere: whoever goes on with the keys goes on where it stood.
function inPlaceOf(id) {
  const stays = (one) => groupOf(document.getElementById(`row-${one}`)) === stood.group;
  const at = stood.ids.indexOf(id);
  return [id, ...stood.ids.slice(at + 1), ...stood.ids.slice(0, Math.max(at, 0)).reverse()].find(stays) ?? id;
}

function focusOn(id) {
  const link = document.querySelector(`#row-${id} [data-key=open]`) ?? document.querySelector("#feed [data-key=open]");
  link?.focus({ preventScroll: true });
  link?.closest(".lm-row").classList.add("is-cursor");
}

// --- the way back from a page ----------------------------------------------------------------------------------------

const where = () => here.pathname + here.search;

function remember() {
  const row = document.activeElement?.closest("#feed .lm-row");
  const many = Math.max(...[...document.querySelectorAll("#feed .lm-rows")].map((list) => list.childElementCount));
  const { top } = row?.getBoundingClientRect() ?? {};
  const left = { where: where(), id: row?.dataset.id, group: groupOf(row), top, y: scrollY, many };
  sessionStorage.setItem(LEFT, JSON.stringify(left));
}

async function comeBack() {
  const [navigation] = performance.getEntriesByType("navigation");
  const left = JSON.parse(sessionStorage.getItem(LEFT) ?? "{}");
  if (navigation?.type !== "back_forward" || left.where !== where()) return;
  history.scrollRestoration = "manual";
  if (left.id && left.many > SHOWN) await reach(`row-${left.id}`);
  const row = left.id && document.getElementById(`row-${left.id}`);
  if (row && groupOf(row) === left.group) {
    scrollTo({ top: scrollY + row.getBoundingClientRect().top - left.top });
    focusOn(left.id);
  } else {
    scrollTo({ top: left.y }); // it has gone elsewhere: what comes next stands in its place
    const next = [...document.querySelectorAll("#feed .lm-row")].find((one) => one.getBoundingClientRect().bottom > left.top);
    if (left.id && next) focusOn(next.dataset.id);
  }
}

const groupOf = (row) => row?.closest(".lm-part").dataset.group;

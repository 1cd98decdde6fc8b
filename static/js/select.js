// Several alerts at once: chosen by id, so that they stay chosen while their rows change, move and wait to be scrolled to.
//
// x and X, the boxes with shift, a long press; `*` for all that the filters leave. An act goes out in parts, and what
// it changed can be taken back as a whole for 10 min.

import { groups } from "./counts.js";
import { shown } from "./drawer.js";
import { here as page } from "./here.js";
import { post } from "./post.js";
import { toast } from "./toast.js";
import { fill, words as common } from "./words.js";

const AT_ONCE = 50; // alerts of one request, as in console/pages/board/bulk.py
const ROOMS_NAMED = 5;
const UNDO_WITHIN = 10 * 60_000;

const chosen = new Set(); // ids
let anchor = ""; // where a range begins
let picking = false; // a tap on a row chooses it
let running = null; // {n, total, stopped} of the act that is under way
let result = null; // {verb, done, at, text} of the last one; the text until it is closed
let note = ""; // about what is chosen
let bar;
let words;

const rows = () => [...document.querySelectorAll("#feed .lm-part:not([hidden], details:not([open])) .lm-row")];
const open = (row) => row && row.dataset.state !== "resolved";

export function start() {
  bar = document.getElementById("select");
  if (!bar) return;
  words = JSON.parse(document.getElementById("select-words").textContent);
  bar.addEventListener("click", ({ target }) => barClicked(target.closest("button")));
  bar.querySelector("[data-menu=assign]").addEventListener("toggle", ({ target }) => target.open && people());
  document.addEventListener("click", rowClicked, { capture: true });
  document.addEventListener("keydown", escaped, { capture: true });
  document.addEventListener("lm:row", ({ detail }) => heard(detail.row, detail.belongs));
  document.addEventListener("lm:list", stillThere);
  document.addEventListener("lm:counts", show);
  document.querySelector("[data-select-mode]")?.addEventListener("click", pick);
  new MutationObserver(paint).observe(document.getElementById("feed").parentElement, { childList: true, subtree: true });
  followPresses();
  paint(); // the boxes that the browser kept
}

// --- choosing --------------------------------------------------------------------------------------------------------

function set(row, on) {
  if (!open(row)) return;
  if (on) chosen.add(row.dataset.id);
  else chosen.delete(row.dataset.id);
}

function toggle(row) {
  if (!open(row) || running) return;
  begin();
  set(row, !chosen.has(row.dataset.id));
  anchor = row.dataset.id;
  changed();
}

// What the last act said has been read.
function begin() {
  note = "";
  if (result) result.text = "";
}

// From the row that was chosen last to this one.
function range(row) {
  const all = rows();
  const from = all.findIndex((one) => one.dataset.id === anchor);
  if (from < 0) return toggle(row);
  if (running) return;
  begin();
  const [first, last] = [from, all.indexOf(row)].sort((a, b) => a - b);
  for (const one of all.slice(first, last + 1)) set(one, true);
  changed();
}

let gathering = null; // the list of ids that is on its way
function all() {
  gathering ??= gather().finally(() => { gathering = null; });
}

async function gather() {
  let answer;
  try {
    answer = await listed();
  } catch {
    return toast(common.failed);
  }
  begin();
  for (const id of answer.ids) chosen.add(id);
  if (answer.total > answer.most) note = fill(words.capped, { n: answer.most, total: answer.total });
  changed();
}

// The ids that this list has, shown or not.
async function listed() {
  const answer = await fetch(`/bulk${page.search}`, { headers: { Accept: "application/json" }, redirect: "manual" });
  if (!answer.ok) throw new Error(String(answer.status));
  return answer.json();
}

function none() {
  const inside = bar.contains(document.activeElement);
  chosen.clear();
  picking = false;
  begin();
  changed();
  if (inside) document.querySelector(`#row-${anchor || "none"} [data-key=open], #feed .is-cursor [data-key=open]`)?.focus();
}

function pick() {
  begin();
  picking = true;
  document.getElementById("filters").classList.remove("is-open");
  changed();
}

// A row came: what is over, or has left this list, is chosen no longer.
function heard(row, belongs) {
  if (!chosen.has(row.dataset.id) || (open(row) && belongs)) return;
  chosen.delete(row.dataset.id);
  changed();
}

// The list was loaded anew: what is chosen and not shown may be gone.
async function stillThere() {
  if (!chosen.size || running || [...chosen].every((id) => document.getElementById(`row-${id}`))) return;
  try {
    const { ids, total, most } = await listed();
    if (total > most || running) return;
    const there = new Set(ids);
    for (const id of chosen) if (!there.has(id) && !document.getElementById(`row-${id}`)) chosen.delete(id);
    changed();
  } catch {
    // the act itself will say what is gone
  }
}

// --- what is hit -----------------------------------------------------------------------------------------------------

function rowClicked(event) {
  const row = event.target.closest("#feed .lm-row");
  if (!row) return;
  const box = event.target.closest(".lm-pick");
  const spare = !event.target.closest(".btn, summary") && open(row);
  if (!box && !(spare && (event.shiftKey || picking))) return;
  if (!box) event.preventDefault();
  event.stopPropagation();
  if (event.shiftKey) range(row);
  else toggle(row);
}

function escaped(event) {
  if (event.key !== "Escape" || bar.hidden || running || event.target.matches("[data-key=search]")) return;
  if (document.querySelector("details.lm-menu[open], .is-open, dialog[open], :popover-open")) return; // these close first
  none();
}

// A long press chooses; the click, and the menu that a browser would show, do not follow.
function followPresses() {
  let timer = 0;
  let at = null;
  const stop = () => clearTimeout(timer);
  document.addEventListener("pointerdown", (event) => {
    stop();
    const row = event.target.closest("#feed .lm-row");
    if (event.pointerType !== "touch" || !row || event.target.closest(".btn, .lm-pick")) return;
    at = event;
    timer = setTimeout(() => {
      const now = document.getElementById(row.id);
      if (!open(now)) return;
      picking = true;
      toggle(now);
      addEventListener("click", swallow, { capture: true, once: true });
      setTimeout(() => removeEventListener("click", swallow, { capture: true }), 1000);
    }, 500);
  });
  document.addEventListener("pointermove", (event) => {
    if (at && Math.hypot(event.clientX - at.clientX, event.clientY - at.clientY) > 10) stop();
  });
  for (const end of ["pointerup", "pointercancel", "scroll"]) document.addEventListener(end, stop, { passive: true });
  document.addEventListener("contextmenu", (event) => {
    if (picking && event.target.closest("#feed .lm-row")) event.preventDefault();
  });
}

function swallow(event) {
  event.preventDefault();
  event.stopPropagation();
}

// Whether this key was meant for what is chosen.
export function keyed(key, row) {
  if (!bar) return false;
  const some = (chosen.size > 0 || gathering) && !running && !shown(); // an alert over the board has these keys
  const keys = {
    x: row && (() => toggle(row)),
    X: row && (() => range(row)),
    "*": all,
    z: undoable() && undo,
    t: some && (() => perform({ verb: "take" })),
    r: some && (() => perform({ verb: "resolve" })),
    s: some && (() => openMenu("snooze")),
    i: some && (() => openMenu("assign")),
  };
  keys[key]?.call?.();
  return Boolean(keys[key]);
}

async function openMenu(name) {
  const menu = bar.querySelector(`[data-menu=${name}]`);
  menu.querySelector("summary").focus();
  menu.open = true;
  if (name === "assign") await people();
  menu.querySelector(".lm-menu-list button")?.focus();
}

// Opening the menu asks for them, and so does the key that opens it: one answer, which keeps the focus.
let asking = null;
function people() {
  asking ??= loadPeople().finally(() => { asking = null; });
  return asking;
}

async function loadPeople() {
  const list = bar.querySelector("[data-people]");
  try {
    list.innerHTML = await (await post("/bulk/people", [...chosen].map((id) => ["id", id]))).text();
  } catch (error) {
    toast(error.message);
  }
}

function barClicked(button) {
  if (!button) return;
  const { verb, until, ssoId, to } = button.dataset;
  if (verb) perform({ verb, ...(until && { until }), ...(ssoId && { sso_id: ssoId }) }, to);
  else if (button.matches("[data-select-all]")) all();
  else if (button.matches("[data-undo]")) undo();
  else if (button.matches("[data-stop]")) running.stopped = true;
  else if (button.matches("[data-select-none]")) none();
}

// --- acting ----------------------------------------------------------------------------------------------------------

const undoable = () => result?.done.length > 0 && result.verb !== "undo" && performance.now() - result.at < UNDO_WITHIN;

async function perform(values, name = "") {
  await gathering;
  return act([...chosen].map((id) => [id, ""]), values, name);
}

function undo() {
  return act(result.done, { verb: "undo" });
}

// `sent`: [id, mark] of each alert.
async function act(sent, values, name = "") {
  if (running || !sent.length) return;
  for (const menu of bar.querySelectorAll("details[open]")) menu.open = false;
  const inside = bar.contains(document.activeElement);
  const done = [];
  const refused = [];
  let trouble = "";
  running = { n: 0, total: sent.length, stopped: false };
  while (running.n < sent.length && !running.stopped && !trouble) {
    show();
    const part = sent.slice(running.n, running.n + AT_ONCE);
    const pairs = part.flatMap(([id, mark]) => [["id", id], ["mark", mark]]);
    try {
      const answer = await (await post("/bulk", [...Object.entries(values), ...pairs])).json();
      done.push(...answer.done);
      refused.push(...answer.refused);
      running.n += part.length;
      for (const [id] of part) chosen.delete(id);
    } catch (error) {
      trouble = error.message;
    }
  }
  const left = sent.length - running.n;
  running = null;
  const undoLeft = values.verb === "undo" && left > 0;
  result = { verb: undoLeft ? result.verb : values.verb, done: undoLeft ? sent.slice(-left) : done, at: performance.now() };
  result.text = tell(values.verb, name, done.length, refused, undoLeft ? 0 : left, trouble);
  if (!chosen.size) picking = false;
  changed();
  if (inside) bar.querySelector("[data-undo]:not([hidden]), [data-select-none]").focus();
}

// "28 taken; 2 were already taken by Bayu: Ibu Sari, Pak Dedi."
function tell(verb, name, n, refused, left, trouble) {
  const said = [];
  if (n || !(refused.length || trouble)) said.push(fill(words[verb], { n, name }));
  for (const why of new Set(refused.map((one) => one.why[1]))) {
    const some = refused.filter((one) => one.why[1] === why);
    const names = some.slice(0, ROOMS_NAMED).map((one) => one.room);
    if (some.length > ROOMS_NAMED) names.push(fill(words.more, { n: some.length - ROOMS_NAMED }));
    said.push(fill(words.rooms, { why: fill(some.length === 1 ? some[0].why[0] : why, { n: some.length }), rooms: names.join(", ") }));
  }
  if (left) said.push(fill(words.left, { n: left }));
  const text = said.join("; ");
  return `${trouble ? `${trouble} ` : ""}${text}${text && !text.endsWith(".") ? "." : ""}`; // a name may end in one
}

// --- what is shown -----------------------------------------------------------------------------------------------------

function changed() {
  paint();
  show();
}

function paint() {
  for (const row of document.querySelectorAll("#feed .lm-row")) {
    const on = chosen.has(row.dataset.id);
    if (row.classList.contains("is-selected") !== on) row.classList.toggle("is-selected", on);
    const box = row.querySelector(".lm-pick");
    if (box && box.checked !== on) box.checked = on;
  }
}

function show() {
  const busy = running !== null;
  document.body.classList.toggle("is-selecting", chosen.size > 0 || picking);
  bar.hidden = !(chosen.size || picking || busy || result?.text);
  document.body.classList.toggle("has-selection", !bar.hidden);
  if (bar.hidden) return;
  const part = (name) => bar.querySelector(`[data-${name}]`);
  part("acts").hidden = busy || !(chosen.size || picking);
  part("undo").hidden = busy || !result?.text || !undoable();
  part("stop").hidden = part("progress").hidden = !busy;
  part("select-none").hidden = busy;
  for (const control of part("acts").querySelectorAll("[data-verb]")) control.disabled = !chosen.size;
  if (busy) {
    part("progress").max = running.total;
    part("progress").value = running.n;
  }
  const here = groups();
  const { tab } = document.getElementById("feed").dataset;
  const n = tab === "all" ? here.waiting + here["on-it"] : (here[tab] ?? 0);
  part("select-all").hidden = part("acts").hidden || n <= chosen.size;
  part("select-all").textContent = fill(words.all, { n });
  const selected = chosen.size || picking ? fill(words.selected, { n: chosen.size }) : "";
  const text = busy ? fill(words.working, { n: running.n, total: running.total }) : [result?.text, note || selected].filter(Boolean).join(" ");
  if (part("said").textContent !== text) part("said").textContent = text;
}

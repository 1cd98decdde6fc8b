// The failure feed: takes rows from the socket, keeps the list right, and moves nothing under a reader.
//
// A row in the list changes in place at once. New rows, and rows that change their group, wait while somebody reads;
// then the whole section is put in anew (a fresh section shifts nothing, so nothing jumps).

import { matches } from "./filters.js";
import { reading, start as watchReader } from "./reader.js";
import { onAnswer } from "./toast.js";
import { fill, now, personalise, setNow, words } from "./words.js";

const GROUPS = ["waiting", "on-it", "resolved"];
const SETTLE_EVERY = 1000; // ms
const HEAD_EVERY = 30_000;
const FADES_AFTER = 15 * 60_000;
const PAUSE = 1000; // ms between two reloads; twice as long after each that follows the one before
const LONGEST_PAUSE = 30_000;
const CALM = 5000; // ms without a need to reload: the pause is short again

let feed; // the section in the page
let asked = {}; // the filters
let sums = {};
let counts = {}; // per group, of what passes the filters
let waiting = 0; // in all my orgs, without the filters
let known = new Map(); // id -> {version, group, counted}
let pending = new Map(); // id -> row that is not in the list yet
let paused = false;
let headDue = HEAD_EVERY;
let overdue = false; // rows that the database no longer shows here leave when nobody reads

export function start(socket) {
  take(believe(document.getElementById("feed")));
  watchReader(() => feed);
  socket.addEventListener("hello", ({ detail }) => hello(detail.orgs));
  socket.addEventListener("rows", ({ detail }) => rows(detail));
  socket.addEventListener("beat", ({ detail }) => !same(detail.orgs, sums) && reload());
  onAnswer(acted);
  document.addEventListener("click", clicked);
  setInterval(settle, SETTLE_EVERY);
}

// A row that the server lists belongs here, even if the script disagrees: so the two never send each other in circles.
function believe(section) {
  for (const row of section.querySelectorAll(".lm-row")) row.dataset.listed = "";
  return section;
}

function take(section) {
  feed = section;
  asked = JSON.parse(section.dataset.asked);
  sums = JSON.parse(section.dataset.checksums);
  const { dataset } = section;
  counts = { waiting: Number(dataset.waiting), "on-it": Number(dataset.onIt), resolved: Number(dataset.resolved) };
  waiting = Number(dataset.totalWaiting);
  setNow(dataset.now);
  for (const row of section.querySelectorAll(".lm-row")) remember(row);
}

function remember(row) {
  const counted = passes(row) && !old(row);
  known.set(row.dataset.id, { version: Number(row.dataset.version), group: row.dataset.group, counted });
}

// --- the socket ---------------------------------------------------------------------------------------------------------

let met = false;
function hello(orgs) {
  if (met || !same(orgs, sums)) reload(); // after a gap always; at first only if the page is not what the hub has
  met = true;
}

function same(theirs, ours) {
  const names = new Set([...Object.keys(theirs), ...Object.keys(ours)]);
  return [...names].every((name) => (theirs[name] ?? "0:0") === (ours[name] ?? "0:0"));
}

function rows({ rows: changed, orgs }) {
  let missed = false;
  for (const [org, { prev, checksum }] of Object.entries(orgs)) {
    missed ||= (sums[org] ?? "0:0") !== prev;
    sums[org] = checksum;
  }
  for (const row of changed) upsert(parse(row.html));
  settle();
  if (missed) reload();
}

function parse(html) {
  return new DOMParser().parseFromString(html, "text/html").querySelector(".lm-row");
}

// --- one row --------------------------------------------------------------------------------------------------------

function upsert(made) {
  const row = document.importNode(made, true);
  const { id } = row.dataset;
  const before = known.get(id);
  const version = Number(row.dataset.version);
  if (before && version < before.version) return;
  count(row, before, version);
  const shown = feed.querySelector(`#row-${id}`);
  remember(row);
  if (shown) replace(shown, row);
  else if (belongs(row) && !feed.dataset.cursor) pending.set(id, row);
  else pending.delete(id);
}

// What the counts become; a row that was never seen and is not new leaves them to the server.
function count(row, before, version) {
  const { group } = row.dataset;
  if (!before && version > 1) headDue = Math.min(headDue, 2000 + Math.random() * 3000);
  else {
    if (before?.counted) counts[before.group] -= 1;
    if (passes(row) && !old(row)) counts[group] += 1;
    waiting += (group === "waiting") - (before?.group === "waiting");
  }
  showCounts();
}

// The row changes in place and keeps its height and focus.
function replace(old, row) {
  const focus = old.contains(document.activeElement) ? document.activeElement.dataset.key || "open" : "";
  if (old.classList.contains("is-cursor")) row.classList.add("is-cursor");
  row.style.height = `${old.getBoundingClientRect().height}px`;
  row.classList.add("is-kept");
  personalise(row);
  old.replaceWith(row);
  window.htmx.process(row);
  if (focus) (row.querySelector(`[data-key=${focus}]`) ?? row.querySelector("[data-key=open]"))?.focus({ preventScroll: true });
}

function passes(row) {
  return row.dataset.listed !== undefined || matches(row, asked);
}

function belongs(row) {
  const { tab } = feed.dataset;
  return passes(row) && (tab === "all" || tab === row.dataset.group);
}

// --- the list ---------------------------------------------------------------------------------------------------------

function misplaced() {
  return [...feed.querySelectorAll(".lm-row")].filter(
    (row) => row.dataset.group !== row.closest(".lm-part").dataset.group || !belongs(row) || faded(row),
  );
}

function old(row) {
  return row.dataset.group === "resolved" && now() + Number(row.dataset.rank) > FADES_AFTER; // its rank is minus its time
}

function faded(row) {
  return feed.dataset.tab === "all" && old(row);
}

// Once a second, and after every frame: show the rows that wait if nobody reads, else say how many wait.
function settle() {
  headDue -= SETTLE_EVERY;
  if (headDue <= 0 && document.visibilityState === "visible") loadHead();
  if (!reading(paused)) {
    const moved = misplaced();
    if (pending.size || moved.length || cramped()) rebuild(moved);
    if (overdue) reload();
  }
  pill();
}

// A row that kept its old height for a reader takes its own height again.
function cramped() {
  return [...feed.querySelectorAll(".is-kept")].some((kept) => {
    const { height } = kept.style;
    kept.style.height = "";
    const natural = kept.getBoundingClientRect().height;
    kept.style.height = height;
    return Math.abs(natural - parseFloat(height)) > 1;
  });
}

function loosen(kept) {
  kept.style.height = "";
  kept.classList.remove("is-kept");
}

// Build a new section with every row in its place, and replace the old one.
function rebuild(moved) {
  if (feed.querySelector("[data-empty]") && pending.size) feed.querySelector("[data-empty]").remove();
  const made = feed.cloneNode(true);
  made.querySelectorAll(".is-kept").forEach(loosen);
  made.querySelectorAll(".lm-row.is-new").forEach((row) => row.classList.remove("is-new"));
  for (const old of moved) {
    const row = made.querySelector(`#row-${old.dataset.id}`);
    row.remove();
    if (belongs(row) && !faded(row)) place(made, row);
  }
  for (const row of pending.values()) {
    row.classList.add("is-new");
    personalise(row);
    place(made, row);
  }
  pending.clear();
  for (const part of made.querySelectorAll(".lm-part")) part.hidden = !part.querySelector(".lm-row");
  put(made);
  if (!made.querySelector(".lm-row")) reload(); // which kind of empty it is now, the server knows
}

function place(section, row) {
  const list = section.querySelector(`.lm-part[data-group="${row.dataset.group}"] .lm-rows`);
  if (!list) return;
  const after = [...list.children].find((other) => Number(other.dataset.rank) > Number(row.dataset.rank));
  list.insertBefore(row, after ?? null);
}

function put(section) {
  feed.replaceWith(section);
  feed = section;
  window.htmx.process(section);
  showCounts();
}

// --- loading --------------------------------------------------------------------------------------------------------

async function part(name) {
  const address = new URL(location.href);
  address.searchParams.set("partial", name);
  const answer = await fetch(address, { headers: { Accept: "text/html" }, redirect: "manual" });
  if (!answer.ok) throw new Error(String(answer.status));
  return new DOMParser().parseFromString(await answer.text(), "text/html").body;
}

// The list as the database has it now. While somebody reads, rows change in place and the rest waits.
let wanted = false;
let busy = false; // one is on its way, or waits for its turn
let spacing = PAUSE;
let notBefore = -Infinity;

function reload() {
  wanted = true;
  if (busy) return;
  busy = true;
  setTimeout(load, Math.max(0, notBefore - performance.now()));
}

async function load() {
  wanted = overdue = false;
  spacing = performance.now() - notBefore > CALM ? PAUSE : Math.min(2 * spacing, LONGEST_PAUSE);
  notBefore = performance.now() + spacing;
  try {
    merge(believe(document.importNode((await part("feed")).querySelector("#feed"), true)));
    if (headDue > 2000) headDue = 2000;
  } catch {
    wanted = true; // the database or the way to it is away; the banner says so
    notBefore = Math.max(notBefore, performance.now() + 3000 + Math.random() * 3000);
  }
  busy = false;
  if (wanted) reload();
}

function merge(fresh) {
  personalise(fresh);
  if (!reading(paused)) {
    known = new Map();
    pending = new Map();
    const cursor = feed.querySelector(".lm-row.is-cursor")?.id;
    feed.replaceWith(fresh);
    take(fresh);
    if (cursor) fresh.querySelector(`#${cursor}`)?.classList.add("is-cursor");
    window.htmx.process(fresh);
    showCounts();
    return;
  }
  const current = feed;
  const there = new Set([...fresh.querySelectorAll(".lm-row")].map((row) => row.dataset.id));
  for (const row of fresh.querySelectorAll(".lm-row")) {
    const shown = current.querySelector(`#row-${row.dataset.id}`);
    if (shown && Number(row.dataset.version) >= Number(shown.dataset.version)) replace(shown, row);
    else if (!shown) pending.set(row.dataset.id, row);
  }
  for (const id of pending.keys()) if (!there.has(id)) pending.delete(id);
  const gone = [...current.querySelectorAll(".lm-row")].some((row) => !there.has(row.dataset.id));
  const { dataset } = fresh;
  Object.assign(current.dataset, { waiting: dataset.waiting, onIt: dataset.onIt, resolved: dataset.resolved });
  Object.assign(current.dataset, { totalWaiting: dataset.totalWaiting, checksums: dataset.checksums, now: dataset.now });
  take(current);
  for (const row of pending.values()) remember(row);
  overdue ||= gone;
  showCounts();
  pill();
}

// Headline and health strip, which rows alone cannot tell. A fresh element in the place of the old one shifts nothing.
async function loadHead() {
  headDue = HEAD_EVERY * (0.8 + Math.random() * 0.4);
  let fresh;
  try {
    fresh = document.importNode(await part("head"), true);
  } catch {
    return; // the next one will do
  }
  const head = document.getElementById("head");
  const made = head.cloneNode(false);
  made.append(...fresh.childNodes);
  personalise(made);
  const { waiting: stored, stored: at } = made.querySelector("[data-waiting]").dataset;
  if (same(JSON.parse(at), sums)) waiting = Number(stored);
  else headDue = 3000; // it knows of changes that are still on their way here, or the other way round
  head.replaceWith(made);
  showCounts();
}

// --- what is said about it --------------------------------------------------------------------------------------------

function pill() {
  const button = feed.querySelector("[data-show-new]");
  const critical = [...pending.values()].filter((row) => row.dataset.severity === "critical").length;
  button.hidden = pending.size === 0;
  if (pending.size) {
    const text = fill(critical ? words.new_critical : words.new, { n: pending.size, k: critical });
    const said = button.querySelector("[data-said]");
    if (said.textContent !== text) said.textContent = text;
  }
  const banner = document.getElementById("paused");
  banner.hidden = !paused;
  if (paused) {
    const some = critical ? words.paused_critical : words.paused_some;
    const text = pending.size ? fill(some, { n: pending.size, k: critical }) : words.paused_none;
    banner.querySelector("[data-said]").textContent = text;
  }
}

function set(element, text) {
  if (element && element.textContent !== String(text)) element.textContent = text;
}

// A badge grows with its number; a fresh one has not moved.
function renew(badge) {
  if (badge.textContent === String(waiting)) return;
  const made = badge.cloneNode(false);
  made.textContent = waiting;
  made.hidden = waiting === 0;
  made.setAttribute("aria-label", fill(words.need, { n: waiting }));
  badge.replaceWith(made);
}

function showCounts() {
  const all = GROUPS.reduce((sum, group) => sum + counts[group], 0);
  for (const tab of document.querySelectorAll("[data-tab] > .lm-num")) {
    const name = tab.parentElement.dataset.tab;
    set(tab, name === "all" ? all : counts[name]);
    if (name === "waiting") tab.classList.toggle("is-hot", counts.waiting > 0);
  }
  for (const group of GROUPS) {
    const said = feed.querySelector(`.lm-part[data-group="${group}"] [data-group-count]`);
    set(said, fill(words.alerts, { n: counts[group] }));
  }
  for (const badge of document.querySelectorAll("[data-waiting-count]")) renew(badge);
  const headline = waiting === 0 ? words.nobody : fill(words.need, { n: waiting });
  set(document.querySelector("[data-headline]"), headline);
  document.title = waiting ? `(${waiting}) ${fill(words.title, { n: waiting })}` : words.title_none;
}

// --- what people do -----------------------------------------------------------------------------------------------------

function clicked(event) {
  if (event.target.closest("[data-show-new]")) {
    rebuild(misplaced());
    pill();
    scrollTo({ top: 0 });
  }
  if (event.target.closest("#pause, [data-resume]")) pause(!paused);
}

function pause(on) {
  paused = on;
  const button = document.getElementById("pause");
  button.setAttribute("aria-pressed", String(on));
  button.setAttribute("aria-label", on ? words.resume : words.pause);
  button.title = on ? words.resume : words.pause;
  button.querySelector("use").setAttribute("href", on ? "#i-player-play" : "#i-player-pause");
  if (!on) rebuild(misplaced());
  pill();
}

// The answer to an act is the fresh row; so is that of a conflict.
function acted(xhr) {
  const row = [200, 409].includes(xhr.status) && parse(xhr.responseText);
  if (row) upsert(row);
}

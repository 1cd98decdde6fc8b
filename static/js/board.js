// The failure feed: takes rows from the socket, keeps the list right, and moves nothing under a reader.
//
// While nobody reads, all that has changed is put in at once. While somebody does, rows change in place and new ones
// wait. Figures are not counted here: they are in counts.js.

import { batched } from "./batched.js";
import * as counts from "./counts.js";
import { matches } from "./filters.js";
import { here as page } from "./here.js";
import { freshly, inReach, keepInPlace, listOf, loosen, parse, partOf, place, precedes, timed, trim } from "./list.js";
import { part, start as watchPages, watch } from "./pages.js";
import { reading, start as watchReader } from "./reader.js";
import { onAnswer } from "./toast.js";
import { fill, now, personalise, setNow, words } from "./words.js";

const SETTLE_EVERY = 1000; // ms
const HEAD_EVERY = 30_000;
const HEAD_SOON = 10_000; // after a change
const FADES_AFTER = 15 * 60_000;
const PAUSE = 1000; // ms between two reloads; twice as long after each that follows the one before
const LONGEST_PAUSE = 30_000;
const CALM = 5000; // ms without a need to reload: the pause is short again
const KEPT = 100; // rows that wait for a reader to leave; of more only the number is kept
const KNOWN = 5000; // alerts whose version is remembered

let feed; // the section in the page
let asked = {}; // the filters
let sums = {};
let known = new Map(); // id -> version
let inbox = new Map(); // id -> HTML of the newest row that came
let changes = new Map(); // id -> row that is to replace the one in the list
let pending = new Map(); // id -> {critical, row}: not in the list yet; the row is null if there were too many
let paused = false;
let headDue = HEAD_EVERY;
let overdue = false; // rows that the database no longer shows here leave when nobody reads
let restUntil = 0;

export function start(socket) {
  watchPages({ section: () => feed, add, ends: moreLinks, journal });
  take(believe(document.getElementById("feed")));
  counts.setAll(JSON.parse(feed.dataset.counts));
  watchReader(() => feed);
  socket.addEventListener("hello", ({ detail }) => hello(detail.orgs));
  socket.addEventListener("rows", ({ detail }) => rows(detail));
  socket.addEventListener("beat", ({ detail }) => !same(detail.orgs, sums) && reload());
  onAnswer(acted);
  document.addEventListener("click", clicked);
  document.addEventListener("lm:counts", () => moreLinks());
  setInterval(settle, SETTLE_EVERY);
}

// A row that the server lists belongs here, even if the script disagrees: so the two never send each other in circles.
function believe(section) {
  for (const row of section.querySelectorAll(".lm-row")) row.dataset.listed = "";
  return section;
}

function take(section) {
  feed = section;
  const { dataset } = section;
  asked = JSON.parse(dataset.asked);
  sums = JSON.parse(dataset.checksums);
  counts.setFilters(asked, JSON.parse(dataset.shown));
  setNow(dataset.now);
  for (const row of section.querySelectorAll(".lm-row")) remember(row);
  watch(section);
}

function remember(row) {
  known.delete(row.dataset.id); // what was heard of last stands last
  known.set(row.dataset.id, Number(row.dataset.version));
  if (known.size > KNOWN) known.delete(known.keys().next().value);
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

// Frames that come while a part of the page is on its way: it may be older than they are.
const frames = [];
let loading = 0;
function journal(open) {
  loading += open ? 1 : -1;
  if (!loading) frames.length = 0;
  return frames;
}

function rows(frame) {
  if (loading) frames.push(frame);
  let missed = false;
  for (const [org, { prev, checksum }] of Object.entries(frame.orgs)) {
    missed ||= (sums[org] ?? "0:0") !== prev;
    sums[org] = checksum;
  }
  for (const row of frame.rows) inbox.set(row.id, row.html);
  headDue = Math.min(headDue, HEAD_SOON * (0.8 + Math.random() * 0.4));
  work();
  if (missed) reload();
}

const work = batched(() => {
  if (inbox.size) add(parse([...inbox.values()].join("")));
  inbox.clear();
  settle();
});

// --- one row --------------------------------------------------------------------------------------------------------

// Rows as they are now. Those of a page that was fetched are listed, as all that the server lists.
function add(made) {
  for (const one of made) {
    const row = document.importNode(one, true);
    const { id } = row.dataset;
    if (Number(row.dataset.version) < (known.get(id) ?? 0)) continue;
    remember(row);
    pending.delete(id);
    document.dispatchEvent(new CustomEvent("lm:row", { detail: { row, belongs: belongs(row) } }));
    if (row.dataset.folds && row.dataset.group !== "resolved" && folds()) reload();
    if (document.getElementById(row.id)) changes.set(id, row);
    else if (belongs(row) && !feed.dataset.cursor && inReach(feed, row)) wait(row);
  }
}

function wait(row) {
  const kept = pending.size < KEPT ? row : null;
  pending.set(row.dataset.id, { critical: row.dataset.severity === "critical", row: kept });
}

function belongs(row) {
  const { tab } = feed.dataset;
  const passes = row.dataset.listed !== undefined || matches(row, asked);
  return passes && (tab === "all" || tab === row.dataset.group) && !faded(row);
}

// Whether an outage that begins folds its rooms here, and the list does not know yet.
function folds() {
  return asked.under === undefined && Object.keys(asked).every((name) => name === "org");
}

function faded(row) {
  const old = row.dataset.group === "resolved" && now() + Number(row.dataset.rank) > FADES_AFTER; // its rank is minus its time
  return feed.dataset.tab === "all" && old;
}

// --- the list ---------------------------------------------------------------------------------------------------------

function misplaced() {
  return [...feed.querySelectorAll(".lm-row")].filter((row) => {
    const before = row.previousElementSibling;
    const elsewhere = row.dataset.group !== row.closest(".lm-part").dataset.group || (before && precedes(row, before));
    return elsewhere || faded(row) || (row.dataset.listed === undefined && !belongs(row));
  });
}

// After every frame, and once a second: put in what has changed if nobody reads, else say how much waits.
function settle() {
  headDue -= SETTLE_EVERY / 2;
  if (headDue <= 0 && document.visibilityState === "visible") loadHead();
  if (reading(paused)) keep();
  else if (performance.now() >= restUntil) {
    const moved = misplaced();
    if (changes.size || pending.size || moved.length || feed.querySelector(".is-kept")) rebuild(moved);
    if (overdue) reload();
  } else afterRest();
  pill();
}

let resting = 0;
function afterRest() {
  clearTimeout(resting);
  resting = setTimeout(work, restUntil - performance.now());
}

function keep() {
  const pairs = [...changes.values()].map((row) => [document.getElementById(row.id), row]).filter(([old]) => old);
  keepInPlace(pairs);
  changes.clear();
}

function rebuild(moved) {
  const fresh = [];
  const put = (row) => {
    personalise(row);
    place(feed, row);
    if (row.parentNode) fresh.push(row);
  };
  restUntil = timed(() => freshly(feed, () => {
    feed.querySelectorAll(".is-kept").forEach(loosen);
    for (const row of feed.querySelectorAll(".lm-row.is-new")) row.classList.remove("is-new");
    for (const [id, row] of changes) {
      feed.querySelector(`#row-${id}`)?.remove();
      if (belongs(row)) put(row);
    }
    for (const row of moved) {
      if (changes.has(row.dataset.id)) continue;
      row.remove();
      if (belongs(row)) place(feed, row);
    }
    for (const { row } of pending.values()) {
      if (row) row.classList.add("is-new");
      if (row) put(row);
      else overdue = true;
    }
    changes.clear();
    pending.clear();
    trim(feed);
    tidy();
  }));
  for (const row of fresh) window.htmx.process(row);
  moreLinks();
}

// A section without rows is hidden; a page without any is told by the server, which knows which kind of empty it is.
function tidy() {
  for (const one of feed.querySelectorAll(".lm-part")) {
    one.hidden = !one.querySelector(".lm-row");
    overdue ||= one.hidden && Boolean(one.dataset.following);
  }
  const rowsLeft = feed.querySelector('.lm-part:not([data-group="snoozed"]) .lm-row') || feed.dataset.tab === "snoozed";
  const empty = feed.querySelector("[data-empty]");
  if (rowsLeft && empty) empty.remove();
  overdue ||= !rowsLeft && !empty;
}

// The links at the ends of groups that are not shown whole.
function moreLinks() {
  const here = counts.groups();
  for (const link of feed.querySelectorAll("[data-more]")) {
    const one = link.closest(".lm-part");
    const { group } = one.dataset;
    const n = Math.max(1, here[group] - one.querySelector(".lm-rows").childElementCount);
    const text = fill(words.show_more, { n });
    if (link.textContent !== text) link.textContent = text;
    link.parentElement.hidden = !one.dataset.following;
    const address = new URL(page);
    address.searchParams.set("tab", group);
    address.searchParams.set("cursor", one.dataset.following);
    if (one.dataset.following && link.href !== address.href) link.href = address.href;
  }
}

// --- loading --------------------------------------------------------------------------------------------------------

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
  const since = journal(true).length;
  try {
    const most = Math.max(...[...feed.querySelectorAll(".lm-rows")].map((list) => list.childElementCount), 50);
    const body = await part({ partial: "feed", limit: most });
    merge(believe(document.importNode(body.querySelector("#feed"), true)), frames.slice(since));
  } catch {
    wanted = true; // the database or the way to it is away; the banner says so
    notBefore = Math.max(notBefore, performance.now() + 3000 + Math.random() * 3000);
  }
  journal(false);
  busy = false;
  if (wanted) reload();
}

function merge(fresh, came) {
  const heard = sums;
  personalise(fresh);
  for (const list of fresh.querySelectorAll(".lm-part")) {
    list.dataset.most = partOf(feed, list.dataset.group)?.dataset.most ?? "";
    if (list.matches("details")) list.open = partOf(feed, list.dataset.group)?.open ?? list.open;
  }
  if (reading(paused)) mergeUnderReader(fresh);
  else {
    known = new Map();
    pending = new Map();
    changes = new Map();
    const cursor = feed.querySelector(".lm-row.is-cursor")?.id;
    feed.replaceWith(fresh);
    take(fresh);
    if (cursor) fresh.querySelector(`#${cursor}`)?.classList.add("is-cursor");
    window.htmx.process(fresh);
  }
  for (const frame of came) replay(frame);
  document.dispatchEvent(new Event("lm:list"));
  if (!same(sums, heard)) counts.setAll(JSON.parse(fresh.dataset.counts));
  counts.show();
  moreLinks();
  if (came.length) work();
}

// What came while the list was on its way goes on from where the list stands; what is older is in it already.
function replay({ rows: changed, orgs }) {
  for (const [org, { prev, checksum }] of Object.entries(orgs)) {
    if ((sums[org] ?? "0:0") !== prev) continue;
    sums[org] = checksum;
    for (const row of changed) if (row.org === org) inbox.set(row.id, row.html);
  }
}

function mergeUnderReader(fresh) {
  const there = new Set([...fresh.querySelectorAll(".lm-row")].map((row) => row.dataset.id));
  const gone = [...feed.querySelectorAll(".lm-row")].some(
    (row) => !there.has(row.dataset.id) && inReach(fresh, row),
  );
  add(fresh.querySelectorAll(".lm-row"));
  keep();
  for (const id of pending.keys()) if (!there.has(id)) pending.delete(id);
  const { dataset } = fresh;
  Object.assign(feed.dataset, { asked: dataset.asked, shown: dataset.shown, checksums: dataset.checksums, now: dataset.now });
  take(feed);
  overdue ||= gone;
  pill();
}

// Headline and health strip, which rows alone cannot tell. A fresh element in the place of the old one shifts nothing.
async function loadHead() {
  headDue = HEAD_EVERY * (0.8 + Math.random() * 0.4);
  let fresh;
  try {
    fresh = document.importNode(await part({ partial: "head" }), true);
  } catch {
    return; // the next one will do
  }
  const head = document.getElementById("head");
  const made = head.cloneNode(false);
  made.append(...fresh.childNodes);
  personalise(made);
  made.querySelector("[data-headline]").replaceWith(head.querySelector("[data-headline]").cloneNode(true));
  made.querySelector(".lm-figures").replaceWith(head.querySelector(".lm-figures").cloneNode(true));
  head.replaceWith(made);
  counts.show();
}

// --- what is said about it --------------------------------------------------------------------------------------------

function pill() {
  const button = feed.querySelector("[data-show-new]");
  const critical = [...pending.values()].filter((one) => one.critical).length;
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
  if (![200, 409].includes(xhr.status)) return;
  add(parse(xhr.responseText));
  settle();
}

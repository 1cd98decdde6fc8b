// Every figure of the page is read from one object: what the feed last said of each org (console/live/counts.py).
//
// Only the tabs and sections under a filter need the server to count; it is asked at most once in 2 s, while visible.

import { batched } from "./batched.js";
import { badge } from "./favicon.js";
import { here as page } from "./here.js";
import { rarely } from "./rarely.js";
import { figure, fill, me, personalise, words } from "./words.js";

const TITLE = document.title; // of a page that is not the board

let orgs = {}; // org -> {open, waiting, snoozed, resolved, severity, holders, customers, longest}
let asked = {}; // the filters of the page
let shown = {}; // group -> rows under these filters, as the server last counted them; and what is folded of each

// Take what the feed says. Whoever wants to know of a change listens to `lm:counts` on the document.
export function follow(feed) {
  for (const all of ["hello", "beat"]) feed.addEventListener(all, ({ detail }) => setAll(detail.counts));
  feed.addEventListener("rows", ({ detail }) => setSome(detail.counts));
}

export function setAll(fresh) {
  const before = JSON.stringify(orgs);
  orgs = fresh;
  if (JSON.stringify(orgs) !== before) changed();
}

function setSome(fresh) {
  orgs = { ...orgs, ...fresh };
  changed();
}

// The filters of a list, and how many rows each group has under them.
export function setFilters(filters, groups) {
  asked = filters;
  shown = groups;
  show();
}

function changed() {
  if (!told()) ask();
  show();
}

// Whether the orgs' own counts tell what the filters leave.
function told() {
  return asked.under === undefined && whole();
}

// Whether no filter hides anything; the rooms of an outage may stand under its row.
function whole() {
  return Object.entries(asked).every(([name, value]) => name === "org" || (name === "under" && value === ""));
}

// The sums over these orgs, by default all that this person sees.
export function total(names = Object.keys(orgs)) {
  const sum = { open: 0, waiting: 0, snoozed: 0, resolved: 0, customers: 0, mine: 0, longest: null, severity: {} };
  for (const name of names) {
    const one = orgs[name];
    if (!one) continue;
    for (const figure of ["open", "waiting", "snoozed", "resolved", "customers"]) sum[figure] += one[figure];
    for (const [severity, n] of Object.entries(one.severity)) sum.severity[severity] = (sum.severity[severity] ?? 0) + n;
    sum.mine += one.holders[me] ?? 0;
    if (one.longest && (!sum.longest || Date.parse(one.longest) < Date.parse(sum.longest))) sum.longest = one.longest;
  }
  sum["on-it"] = sum.open - sum.waiting - sum.snoozed;
  return sum;
}

// How many rows each group of the list has, shown or not.
export function groups() {
  return told() ? unfiltered() : shown;
}

function unfiltered() {
  return total(asked.org ? [asked.org] : undefined);
}

// How many alerts of a group stand under the row of an outage, as the server last counted them.
function folded(group) {
  return told() ? 0 : (shown.folded?.[group] ?? 0);
}

// --- asking the server -----------------------------------------------------------------------------------------------

const ask = rarely(async () => {
  const address = new URL(page);
  address.searchParams.set("partial", "counts");
  const filters = asked;
  const answer = await fetch(address, { headers: { Accept: "application/json" }, redirect: "manual" });
  if (!answer.ok) throw new Error(String(answer.status));
  const fresh = await answer.json();
  if (filters === asked) shown = fresh;
  show();
});

// --- what is said ------------------------------------------------------------------------------------------------------

export const show = batched(() => {
  const here = groups();
  const tabs = whole() ? unfiltered() : here; // as the headline: the rooms of an outage too
  const all = total();
  const board = document.querySelector("[data-headline]");
  const ours = board?.dataset.org ? total([board.dataset.org]) : all; // of the org that is chosen
  const listed = tabs.waiting + tabs["on-it"] + tabs.snoozed + tabs.resolved;
  for (const figure of document.querySelectorAll("[data-count]")) {
    const { count: name } = figure.dataset;
    set(figure, name === "mine" ? ours.mine : name === "all" ? listed : tabs[name]);
    if (name === "waiting") figure.classList.toggle("is-hot", tabs.waiting > 0);
  }
  for (const said of document.querySelectorAll("[data-counted]")) {
    const { counted: group } = said.dataset;
    const n = folded(group);
    const alerts = fill(words.alerts, { n: here[group] });
    set(said, n ? `${alerts}, ${fill(words.more_folded, { n })}` : alerts);
  }
  for (const one of document.querySelectorAll("[data-waiting-count]")) renew(one, all.waiting);
  headline(board, ours.waiting);
  figures(ours);
  badge(all.waiting);
  const title = !board ? TITLE : ours.waiting ? fill(words.title, { n: ours.waiting }) : words.title_none;
  document.title = ours.waiting ? `(${figure(ours.waiting)}) ${title}` : title;
  document.dispatchEvent(new CustomEvent("lm:counts", { detail: all }));
});

// Of a board that has no data yet the page says so itself, until the first alert.
function headline(element, waiting) {
  if (waiting || !document.querySelector(".lm-empty--blind")) element?.removeAttribute("data-none");
  set(element, waiting ? fill(words.need, { n: waiting }) : (element?.dataset.none ?? words.nobody));
}

function set(element, value) {
  const text = figure(value);
  if (element && element.textContent !== text) element.textContent = text;
}

// A badge grows with its number; a fresh one has not moved.
function renew(one, waiting) {
  if (one.textContent === figure(waiting)) return;
  const made = one.cloneNode(false);
  made.textContent = figure(waiting);
  made.hidden = waiting === 0;
  made.setAttribute("aria-label", fill(words.need, { n: waiting }));
  one.replaceWith(made);
}

// The line under the headline; one that says something else is put in anew, so that nothing in it moves.
function figures(all) {
  const line = document.querySelector(".lm-figures:has([data-figure])");
  if (!line) return;
  const made = line.cloneNode(true);
  const customers = made.querySelector("[data-figure=customers]");
  set(customers.querySelector("[data-said]"), all.customers ? fill(words.customers, { n: all.customers }) : words.no_customer);
  customers.querySelector("b").hidden = !all.customers;
  const time = customers.querySelector("time");
  time.toggleAttribute("data-tick", all.longest !== null);
  if (all.longest !== time.getAttribute("datetime")) time.removeAttribute("title");
  if (all.longest) time.dateTime = all.longest;
  else time.removeAttribute("datetime");
  const under = made.querySelector("[data-figure=folded]");
  const n = folded("waiting");
  under.hidden = n === 0;
  set(under, fill(words.folded, { n }));
  const held = made.querySelector("[data-figure=held]");
  held.hidden = all["on-it"] === 0;
  set(held, fill(words.held, { n: all["on-it"] }));
  personalise(made);
  if (!made.isEqualNode(line)) line.replaceWith(made);
}

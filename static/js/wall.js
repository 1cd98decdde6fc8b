// A wall board: hears over its own socket that something changed, loads its list anew, and comes back by itself, for
// weeks. It sends nothing, keeps nothing and follows no redirect.

import { clock, fill, now, personalise, setNow, start as startWords, words } from "./words.js";

const SILENCE = 10_000; // ms in which nothing proved that the list is true: it is called stale
const LOAD_EVERY = 2_000; // at most
const LOAD_LIVE = 30_000; // at least: ages and agents, which no frame tells
const LOAD_ALONE = 10_000; // at least, without a socket
const PATIENCE = 10_000; // for one answer
const FIRST_DELAY = 1_000;
const LONGEST_DELAY = 30_000;
const SETTLED = 10_000; // of a page's life: two versions beside each other make it load again this often at most
const TELEVISION = 1024; // px; on it nobody scrolls

const ticks = () => performance.now(); // a television's clock may be put right at any time
const link = document.getElementById("link");
const banner = document.getElementById("stale");
const time = document.querySelector("#clock time");
let list = document.getElementById("now");
let socket = null;
let opened = false;
let met = false;
let gone = false;
let delay = FIRST_DELAY;
let heard = ticks();
let trueAt = ticks();
let trueTime = now();
let retryAt = null;
let busy = false;
let wanted = false;
let outdated = false;
let notBefore = 0;
let due = ticks() + LOAD_LIVE;

// --- the socket ---------------------------------------------------------------------------------------------------

function open() {
  if (gone) return;
  socket?.close();
  retryAt = null;
  opened = false;
  heard = ticks();
  const address = new URL(`/ws${location.pathname}`, location.href);
  address.protocol = location.protocol === "https:" ? "wss:" : "ws:";
  const made = new WebSocket(address);
  socket = made;
  made.addEventListener("message", ({ data }) => made === socket && hear(JSON.parse(data)));
  made.addEventListener("close", () => made === socket && lose());
}

// After a gap the list is always loaded anew; else only if its sum is not what the feed says.
function hear({ type, sum }) {
  heard = ticks();
  if (type === "hello") {
    if (met) want();
    opened = met = true;
    delay = FIRST_DELAY;
  }
  if (sum === list.dataset.sum) prove();
  else want();
}

// The list tells whether the address is still good; a refused handshake says nothing.
function lose() {
  socket = null;
  opened = false;
  retryAt = ticks() + delay * (0.5 + Math.random());
  delay = Math.min(2 * delay, LONGEST_DELAY);
  want();
}

function prove() {
  trueAt = ticks();
  trueTime = now();
}

// --- the list -----------------------------------------------------------------------------------------------------

function want() {
  wanted = true;
  settle();
}

async function load() {
  busy = true;
  wanted = false;
  notBefore = ticks() + LOAD_EVERY;
  due = ticks() + (opened ? LOAD_LIVE : LOAD_ALONE);
  try {
    await take(await fetch(`${location.pathname}?partial=1`, {
      cache: "no-store", credentials: "omit", redirect: "error", signal: AbortSignal.timeout(PATIENCE),
    }));
  } catch {
    wanted = true; // the service or the way to it is away
  }
  busy = false;
}

async function take(answer) {
  if (answer.status === 404 && answer.headers.get("X-Refused") === "wall") return end();
  if (!answer.ok) throw new Error(String(answer.status));
  const page = new DOMParser().parseFromString(await answer.text(), "text/html");
  const fresh = document.importNode(page.getElementById("now"), true);
  outdated ||= fresh.dataset.assets !== list.dataset.assets;
  setNow(fresh.dataset.now);
  personalise(fresh);
  list.replaceWith(fresh);
  list = fresh;
  prove();
  fit();
}

// The address was revoked: what was shown goes, and nothing is asked any more.
function end() {
  gone = true;
  socket?.close();
  socket = null;
  for (const id of ["top", "stale"]) document.getElementById(id).remove();
  list.replaceWith(document.getElementById("gone").content.cloneNode(true));
  document.title = document.querySelector("h1").textContent;
}

// On a television the rows that do not fit are counted, not cut.
function fit() {
  const rows = [...list.querySelectorAll(".wall-row")];
  const more = list.querySelector("[data-more]");
  if (!more) return;
  for (const row of rows) row.hidden = false;
  let shown = rows.length;
  say(more, shown);
  const root = document.documentElement;
  while (innerWidth >= TELEVISION && shown > 1 && root.scrollHeight > innerHeight) {
    shown -= 1;
    rows[shown].hidden = true;
    say(more, shown);
  }
}

function say(more, shown) {
  const left = Number(list.dataset.open) - shown;
  more.hidden = left <= 0;
  more.textContent = left > 0 ? fill(words.more, { n: left }) : "";
}

// --- what is said about it ------------------------------------------------------------------------------------------

function show() {
  const stale = ticks() - trueAt > SILENCE;
  const state = stale ? "stale" : opened ? "live" : "connecting";
  if (link.dataset.state !== state) {
    link.dataset.state = state;
    link.querySelector("[data-word]").textContent = words[state];
    const icon = { live: "circle-check-f", stale: "plug-connected-x", connecting: "circle-dashed" }[state];
    link.querySelector("use").setAttribute("href", `#i-${icon}`);
    banner.hidden = !stale;
    document.body.classList.toggle("is-stale", stale);
    const said = fill(words.stale_since, { time: clock(new Date(trueTime).toISOString()) });
    banner.querySelector("[data-said]").textContent = stale ? said : "";
    fit();
  }
  const text = clock(new Date(now()).toISOString());
  if (time.textContent !== text) time.textContent = text;
}

// Once a second, and at once when something asks for it.
function settle() {
  if (gone) return;
  const at = ticks();
  if (socket && at - heard > SILENCE) {
    socket.close();
    lose();
  }
  if (!socket && retryAt !== null && at >= retryAt) open();
  if (outdated && at > SETTLED) location.reload();
  if (!busy && at >= notBefore && (wanted || at >= due)) load().then(settle);
}

async function stayAwake() {
  try {
    if (!document.hidden) await navigator.wakeLock?.request("screen");
  } catch {
    // a television that never sleeps needs none
  }
}

startWords();
addEventListener("online", () => !opened && open());
addEventListener("pagehide", () => socket?.close());
addEventListener("pageshow", (event) => event.persisted && open());
addEventListener("resize", fit);
document.addEventListener("visibilitychange", stayAwake);
setInterval(() => {
  settle();
  if (!gone) show();
}, 1000);
stayAwake();
open();
fit();
document.fonts.ready.then(fit);

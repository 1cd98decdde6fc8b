// Words, durations and times in the reader's language and zone. The server wrote a readable fallback already.

import { batched } from "./batched.js";

const root = document.body;
export const words = JSON.parse(document.getElementById("words").textContent);
export const me = root.dataset.me || "";
const twins = root.dataset.twins && JSON.parse(root.dataset.twins); // orgs whose name is not enough
const language = root.dataset.language;
const zone = root.dataset.zone;
const locale = language === "id" ? "id-ID" : "en-GB";
const numbers = new Intl.NumberFormat(locale);

// The database's clock decides; the device's may be wrong.
let ahead = Date.parse(root.dataset.now) - Date.now();
export const now = () => Date.now() + ahead;
export function setNow(iso) {
  const at = Date.parse(iso);
  if (!Number.isNaN(at)) ahead = at - Date.now();
}

// `forms`: a text, or its forms for one and for more; `values.n` chooses.
export function fill(forms, values) {
  const text = typeof forms === "string" ? forms : forms[values.n === 1 ? 0 : 1];
  return text.replace(/\{(\w+)\}/g, (whole, name) => (name in values ? figure(values[name]) : whole));
}

// A number with its separators, 1,234; a text as it is.
export function figure(value) {
  return typeof value === "number" ? numbers.format(value) : value;
}

const two = (number) => String(number).padStart(2, "0");

// 04:38; from an hour on 1 h 05. As `duration` in console/text/wording.py.
export function wait(seconds) {
  const whole = Math.max(0, Math.floor(seconds));
  if (whole < 3600) return `${two(Math.floor(whole / 60))}:${two(whole % 60)}`;
  return fill(words.hours, { hours: Math.floor(whole / 3600), minutes: two(Math.floor((whole % 3600) / 60)) });
}

// 20 s, 5 min, 2 h, 3 days. As `span` in console/text/wording.py.
export function span(seconds) {
  const whole = Math.max(0, Math.floor(seconds));
  if (whole < 60) return fill(words.s, { n: whole });
  if (whole < 3600) return fill(words.min, { n: Math.floor(whole / 60) });
  if (whole < 2 * 86400) return fill(words.h, { n: Math.floor(whole / 3600) });
  return fill(words.days, { n: Math.floor(whole / 86400) });
}

// The browser's list of zones may be older than the server's: a zone it does not know is its offset from UTC.
function knows(timeZone) {
  try {
    return Boolean(new Intl.DateTimeFormat("en", { timeZone }));
  } catch {
    return false;
  }
}
const timeZone = knows(zone) ? zone : "UTC";
const offset = timeZone === zone ? 0 : Number(root.dataset.offset); // minutes

const styles = {
  m: { hour: "2-digit", minute: "2-digit" },
  s: { hour: "2-digit", minute: "2-digit", second: "2-digit" },
  d: { day: "numeric", month: "short", hour: "2-digit", minute: "2-digit" },
  exact: { dateStyle: "medium", timeStyle: offset ? "medium" : "long" },
};
const formats = Object.fromEntries(
  Object.entries(styles).map(([k, v]) => [k, new Intl.DateTimeFormat(locale, { ...v, hour12: false, timeZone })]),
);
const format = (style, iso) => formats[style].format(new Date(Date.parse(iso) + offset * 60_000));

export function clock(iso, style = "m") {
  return format(style, iso).replace(",", "");
}

function exact(iso) {
  const ahead = Math.abs(offset);
  const named = offset ? ` UTC${offset < 0 ? "-" : "+"}${two(Math.floor(ahead / 60))}:${two(ahead % 60)}` : "";
  return format("exact", iso) + named;
}

function write(element, text) {
  if (element.textContent !== text) element.textContent = text;
}

// Digits are all of one width, so only a longer or shorter text can move what stands beside it.
function tick(element, at) {
  const since = (at - Date.parse(element.dateTime)) / 1000;
  const { tick: waits, left } = element.dataset;
  const text = left !== undefined ? wait(Math.max(0, -since)) : waits !== undefined ? wait(since) : fill(words.ago, { span: span(since) });
  element.toggleAttribute("data-long", waits !== undefined && text.length > 5); // 1 h 05, 1 jam 05: no clock any more
  if (element.textContent.length === text.length) write(element, text);
  else renew(element, text);
}

// Then its paragraph is put in anew, as high as before: a fresh element has not moved, and neither has what follows.
function renew(element, text) {
  const block = element.closest("p, .lm-wait, .lm-tile-note");
  if (!block?.isConnected || block.contains(document.activeElement)) return write(element, text);
  const index = [...block.querySelectorAll("time")].indexOf(element);
  const made = block.cloneNode(true);
  made.querySelectorAll("time")[index].textContent = text;
  if (block.matches(".lm-row .lm-why")) {
    made.style.height = `${block.getBoundingClientRect().height}px`;
    made.classList.add("is-kept");
  }
  block.replaceWith(made);
}

function late(element, at) {
  if (!element.classList.contains("lm-row--late") && Date.parse(element.dataset.lateAt) <= at) {
    element.classList.add("lm-row--late");
  }
}

// Make a fragment the reader's own: their name becomes "you", times are in their zone.
export function personalise(scope) {
  for (const name of scope.querySelectorAll("[data-person]")) {
    if (name.dataset.person !== me) continue;
    const yours = name.querySelector("[data-yours]");
    if (yours) {
      yours.hidden = false;
      name.querySelector("[data-theirs]").hidden = true;
    } else write(name, name.dataset.you);
  }
  for (const org of twins ? scope.querySelectorAll("[data-org].lm-meta-org") : []) {
    write(org, twins[org.dataset.org] ?? org.textContent);
  }
  for (const time of scope.querySelectorAll("time[data-clock]")) write(time, clock(time.dateTime, time.dataset.clock));
  for (const time of scope.querySelectorAll("time[datetime]")) {
    if (!time.title) time.title = exact(time.dateTime);
  }
  tickAll(scope);
}

// Of a long list only the clocks on the screen, or nearly, go on: each that changes is laid out anew.
const NEAR = 300; // px
function away(row) {
  const { top, bottom } = row.getBoundingClientRect();
  return bottom < -NEAR || top > innerHeight + NEAR;
}

export function tickAll(scope = document) {
  const at = now();
  const times = scope.querySelectorAll("time[data-tick], time[data-ago], time[data-left]");
  const resting = new Set(scope === document ? [...document.querySelectorAll(".lm-row")].filter(away) : []);
  for (const time of times) if (!resting.has(time.closest(".lm-row"))) tick(time, at);
  if (scope.dataset?.lateAt) late(scope, at);
  for (const row of scope.querySelectorAll("[data-late-at]")) late(row, at);
}

export function start() {
  personalise(document);
  setInterval(() => tickAll(), 1000);
  addEventListener("scroll", batched(() => tickAll()), { passive: true });
}

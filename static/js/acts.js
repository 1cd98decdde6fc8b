// What a person does with an alert, from the press to the answer: it is seen at once, and it is not lost on the way.
//
// An act that got no answer is repeated for 2 min, if it changes nothing when it is done twice; else it is named as not
// done. One that met a log-in is offered after it, to the same person.

import { note, onAnswer } from "./toast.js";
import { fill, me, words } from "./words.js";

const SLOW = 5000; // ms until it is said that an act is still on its way
const PATIENCE = 15_000; // for one answer
const AGAIN_EVERY = 2000;
const GIVEN_UP = 120_000;
const OFFERED = 15 * 60_000; // an older act is not offered any more
const KEPT = "lm-act"; // in the tab's storage: the act that the next page offers
const ADDRESS = /^\/alerts\/([^/]+)\/(\w+)$/;
const REPEATED = ["take", "acknowledge", "resolve", "verdict"]; // nobody loses by these what they got meanwhile
const UNCLEAR = ["comment", "undo"]; // a second one would be another: these are never offered again
const LOST = [0, 502, 503, 504];

const acts = new Map(); // path -> act under way

export function start() {
  document.body.addEventListener("htmx:confirm", (event) => acts.has(event.detail.path) && !due(event.detail) && event.preventDefault());
  document.body.addEventListener("htmx:beforeRequest", ({ detail }) => sent(detail));
  document.body.addEventListener("htmx:afterProcessNode", () => acts.size && acts.forEach(mark));
  document.body.addEventListener("htmx:afterSwap", () => acts.forEach(mark));
  document.addEventListener("click", (event) => event.target.closest("button[aria-busy=true]") && stop(event), { capture: true });
  onAnswer(answered);
  addEventListener("lm:connected", () => acts.forEach((act) => act.waits && repeatNow(act)));
  addEventListener("pagehide", leave);
  offer();
}

// A second press of an act that is under way; its own repetition passes.
const due = ({ path }) => acts.get(path).repeats;

function stop(event) {
  event.preventDefault();
  event.stopImmediatePropagation();
}

// --- under way -----------------------------------------------------------------------------------------------------------

function sent(asked) {
  const { verb: method, path } = asked.requestConfig;
  if (method !== "post" || !ADDRESS.test(path)) return;
  const act = acts.get(path) ?? begin(path, asked);
  Object.assign(act, { asked, waits: false, repeats: false });
  asked.xhr.timeout = PATIENCE;
  mark(act);
}

function begin(path, { requestConfig }) {
  const pressed = requestConfig.triggeringEvent?.submitter ?? requestConfig.elt;
  const [, id, verb] = path.match(ADDRESS);
  const act = {
    path,
    verb,
    value: pressed.value ?? "",
    menu: pressed.closest("details.lm-menu")?.id,
    room: roomOf(id),
    row: pressed.closest(".lm-row") && !pressed.matches("button"),
    begun: Date.now(),
  };
  act.slow = setTimeout(() => { act.note = note(said(act, words.trying)); }, SLOW);
  acts.set(path, act);
  return act;
}

function roomOf(id) {
  return document.querySelector(`#row-${id} .lm-what-title bdi, #alert[data-id="${id}"] h1 bdi`)?.textContent ?? "";
}

const said = ({ verb, room }, text) => fill(text, { act: words.acts[verb] ?? verb, room });

// The feed may have put a fresh row in the place of the one that was pressed.
function mark(act) {
  for (const one of pressed(act)) {
    one.setAttribute("aria-busy", "true");
    one.dataset.act = act.path;
  }
}

function pressed({ path, value, menu, row }) {
  if (row) return document.querySelectorAll(`#row-${path.match(ADDRESS)[1]}`);
  const summary = menu ? `, #${menu} > summary` : "";
  const found = [...document.querySelectorAll(`button[formaction="${path}"], form[action="${path}"] button[type=submit]${summary}`)];
  return found.filter((one) => !one.value || one.value === value);
}

function end(act) {
  clearTimeout(act.slow);
  clearTimeout(act.timer);
  act.note?.remove();
  acts.delete(act.path);
  for (const one of document.querySelectorAll(`[data-act="${act.path}"]`)) {
    one.removeAttribute("aria-busy");
    delete one.dataset.act;
  }
}

// --- answered, or not ------------------------------------------------------------------------------------------------------

function answered(xhr, asked) {
  const act = acts.get(asked.requestConfig.path);
  if (act?.asked !== asked) return;
  asked.kept = LOST.includes(xhr.status) && !UNCLEAR.includes(act.verb);
  if (!asked.kept) {
    end(act);
    if (xhr.status === 401) later(asked);
  } else if (REPEATED.includes(act.verb) && Date.now() - act.begun < GIVEN_UP) {
    act.waits = true;
    act.timer = setTimeout(() => repeatNow(act), AGAIN_EVERY);
  } else {
    end(act);
    ask(kept(act), words.not_done, words.try_again);
  }
}

function repeatNow(act) {
  clearTimeout(act.timer);
  act.waits = false;
  act.repeats = true;
  repeat(act.asked);
}

// As it was asked, but for the token; by the page, if the row that asked has been replaced.
export function repeat({ requestConfig: { verb, path, elt, target, formData }, etc }, headers = {}) {
  const { csrfmiddlewaretoken, ...values } = Object.fromEntries(formData);
  const source = elt.isConnected ? elt : document.getElementById("toasts");
  const swap = etc.swapOverride ?? elt.closest("[hx-swap]")?.getAttribute("hx-swap") ?? "none";
  window.htmx.ajax(verb, path, { source, target, values, swap, headers }).catch(() => {}); // `answered` hears of it
}

// --- on the next page --------------------------------------------------------------------------------------------------------

function kept({ path, verb, room, asked }) {
  const { csrfmiddlewaretoken, ...values } = Object.fromEntries(asked.requestConfig.formData);
  return { path, verb, room, values, me, at: Date.now() };
}

// The session is over: the act is offered after the log-in.
export function later(asked) {
  const { path } = asked.requestConfig;
  const [, id, verb] = path.match(ADDRESS) ?? [];
  if (id) keep({ path, verb, room: roomOf(id), asked }, true);
}

function keep(act, signedOut) {
  sessionStorage.setItem(KEPT, JSON.stringify({ ...kept(act), signedOut }));
}

// Whoever leaves the page is told on the next one what was not done.
function leave() {
  for (const act of acts.values()) {
    if (act.waits) keep(act, false);
    end(act);
  }
}

function offer() {
  const act = JSON.parse(sessionStorage.getItem(KEPT) ?? "null");
  if (!act || !me) return;
  sessionStorage.removeItem(KEPT);
  if (act.me !== me || Date.now() - act.at > OFFERED) return; // never in another person's name
  ask(act, act.signedOut ? words.signed_out_before : words.not_done, act.signedOut ? words.do_now : words.try_again);
}

function ask(act, text, label) {
  note(said(act, text), label, () => {
    const page = document.getElementById("alert");
    const here = page && act.path.startsWith(`/alerts/${page.dataset.id}/`);
    const where = here ? { target: page, swap: "morph:innerHTML" } : { source: document.getElementById("toasts"), swap: "none" };
    window.htmx.ajax("POST", act.path, { ...where, values: act.values }).catch(() => {});
  });
}

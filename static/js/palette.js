// Ctrl+K: pages, what one can do with the alert at hand, and by the server the agents and rooms of one's orgs.

const WAIT = 150; // ms without another letter

let dialog;
let input;
let list;
let acts = []; // the buttons and links of the alert at hand

export function start() {
  dialog = document.getElementById("palette");
  if (!dialog) return;
  input = dialog.querySelector("input");
  list = dialog.querySelector("[role=listbox]");
  document.addEventListener("keydown", (event) => {
    if (event.key.toLowerCase() !== "k" || !(event.ctrlKey || event.metaKey) || event.shiftKey || event.altKey) return;
    event.preventDefault();
    open();
  });
  for (const button of document.querySelectorAll("[data-show-palette]")) button.addEventListener("click", open);
  input.addEventListener("input", typed);
  input.addEventListener("keydown", keyed);
  list.addEventListener("click", ({ target }) => choose(target.closest("[role=option]")));
  dialog.addEventListener("click", ({ target }) => target === dialog && dialog.close());
}

function open() {
  if (dialog.open) return dialog.close();
  const about = document.getElementById("alert-head") ?? document.querySelector("#feed .lm-row.is-cursor");
  acts = [...(about?.querySelectorAll("[data-key]:not([data-key=open])") ?? [])].filter((one) => one.checkVisibility());
  input.value = "";
  dialog.showModal();
  input.focus();
  fill();
}

const options = () => [...list.querySelectorAll("[role=option]")];

// What is known without asking, as far as it has this text in it.
function fill() {
  const known = dialog.querySelector("template").content.cloneNode(true);
  const [first, pages] = known.querySelectorAll("[data-kind]");
  acts.forEach((act, at) => {
    const made = document.createElement("li");
    made.role = "option";
    made.ariaSelected = "false";
    made.dataset.act = at;
    made.textContent = act.textContent.trim();
    pages.before(made);
  });
  const text = input.value.trim().toLowerCase();
  for (const one of known.querySelectorAll("[role=option]")) if (!one.textContent.toLowerCase().includes(text)) one.remove();
  for (const head of [first, pages]) if (!head.nextElementSibling?.matches("[role=option]")) head.remove();
  list.replaceChildren(known);
  add("");
}

// What the server finds comes behind it: who has moved the mark meanwhile keeps it where it is.
function add(found) {
  list.insertAdjacentHTML("beforeend", found);
  const all = options();
  all.forEach((one, at) => { one.id = `palette-${at}`; });
  dialog.querySelector("[data-none]").hidden = all.length > 0;
  mark(all.find((one) => one.ariaSelected === "true") ?? all[0]);
}

function mark(option) {
  for (const one of options()) one.ariaSelected = String(one === option);
  if (option) input.setAttribute("aria-activedescendant", option.id);
  else input.removeAttribute("aria-activedescendant");
  option?.scrollIntoView({ block: "nearest" });
}

let timer = 0;
let asking = new AbortController();
function typed() {
  fill();
  clearTimeout(timer);
  asking.abort();
  if (input.value.trim()) timer = setTimeout(ask, WAIT);
}

async function ask() {
  asking = new AbortController();
  try {
    const address = `/palette?${new URLSearchParams({ q: input.value })}`;
    const answer = await fetch(address, { headers: { Accept: "text/html" }, redirect: "manual", signal: asking.signal });
    if (answer.ok) add(await answer.text());
  } catch {
    // another letter came, or the service is away: pages and acts are there
  }
}

function keyed(event) {
  const all = options();
  const at = all.findIndex((one) => one.ariaSelected === "true");
  const to = { ArrowDown: (at + 1) % all.length, ArrowUp: (at - 1 + all.length) % all.length }[event.key];
  if (event.key === "Enter") choose(all[at]);
  else if (to === undefined) return;
  else mark(all[to]);
  event.preventDefault();
}

function choose(option) {
  if (!option) return;
  dialog.close();
  if (option.dataset.href) location.assign(option.dataset.href);
  else acts[option.dataset.act].click();
}

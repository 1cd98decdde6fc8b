// Ctrl+K: pages, what one can do with the alert at hand, and by the server the agents and rooms of one's orgs.

const WAIT = 150; // ms without another letter
const MENU = ".lm-side a[title]:not([data-views-menu] a)"; // whatever page the menu leads to, the palette does

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
  expect(false);
  dialog.showModal();
  input.focus();
  fill();
}

const options = () => [...list.querySelectorAll("[role=option]")];

// What is known without asking, as far as it has this text in it.
function fill() {
  const known = dialog.querySelector("template").content.cloneNode(true);
  const [first, pages] = known.querySelectorAll("[data-kind]");
  acts.forEach((act, at) => pages.before(option(act.textContent.trim(), { act: at })));
  pages.after(...[...document.querySelectorAll(MENU)].map((link) => option(link.title, { href: link.href })));
  const text = input.value.trim().toLowerCase();
  for (const one of known.querySelectorAll("[role=option]")) if (!one.textContent.toLowerCase().includes(text)) one.remove();
  for (const head of [first, pages]) if (!head.nextElementSibling?.matches("[role=option]")) head.remove();
  list.replaceChildren(known);
  add("");
}

function option(text, data) {
  const made = document.createElement("li");
  made.role = "option";
  made.ariaSelected = "false";
  made.textContent = text;
  Object.assign(made.dataset, data);
  return made;
}

// What the server finds comes behind it: who has moved the mark meanwhile keeps it where it is.
function add(found) {
  list.insertAdjacentHTML("beforeend", found);
  const all = options();
  all.forEach((one, at) => { one.id = `palette-${at}`; });
  dialog.querySelector("[data-none]").hidden = all.length > 0 || waiting;
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
let waiting = false; // for what the server finds
let entered = false; // before it came, while there was nothing else to choose
function typed() {
  expect(input.value.trim() !== "");
  fill();
  if (waiting) timer = setTimeout(ask, WAIT);
}

function expect(more) {
  clearTimeout(timer);
  asking.abort();
  waiting = more;
  entered = false;
}

async function ask() {
  const mine = (asking = new AbortController());
  let found = "";
  try {
    const address = `/palette?${new URLSearchParams({ q: input.value })}`;
    const answer = await fetch(address, { headers: { Accept: "text/html" }, redirect: "manual", signal: mine.signal });
    if (answer.ok) found = await answer.text();
  } catch {
    // the service is away: pages and acts are there
  }
  if (mine.signal.aborted) return; // another letter came
  waiting = false;
  add(found);
  if (entered && dialog.open) choose(options()[0]);
  entered = false;
}

function keyed(event) {
  const all = options();
  const at = all.findIndex((one) => one.ariaSelected === "true");
  const to = { ArrowDown: (at + 1) % all.length, ArrowUp: (at - 1 + all.length) % all.length }[event.key];
  if (event.key === "Enter" && at < 0) entered = waiting;
  else if (event.key === "Enter") choose(all[at]);
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

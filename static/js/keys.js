// j k Enter o a t / ?  on the board and on an alert.

const typing = (target) => target.closest("input, select, textarea, [contenteditable], dialog");

function cursor() {
  return document.querySelector("#feed .lm-row.is-cursor");
}

// The lists that show their rows.
function lists() {
  return [...document.querySelectorAll("#feed .lm-part:not([hidden], details:not([open])) .lm-rows")];
}

const edge = (list, step) => (step > 0 ? list?.firstElementChild : list?.lastElementChild);

function beside(row, step) {
  const near = step > 0 ? row.nextElementSibling : row.previousElementSibling;
  const all = lists();
  return near ?? edge(all[all.indexOf(row.parentElement) + step], step);
}

function move(step) {
  const from = cursor();
  const next = from ? beside(from, step) : edge(lists()[0], 1);
  if (!next) return;
  from?.classList.remove("is-cursor");
  next.classList.add("is-cursor");
  next.querySelector("[data-key=open]").focus({ preventScroll: true });
  next.scrollIntoView({ block: "nearest" });
}

function current() {
  return cursor() ?? document.getElementById("alert-head");
}

function press(key) {
  current()?.querySelector(`[data-key=${key}]`)?.click();
}

function acknowledge() {
  const row = cursor();
  if (!row) return press("acknowledge");
  if (row.dataset.state === "open") window.htmx.ajax("POST", `/alerts/${row.dataset.id}/acknowledge`, { source: row, swap: "none" });
}

export function showKeys() {
  document.getElementById("keys").showModal();
}

const KEYS = {
  j: () => move(1),
  k: () => move(-1),
  o: () => press("room"),
  t: () => press("take"),
  a: acknowledge,
  "?": showKeys,
  "/": (event) => {
    event.preventDefault();
    document.querySelector("[data-key=search]")?.focus();
  },
};

export function start() {
  document.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey || event.repeat || typing(event.target)) return;
    if (event.key === "Enter" && event.target === document.body) press("open");
    else KEYS[event.key]?.(event);
  });
  for (const button of document.querySelectorAll("[data-show-keys]")) button.addEventListener("click", showKeys);
  document.addEventListener("focusin", (event) => {
    const row = event.target.closest("#feed .lm-row");
    const marked = cursor();
    if (marked && marked !== row) marked.classList.remove("is-cursor");
  });
}

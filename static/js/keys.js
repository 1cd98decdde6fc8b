// j k Enter o a t / ?  on the board and on an alert.

const typing = (target) => target.closest("input, select, textarea, [contenteditable], dialog");

function rows() {
  return [...document.querySelectorAll("#feed .lm-row")].filter((row) => row.offsetParent !== null);
}

function cursor() {
  return document.querySelector("#feed .lm-row.is-cursor");
}

function move(step) {
  const all = rows();
  if (!all.length) return;
  const at = all.indexOf(cursor());
  const next = all[at < 0 ? 0 : Math.min(all.length - 1, Math.max(0, at + step))];
  cursor()?.classList.remove("is-cursor");
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

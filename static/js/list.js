// The rows in the page: where one stands, how one changes without moving another, how many there are at most.

import { personalise } from "./words.js";

export const SHOWN = 50; // rows of a group, until one scrolls
export const SCROLLED = 400; // rows of a group that the page may hold

// Many rows at once: one parse for all.
export function parse(html) {
  const made = document.createElement("template");
  made.innerHTML = html;
  return [...made.content.querySelectorAll(".lm-row")];
}

export const partOf = (section, group) => section.querySelector(`.lm-part[data-group="${group}"]`);
export const listOf = (section, group) => partOf(section, group)?.querySelector(".lm-rows");

// The open alerts of a list, in its order.
export const idsOf = (root) => [...root.querySelectorAll(".lm-row:not([data-state=resolved])")].map((row) => row.dataset.id);

// The next or previous open alert, and the order to go on in: one that has left the list is where it stood in `before`.
export function neighbour(here, open, before, step) {
  const order = open.includes(here) ? open : before;
  const at = order.indexOf(here);
  const there = step > 0 ? order.slice(at + 1) : order.slice(0, Math.max(at, 0)).reverse();
  const next = there.find((id) => open.includes(id)) ?? (at < 0 ? open[0] : undefined);
  return { next, order: order.includes(next) ? order : open };
}

// Does this row come before the other in their group?
export function precedes(row, other) {
  const difference = Number(row.dataset.rank) - Number(other.dataset.rank);
  return difference < 0 || (difference === 0 && row.dataset.id < other.dataset.id);
}

// Whether the list may show this row: after its last row come others, unless the list is whole.
export function inReach(section, row) {
  const part = partOf(section, row.dataset.group);
  if (!part) return false;
  const last = part.querySelector(".lm-rows").lastElementChild;
  return !part.dataset.following || (last !== null && precedes(row, last));
}

export function place(section, row) {
  if (!inReach(section, row)) return;
  const list = listOf(section, row.dataset.group);
  let next = null; // what stands after it: most new rows come last, so look from the end
  for (let at = list.lastElementChild; at && precedes(row, at); at = at.previousElementSibling) next = at;
  list.insertBefore(row, next);
}

// No more rows than one has scrolled to: the page stays light however many alerts are open.
export function trim(section) {
  for (const part of section.querySelectorAll(".lm-part")) {
    const list = part.querySelector(".lm-rows");
    const most = Number(part.dataset.most || SHOWN);
    while (list.childElementCount > most) {
      list.lastElementChild.remove();
      part.dataset.following = cursor(list.lastElementChild);
    }
  }
}

// The place after a row, as `Order.cursor` of orgs/paging.py makes it.
export function cursor(row) {
  return btoa(JSON.stringify(["after", row.dataset.rank, row.dataset.id])).replaceAll("+", "-").replaceAll("/", "_").replaceAll("=", "");
}

// Rows change in place, and keep their height and focus. One that is not laid out has no height to keep.
export function keepInPlace(pairs) {
  const laidOut = (row) => row.firstElementChild.checkVisibility({ contentVisibilityAuto: true });
  const heights = pairs.map(([old]) => (laidOut(old) ? `${old.getBoundingClientRect().height}px` : ""));
  pairs.forEach(([old, row], n) => {
    const focus = old.contains(document.activeElement) ? document.activeElement.dataset.key || "open" : "";
    row.classList.toggle("is-cursor", old.classList.contains("is-cursor"));
    row.style.height = heights[n];
    row.classList.add("is-kept");
    personalise(row);
    old.replaceWith(row);
    window.htmx.process(row);
    if (focus) (row.querySelector(`[data-key=${focus}]`) ?? row.querySelector("[data-key=open]"))?.focus({ preventScroll: true });
  });
}

export function loosen(kept) {
  kept.style.height = "";
  kept.classList.remove("is-kept");
}

// Change an element out of the page: what comes back is laid out anew, so that nothing in it counts as moved.
export function freshly(element, change) {
  const mark = document.createComment("");
  element.replaceWith(mark);
  change();
  mark.replaceWith(element);
}

// How long the list wants to rest after such a change, so that it takes no more than a sixth of the time.
export function timed(change) {
  const begun = performance.now();
  change();
  document.body.getBoundingClientRect();
  return performance.now() + 5 * (performance.now() - begun);
}


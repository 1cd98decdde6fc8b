// The rest of a group, page by page: fetched when its end comes near, or when its link is clicked.

import { here } from "./here.js";
import { freshly, listOf, parse, partOf, SCROLLED, SHOWN } from "./list.js";
import { personalise } from "./words.js";

const NEAR = "0px 0px 800px 0px"; // below the screen

let board; // {section: () => the feed in the page, add: (rows) => void, ends: () => void, journal: (open) => frames}
const observer = new IntersectionObserver((entries) => {
  for (const { isIntersecting, target } of entries) if (isIntersecting) more(target);
}, { rootMargin: NEAR });

export function start(made) {
  board = made;
  document.addEventListener("click", (event) => {
    const link = event.target.closest("#feed [data-more]");
    if (!link || event.ctrlKey || event.metaKey || event.shiftKey || full(link)) return;
    event.preventDefault();
    more(link);
  });
}

// Follow the links of this section.
export function watch(section) {
  observer.disconnect();
  for (const link of section.querySelectorAll("[data-more]")) observer.observe(link);
}

// A part of this page as the server has it now.
export async function part(parameters) {
  const address = new URL(here);
  for (const [name, value] of Object.entries(parameters)) address.searchParams.set(name, value);
  const answer = await fetch(address, { headers: { Accept: "text/html" }, redirect: "manual" });
  if (!answer.ok) throw new Error(String(answer.status));
  return new DOMParser().parseFromString(await answer.text(), "text/html").body;
}

// From here on the link leads to a page of its own.
function full(link) {
  return link.closest(".lm-part").querySelector(".lm-rows").childElementCount >= SCROLLED;
}

let fetching = null; // one page at a time
function more(link) {
  const { group, following } = link.closest(".lm-part").dataset;
  if (full(link) || !following) return fetching;
  fetching ??= fetchOn(group, following).finally(() => (fetching = null));
  return fetching;
}

async function fetchOn(group, following) {
  const frames = board.journal(true);
  const since = frames.length;
  try {
    const body = await part({ partial: "feed", tab: group, cursor: following });
    append(group, following, partOf(body, group));
    for (const { rows } of frames.slice(since)) board.add(parse(rows.map((row) => row.html).join("")));
    board.ends();
    setTimeout(() => watch(board.section())); // an end that came near meanwhile, or still is, is told of once more
  } catch {
    // the next time that its end comes near
  }
  board.journal(false);
}

// Fetch on, group by group, until this row is there.
export async function reach(id) {
  for (const { dataset: { group } } of board.section().querySelectorAll(".lm-part")) {
    let from = "";
    while (!document.getElementById(id)) {
      await fetching;
      const part = partOf(board.section(), group);
      if (!part?.dataset.following || part.dataset.following === from) break;
      from = part.dataset.following;
      await more(part.querySelector("[data-more]"));
    }
  }
}

function append(group, following, page) {
  const section = board.section();
  const part = partOf(section, group);
  if (!page || !part || part.dataset.following !== following) return; // the list has changed meanwhile
  const list = listOf(section, group);
  const fresh = [...page.querySelectorAll(".lm-row")].filter((row) => !document.getElementById(row.id));
  for (const row of fresh) {
    row.dataset.listed = "";
    personalise(row);
    list.append(row);
    window.htmx.process(row);
  }
  part.dataset.following = page.dataset.following;
  part.dataset.most = Math.max(SHOWN, list.childElementCount);
  for (let next = part.nextElementSibling; next; next = next.nextElementSibling) {
    if (!next.contains(document.activeElement)) freshly(next, () => {}); // it makes room without counting as moved
  }
  board.add(fresh);
}

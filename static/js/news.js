// New alerts are told on every page: to who listens to a screen reader, and as this browser's person wants it.

import { alarm } from "./alarms.js";
import { fill, words } from "./words.js";

const GATHERED = 1000; // ms: of many at once only the number is said
const LINES = 5; // that the log keeps

const log = document.getElementById("news");
let waiting = [];

export function start(feed) {
  feed.addEventListener("rows", ({ detail }) => {
    for (const one of detail.news) alarm(one);
    const critical = detail.news.filter((one) => one.severity === "critical");
    if (critical.length && !waiting.length) setTimeout(tell, GATHERED);
    waiting.push(...critical);
  });
}

function tell() {
  const line = document.createElement("p");
  line.textContent = waiting.length === 1 ? fill(words.news, waiting[0]) : fill(words.news_many, { n: waiting.length });
  waiting = [];
  log.append(line);
  while (log.childElementCount > LINES) log.firstElementChild.remove();
}

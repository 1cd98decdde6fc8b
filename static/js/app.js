// Starts what the page has.

import { start as acts } from "./acts.js";
import { start as alarms } from "./alarms.js";
import { start as alert } from "./alert.js";
import { start as board } from "./board.js";
import { start as copy } from "./copy.js";
import { follow as count } from "./counts.js";
import { start as drawer } from "./drawer.js";
import { start as keys } from "./keys.js";
import { start as menus } from "./menus.js";
import { start as news } from "./news.js";
import { start as once } from "./once.js";
import { start as select } from "./select.js";
import { start as session } from "./session.js";
import { start as palette } from "./palette.js";
import { Feed } from "./socket.js";
import { start as tests } from "./tests.js";
import { start as toasts } from "./toast.js";
import { start as views } from "./views.js";
import { me, personalise, start as words } from "./words.js";

words();
acts(); // before the toasts: it says of which answers it takes care
toasts();
session();
menus();
copy();
keys();
palette();
select();
once();
tests();
document.body.addEventListener("htmx:load", (event) => personalise(event.detail.elt));
alarms();
if (me) {
  const feed = new Feed();
  count(feed);
  news(feed);
  const list = document.getElementById("feed");
  if (list || document.getElementById("alert")) alert(feed); // over a list one opens too
  if (list) {
    board(feed);
    drawer();
  }
  views();
  feed.start();
}
// Until here the page counts as dead: if any file fails to load, its banner says so after a few seconds (live.css).
if (window.htmx) document.documentElement.dataset.alive = "true";

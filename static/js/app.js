// Starts what the page has.

import { start as alert } from "./alert.js";
import { start as board } from "./board.js";
import { start as copy } from "./copy.js";
import { start as keys } from "./keys.js";
import { start as menus } from "./menus.js";
import { start as once } from "./once.js";
import { Feed } from "./socket.js";
import { start as tests } from "./tests.js";
import { start as toasts } from "./toast.js";
import { personalise, start as words } from "./words.js";

words();
toasts();
menus();
copy();
keys();
once();
tests();
document.body.addEventListener("htmx:load", (event) => personalise(event.detail.elt));
if (document.getElementById("feed")) board(new Feed());
if (document.getElementById("alert")) alert(new Feed());

// An alert's page loads its part again when the feed sends this alert, and every few seconds while a push is on its way.

import { fill, me, personalise, words } from "./words.js";

const PUSHES_EVERY = 3000; // ms, while somebody is still being told

const list = new Intl.ListFormat(document.documentElement.lang);

export function start(feed) {
  const shown = () => document.getElementById("alert"); // in a drawer it comes and goes
  let sums = JSON.parse(shown()?.dataset.checksums || "{}");
  const refresh = () => shown() && window.htmx.trigger(shown(), "lm:refresh");
  let first = true;

  feed.addEventListener("hello", ({ detail }) => {
    if (!first || differs(detail.orgs, sums)) refresh();
    first = false;
  });
  feed.addEventListener("rows", ({ detail }) => {
    if (detail.rows.some((row) => row.id === shown()?.dataset.id)) refresh();
    for (const [org, { checksum }] of Object.entries(detail.orgs)) sums[org] = checksum;
  });
  feed.addEventListener("beat", ({ detail }) => {
    if (differs(detail.orgs, sums)) refresh();
    sums = { ...detail.orgs };
  });
  feed.addEventListener("presence", ({ detail }) => also(detail.people));
  let byKey = false; // the focus is in the page, by a key: an act takes away the button that did it
  document.body.addEventListener("htmx:afterSwap", (event) => {
    if (event.target.id !== "alert") return;
    personalise(event.target);
    if (byKey && !shown()?.contains(document.activeElement)) shown()?.querySelector("#alert-head .lm-alert-acts .btn")?.focus();
  });
  document.body.addEventListener("htmx:beforeSwap", ({ detail }) => {
    byKey = Boolean(shown()?.querySelector(":focus-visible"));
    const form = detail.requestConfig.elt.closest("form[data-emptied]");
    if (form && detail.xhr.status === 200) form.reset();
  });
  keepWhatIsOpen();
  setInterval(() => {
    if (document.visibilityState === "visible" && document.querySelector("#alert [data-moving]")) refresh();
  }, PUSHES_EVERY);
}

// Who else has this alert open; their line is there before they come, so that nothing moves.
function also(people) {
  const names = people.filter((one) => one.sso_id !== me).map((one) => one.name);
  const line = document.getElementById("also-here");
  line.querySelector("[data-said]").textContent = names.length ? fill(words.also_here, { names: list.format(names), n: names.length }) : "";
  line.classList.toggle("is-empty", names.length === 0);
}

function differs(theirs, ours) {
  return Object.keys(ours).some((org) => (theirs[org] ?? "0:0") !== ours[org]);
}

// A refresh leaves an open menu open, and a note or comment that is being written as it is.
function keepWhatIsOpen() {
  const { callbacks } = window.Idiomorph.defaults;
  callbacks.beforeAttributeUpdated = (name, node) => !(name === "open" && node.matches("details")) && name !== "aria-busy";
  callbacks.beforeNodeMorphed = (node) => !(node.matches?.("textarea, input:not([type=hidden])") && node.value !== node.defaultValue);
}

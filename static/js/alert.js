// An alert's page loads its part again when the feed sends this alert, and every few seconds while a push is on its way.

import { personalise } from "./words.js";

const PUSHES_EVERY = 3000; // ms, while somebody is still being told

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
  document.body.addEventListener("htmx:afterSwap", (event) => event.target.id === "alert" && personalise(event.target));
  document.body.addEventListener("htmx:beforeSwap", ({ detail }) => {
    const form = detail.requestConfig.elt.closest("form[data-emptied]");
    if (form && detail.xhr.status === 200) form.reset();
  });
  keepWhatIsOpen();
  setInterval(() => {
    if (document.visibilityState === "visible" && document.querySelector("#alert [data-moving]")) refresh();
  }, PUSHES_EVERY);
}

function differs(theirs, ours) {
  return Object.keys(ours).some((org) => (theirs[org] ?? "0:0") !== ours[org]);
}

// A refresh leaves an open menu open, and a note or comment that is being written as it is.
function keepWhatIsOpen() {
  const { callbacks } = window.Idiomorph.defaults;
  callbacks.beforeAttributeUpdated = (name, node) => !(name === "open" && node.matches("details"));
  callbacks.beforeNodeMorphed = (node) => !(node.matches?.("textarea, input:not([type=hidden])") && node.value !== node.defaultValue);
}

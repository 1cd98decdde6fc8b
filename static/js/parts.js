// The parts of a long form as tabs: one part shows at a time. Without this script they stand below each other, and the
// same links lead to them.

const links = [...document.querySelectorAll("[data-parts] a")];
const part = (link) => document.getElementById(link.hash.slice(1));
const form = links[0].closest("form");
const action = form.getAttribute("action") ?? "";

// Of an address that names none of them: the first with an error, else the first.
function chosen() {
  return links.find((link) => link.hash === location.hash) ?? links.find(wrong) ?? links[0];
}

function wrong(link) {
  return Boolean(part(link).querySelector(".errorlist, .row-form-errors"));
}

function show(open) {
  for (const link of links) {
    link.toggleAttribute("aria-current", link === open);
    if (link === open) link.setAttribute("aria-current", "true");
    part(link).hidden = link !== open;
  }
  form.setAttribute("action", `${action}${open.hash}`); // after saving, the same part shows
}

for (const link of links) link.classList.toggle("is-wrong", wrong(link));
addEventListener("hashchange", () => show(chosen()));
const failed = links.find(wrong);
show(failed && !wrong(chosen()) ? failed : chosen());

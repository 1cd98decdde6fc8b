// Menus are <details>: one open at a time, closed by Escape and by a click elsewhere. Filters open as a sheet on a phone.

const open = () => document.querySelectorAll("details.lm-menu[open]");

function closeOthers(target) {
  for (const menu of open()) if (!menu.contains(target)) menu.open = false;
}

function escape() {
  for (const menu of open()) {
    menu.open = false;
    menu.querySelector("summary").focus();
  }
  for (const sheet of document.querySelectorAll(".lm-find.is-open")) sheet.classList.remove("is-open");
  sheet(false);
}

function sheet(show) {
  const filters = document.getElementById("filters");
  const button = document.getElementById("filter-open");
  if (!filters || !button) return;
  filters.classList.toggle("is-open", show);
  button.setAttribute("aria-expanded", String(show));
  if (show) filters.querySelector("select, input:not([type=hidden])").focus();
}

export function start() {
  document.addEventListener("pointerdown", (event) => {
    closeOthers(event.target);
    const filters = document.getElementById("filters");
    if (filters?.classList.contains("is-open") && !event.target.closest("#filters, #filter-open")) sheet(false);
  });
  document.addEventListener("focusin", (event) => closeOthers(event.target));
  document.addEventListener("keydown", (event) => event.key === "Escape" && escape());
  document.addEventListener("submit", (event) => {
    const menu = event.target.closest("details.lm-menu");
    if (!menu) return;
    if (menu.contains(document.activeElement)) menu.querySelector("summary").focus(); // what had the focus is hidden
    menu.open = false; // chosen
  });
  document.getElementById("filter-open")?.addEventListener("click", () => {
    sheet(!document.getElementById("filters").classList.contains("is-open"));
  });
  document.getElementById("find")?.addEventListener("click", () => {
    const find = document.querySelector(".lm-find");
    find.classList.add("is-open");
    find.querySelector("input").focus();
  });
  document.querySelector("[data-autosubmit]")?.addEventListener("change", (event) => {
    if (event.target.closest("[data-no-submit]")) return; // it waits for its pair
    const form = event.currentTarget;
    for (const field of form.elements) if (field.name && !field.value) field.disabled = true; // keeps the address short
    form.requestSubmit();
  });
  addEventListener("pageshow", (event) => {
    const [way] = performance.getEntriesByType("navigation");
    if (event.persisted || way?.type !== "navigate") asLoaded();
  });
}

// Back, forward and reload bring what one had chosen since, and the list is that of the address.
function asLoaded() {
  for (const form of document.querySelectorAll("[data-autosubmit], .lm-find")) {
    for (const field of form.elements) field.disabled = false; // none is by the server
    form.reset();
  }
}

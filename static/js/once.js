// A form that makes something is sent once: the second click of a double click would lose the answer of the first.

export function start() {
  document.addEventListener("submit", (event) => {
    const form = event.target.closest("form[data-once]");
    if (!form) return;
    if (form.dataset.sent) event.preventDefault();
    form.dataset.sent = "true";
  });
  addEventListener("pageshow", () => { // back on the page: it may be sent again
    for (const form of document.querySelectorAll("form[data-sent]")) delete form.dataset.sent;
  });
}

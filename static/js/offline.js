// The card that says there is no connection: it gives way to the page as soon as the service answers.
const EVERY = 5_000;

async function look() {
  try {
    if ((await fetch("/readyz", { cache: "no-store", credentials: "omit" })).ok) location.reload();
  } catch {
    // still away
  }
}

for (const button of document.querySelectorAll("[data-again]")) button.addEventListener("click", () => location.reload());
addEventListener("online", look);
setInterval(look, EVERY);

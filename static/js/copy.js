// Copy a link, a key, a command.

import { toast } from "./toast.js";
import { words } from "./words.js";

export function start() {
  document.addEventListener("click", async (event) => {
    const button = event.target.closest("[data-copy]");
    if (!button) return;
    try {
      await navigator.clipboard.writeText(button.dataset.copy);
      toast(words.copied);
    } catch {
      toast(button.dataset.copy); // no permission: it is shown, to be copied by hand
    }
  });
}

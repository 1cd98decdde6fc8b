// A log-in in another tab makes this page's token worthless: look up who is signed in now, and repeat the act once.

import { answeredStale, onAnswer, toast, toastAfterLoading } from "./toast.js";
import { fill, me, words } from "./words.js";

const AGAIN = "X-Again"; // of a request that is repeated

// "same": still the person of this page, whose forms now carry the new token; "other": somebody else, and the page is
// loaded again, to say so; "nobody"; "unknown": no answer.
export async function look(said = words.signed_in_as) {
  let page;
  try {
    const answer = await fetch("/preferences", { headers: { Accept: "text/html" }, redirect: "manual" });
    if (answer.type === "opaqueredirect") return "nobody"; // to the log-in
    if (!answer.ok) return "unknown";
    page = new DOMParser().parseFromString(await answer.text(), "text/html").body;
  } catch {
    return "unknown";
  }
  if (page.dataset.me !== me) {
    toastAfterLoading(fill(said, { name: page.dataset.name }));
    location.reload();
    return "other";
  }
  const headers = page.getAttribute("hx-headers");
  document.body.setAttribute("hx-headers", headers);
  const token = JSON.parse(headers)["X-CSRFToken"];
  for (const field of document.querySelectorAll("[name=csrfmiddlewaretoken]")) field.value = token;
  dispatchEvent(new Event("lm:signed-in"));
  return "same";
}

export function start() {
  onAnswer(async (xhr, asked) => {
    if (!answeredStale(xhr)) return;
    const who = asked.requestConfig.headers[AGAIN] ? "unknown" : await look(words.signed_in_as_act);
    if (who === "same") repeat(asked);
    else if (who !== "other") toast(who === "nobody" ? words.signed_out_act : words.failed);
  });
}

// As it was asked, but for the token; by the page, if the row that asked has been replaced.
function repeat({ requestConfig: { verb, path, elt, target, formData }, etc }) {
  const { csrfmiddlewaretoken, ...values } = Object.fromEntries(formData);
  const source = elt.isConnected ? elt : document.getElementById("toasts");
  const swap = etc.swapOverride ?? elt.closest("[hx-swap]")?.getAttribute("hx-swap") ?? "none";
  window.htmx.ajax(verb, path, { source, target, values, swap, headers: { [AGAIN]: "1" } });
}

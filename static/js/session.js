// A log-in in another tab makes this page's token worthless: look up who is signed in now, and repeat the act once.

import { later, repeat } from "./acts.js";
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
    if (who === "same") repeat(asked, { [AGAIN]: "1" });
    else if (who === "nobody") signIn(asked);
    else if (who !== "other") toast(words.failed);
  });
}

function signIn(asked) {
  later(asked);
  location.assign(document.querySelector("#stale [data-sign-in]").href);
}

// A POST of a script, with the page's token; once more after another log-in of the same person, as session.js does.

import { look } from "./session.js";
import { answeredStale } from "./toast.js";
import { words } from "./words.js";

const asXhr = (answer) => ({ status: answer.status, getResponseHeader: (name) => answer.headers.get(name) });

// The answer. Throws an Error that says, to a person, why there is none.
export async function post(path, values, again = false) {
  const headers = { "X-CSRFToken": JSON.parse(document.body.getAttribute("hx-headers"))["X-CSRFToken"], "HX-Request": "true" };
  let answer;
  try {
    answer = await fetch(path, { method: "POST", headers, body: new URLSearchParams(values), redirect: "manual" });
  } catch {
    throw new Error(words.failed);
  }
  if (answer.ok) return answer;
  if (answeredStale(asXhr(answer)) && !again && (await look(words.signed_in_as_act)) === "same") return post(path, values, true);
  if (answer.status === 422) throw new Error((await answer.json()).said);
  if (answer.status === 401) throw new Error(words.signed_out_act);
  throw new Error(answer.status >= 500 ? words.failed : words.refused);
}

// A test push opens its line under the person when its answer comes.

export function start() {
  document.body.addEventListener("htmx:afterSwap", (event) => {
    event.target.closest("[data-test]")?.closest("tr").removeAttribute("hidden");
  });
}

// Work that asks the server is done at most once in 2 s, while the page is visible; once more if asked for meanwhile.

const EVERY = 2000; // ms

export function rarely(work) {
  let stale = false; // asked for since it was last done
  let busy = false;
  let doneAt = -Infinity;
  const ask = () => {
    stale = true;
    if (busy || document.hidden) return;
    busy = true;
    setTimeout(run, Math.max(0, doneAt + EVERY - performance.now()));
  };
  const run = async () => {
    stale = false;
    doneAt = performance.now();
    try {
      await work();
    } catch {
      stale = true;
    }
    busy = false;
    if (stale) ask();
  };
  document.addEventListener("visibilitychange", () => stale && ask());
  return ask;
}

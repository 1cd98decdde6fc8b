// Work that many events ask for is done once per animation frame; in a hidden tab, which has no frames, twice a second.

const HIDDEN = 500; // ms

export function batched(work) {
  let asked = false;
  const run = () => {
    asked = false;
    work();
  };
  return () => {
    if (asked) return;
    asked = true;
    if (document.hidden) setTimeout(run, HIDDEN);
    else requestAnimationFrame(run);
  };
}

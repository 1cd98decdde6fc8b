// Is somebody reading the list? Then nothing in it may move.

const QUIET = 5000; // ms without pointer, focus or selection in the list
const AT_TOP = 80; // px

let list = () => null;
let last = 0;

const touch = (event) => {
  const section = list();
  if (section && event.target instanceof Node && section.contains(event.target)) last = performance.now();
};

export function start(section) {
  list = section;
  for (const event of ["pointermove", "pointerdown", "wheel", "touchmove", "focusin", "focusout", "keydown"]) {
    document.addEventListener(event, touch, { passive: true, capture: true });
  }
}

function inside(section) {
  const selection = getSelection();
  const selected = selection && !selection.isCollapsed && section.contains(selection.anchorNode);
  return section.contains(document.activeElement) || selected || section.matches(":hover");
}

export function reading(paused) {
  const section = list();
  if (paused || scrollY > AT_TOP) return true;
  if (inside(section)) last = performance.now();
  return last > 0 && performance.now() - last < QUIET;
}

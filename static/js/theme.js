// Runs before the first paint: "as the device" follows the device, also while the page is open.
(() => {
  const root = document.documentElement;
  if (root.dataset.lmTheme !== "auto") return;
  const dark = matchMedia("(prefers-color-scheme: dark)");
  const apply = () => { root.dataset.bsTheme = dark.matches ? "dark" : "light"; };
  apply();
  dark.addEventListener("change", apply);
})();

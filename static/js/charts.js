// Draws the charts that the page describes (console/pages/kpis/words.py): each into its place, in the page's colours.

import { options } from "./plots.js";

const { echarts } = window;
const drawn = new Map(); // place -> {chart, spec}

// A colour of the style sheet as the canvas wants it: custom properties hold light-dark(), which only an element resolves.
function colours() {
  const probe = document.createElement("i");
  document.body.append(probe);
  const find = (name) => {
    probe.style.color = `var(${name})`;
    return getComputedStyle(probe).color;
  };
  const made = {
    ink: find("--lm-ink"), ink2: find("--lm-ink-2"), ink3: find("--lm-ink-3"), grid: find("--lm-line"),
    edge: find("--lm-line-strong"), surface: find("--lm-surface"), human: find("--lm-human"),
    humanTint: find("--lm-human-tint"), crit: find("--lm-crit"), critTint: find("--lm-crit-tint"),
    main: find("--lm-plot-main"), calm: find("--lm-plot-calm"), mid: find("--lm-plot-mid"), bad: find("--lm-plot-bad"),
    warn: find("--lm-warn-solid"), onDark: find("--lm-plot-on-dark"), blind: find("--lm-blind-fill"),
    heat: [1, 2, 3, 4, 5].map((n) => find(`--lm-heat-${n}`)),
    font: getComputedStyle(document.body).fontFamily,
  };
  probe.remove();
  return made;
}

function draw() {
  const palette = colours();
  const language = document.documentElement.lang;
  for (const [place, { chart, spec }] of drawn) {
    chart.setOption(options(spec, palette, language, place.clientWidth), { notMerge: true });
  }
}

// Where a click leads: the runs behind what is under the pointer.
function address(chart, spec, event) {
  if (spec.kind === "heat" || spec.kind === "scatter") return null; // their marks are clicked themselves
  const [x, y] = chart.convertFromPixel({ gridIndex: 0 }, [event.offsetX, event.offsetY]);
  if (!chart.containPixel({ gridIndex: 0 }, [event.offsetX, event.offsetY])) return null;
  if (spec.kind === "stack") return null;
  const along = spec.kind === "bars" ? spec.labels.length - 1 - Math.round(y) : Math.round(x);
  return spec.n[along] ? spec.urls?.[along] : null;
}

function marked(spec, mark) {
  if (spec.kind === "heat") return spec.cell_urls[mark.dataIndex];
  if (spec.kind === "stack") return spec.part_urls[mark.seriesIndex][spec.labels.length - 1 - mark.dataIndex];
  return spec.kind === "scatter" ? spec.urls[mark.dataIndex] : null;
}

function go(url) {
  if (url) window.location.assign(url);
}

function start() {
  const told = document.getElementById("charts");
  document.querySelectorAll(".lm-as-table").forEach((table) => table.removeAttribute("open"));
  document.documentElement.dataset.charts = "true";
  if (!told || !echarts) return;
  for (const [name, spec] of Object.entries(JSON.parse(told.textContent))) {
    const place = document.querySelector(`[data-chart="${name}"]`);
    if (!place) continue;
    const chart = echarts.init(place, null, { renderer: "canvas" });
    drawn.set(place, { chart, spec });
    if (spec.urls) {
      place.dataset.drills = "";
      chart.on("click", (mark) => go(marked(spec, mark)));
      chart.getZr().on("click", (event) => go(address(chart, spec, event)));
    }
  }
  draw();
  new ResizeObserver(() => {
    for (const { chart } of drawn.values()) chart.resize();
    draw();
  }).observe(document.getElementById("main"));
  new MutationObserver(draw).observe(document.documentElement, { attributeFilter: ["data-bs-theme"] });
  for (const place of drawn.keys()) place.dataset.drawn = "true";
}

start();

// What each kind of chart is for ECharts. Pure: a description, the page's colours and language in, its option out.

const SIZE = 12;

export function options(spec, colours, language, width) {
  const say = numbers(language);
  const made = KINDS[spec.kind](spec, colours, say, width);
  return {
    animation: false,
    textStyle: { fontFamily: colours.font, fontSize: SIZE, color: colours.ink3 },
    ...made,
    tooltip: {
      renderMode: "richText", // HTML would need inline styles, which the page forbids
      confine: true,
      backgroundColor: colours.ink,
      borderWidth: 0,
      padding: [6, 10],
      textStyle: { color: colours.surface, fontSize: SIZE, fontFamily: colours.font },
      ...made.tooltip,
    },
  };
}

function numbers(language) {
  const format = (digits) => {
    const made = new Intl.NumberFormat(language, { maximumFractionDigits: digits });
    return (value) => made.format(value);
  };
  const [whole, one, three] = [0, 1, 3].map(format);
  return { whole, one, dollars: (value) => `$${three(value)}`, of: (unit) => (value) => (unit ? `${one(value)} ${unit}` : one(value)) };
}

const text = (colours, more = {}) => ({ color: colours.ink3, fontSize: SIZE, ...more });
const dashes = (colour, width = 1) => ({ color: colour, width, type: [5, 4] });

function valueAxis(colours, label, more = {}) {
  return {
    type: "value",
    splitNumber: 3,
    axisLine: { show: false },
    axisTick: { show: false },
    axisLabel: text(colours, { formatter: label, margin: 10 }),
    splitLine: { lineStyle: { color: colours.grid } },
    ...more,
  };
}

function timeAxis(colours, labels) {
  const last = labels.length - 1;
  const shown = last < 4 ? null : new Set([0, Math.floor(last / 2), last]);
  return {
    type: "category",
    data: labels,
    boundaryGap: labels.length === 1,
    axisLine: { show: false },
    axisTick: { show: false },
    axisLabel: text(colours, {
      interval: (index) => !shown || shown.has(index),
      hideOverlap: true,
      showMinLabel: true,
      showMaxLabel: true,
      alignMinLabel: "left",
      alignMaxLabel: "right",
      margin: 12,
    }),
  };
}

// The agents of a chart, the first on top.
function names(colours, labels, width) {
  return {
    type: "category",
    data: [...labels].reverse(),
    axisLine: { show: false },
    axisTick: { show: false },
    axisLabel: text(colours, { width: Math.min(104, width / 3.2), overflow: "truncate", align: "left", margin: Math.min(112, width / 3.2 + 8) }),
  };
}

const beside = (width) => ({ left: Math.min(116, width / 3.2 + 12), top: 4, bottom: 4 });

// --- a line over time -----------------------------------------------------------------------------------------------

function line(spec, colours, say) {
  const inWords = say.of(spec.unit);
  const known = spec.values.filter((value) => value !== null);
  const least = Math.min(...known, spec.limit ?? Infinity);
  const bounds = spec.top ? within(least, spec.top) : { min: 0 };
  const bad = (value) => spec.low_is_bad && value !== null && value < spec.limit;
  const last = spec.values.findLastIndex((value) => value !== null);
  const point = (value, index) => {
    const lone = spec.values[index - 1] == null && spec.values[index + 1] == null;
    const size = index === last ? 8 : lone || spec.values.length < 4 ? 5 : 0;
    return { value, symbolSize: size, itemStyle: { color: bad(value) ? colours.bad : colours.main } };
  };
  const series = [{
    type: "line",
    name: spec.name,
    data: spec.values.map(point),
    symbol: "circle",
    showAllSymbol: true,
    lineStyle: { color: colours.main, width: 2 },
    itemStyle: { color: colours.main },
    z: 3,
    markLine: marks(spec, colours, say),
    markArea: blindTimes(spec, colours),
  }];
  if (spec.second) {
    const lineStyle = { color: colours.ink3, width: 1.5, type: [2, 3] };
    series.push({ type: "line", name: spec.second_name, data: spec.second, symbol: "none", lineStyle, itemStyle: { color: colours.ink3 } });
  }
  const said = (found) => {
    const index = found[0].dataIndex;
    const lines = found.filter(({ value }) => value != null).map(({ seriesName, value }) => `${seriesName} ${inWords(value)}`);
    return [spec.names[index], ...lines, `n ${say.whole(spec.n[index])}`].join("\n");
  };
  return {
    grid: { left: 4, right: 10, top: 22, bottom: 4, containLabel: true },
    xAxis: timeAxis(colours, spec.labels),
    yAxis: valueAxis(colours, (value) => say.one(value), bounds),
    series,
    tooltip: { trigger: "axis", axisPointer: { type: "line", lineStyle: { color: colours.edge } }, formatter: said },
  };
}

// Where an axis begins that need not begin at 0, and its steps.
function within(least, top) {
  const step = top - least > top / 3 ? top / 5 : top - least > top / 8 ? top / 10 : top / 20;
  return { min: Math.max(0, Math.floor(least / step) * step), max: top, interval: step };
}

function marks(spec, colours, say) {
  const label = { fontSize: SIZE, color: colours.ink3 };
  const data = (spec.marks ?? []).map(({ at, text: name }) => ({
    xAxis: at,
    label: { ...label, formatter: name, position: "end", align: at > spec.labels.length / 2 ? "right" : "left", distance: 4 },
  }));
  if (spec.limit !== undefined) {
    data.push({ yAxis: spec.limit, label: { ...label, formatter: say.whole(spec.limit), position: "insideStartTop", distance: 2 } });
  }
  return { silent: true, symbol: "none", lineStyle: dashes(colours.ink2), data };
}

// When not all could be seen: behind each such step.
function blindTimes(spec, colours) {
  const data = (spec.blind ?? []).map((at) => [{ xAxis: at - 0.5 }, { xAxis: at + 0.5 }]);
  return { silent: true, itemStyle: { color: colours.blind }, data };
}

// --- agents side by side --------------------------------------------------------------------------------------------

function bars(spec, colours, say, width) {
  const data = [...spec.values].reverse();
  return {
    grid: { ...beside(width), right: 58 },
    xAxis: valueAxis(colours, "", { show: false, min: 0 }),
    yAxis: names(colours, spec.labels, width),
    series: [{
      type: "bar",
      data,
      barWidth: "58%",
      barMaxWidth: 20,
      itemStyle: { color: colours.main, borderRadius: 1 },
      label: { show: true, position: "right", color: colours.ink, fontWeight: 600, fontSize: SIZE, formatter: ({ value }) => `${say.one(value)} %` },
    }],
    tooltip: {
      trigger: "item",
      formatter: ({ dataIndex }) => {
        const index = spec.labels.length - 1 - dataIndex;
        return `${spec.names[index]}\n${say.one(spec.values[index])} %\nn ${say.whole(spec.n[index])}`;
      },
    },
  };
}

function stack(spec, colours, say, width) {
  const fills = [colours.calm, colours.mid, colours.bad];
  const inks = [colours.ink, colours.onDark, colours.onDark];
  const room = width - beside(width).left - 34;
  const series = spec.parts.map((name, part) => ({
    type: "bar",
    stack: "all",
    name,
    data: [...spec.values[part]].reverse(),
    barWidth: "62%",
    barMaxWidth: 20,
    itemStyle: { color: fills[part], borderColor: colours.surface, borderWidth: 1 },
    label: part === 2 // beside the bar, where it always has room
      ? { show: true, position: "right", color: colours.ink, fontWeight: 600, fontSize: SIZE, formatter: ({ value }) => say.whole(value) }
      : { show: true, color: inks[part], fontSize: SIZE, formatter: ({ value }) => ((value / 100) * room > 22 ? say.whole(value) : "") },
  }));
  return {
    grid: { ...beside(width), right: 34 },
    xAxis: valueAxis(colours, "", { show: false, min: 0, max: 100 }),
    yAxis: names(colours, spec.labels, width),
    series,
    tooltip: {
      trigger: "item",
      formatter: ({ seriesIndex, dataIndex, seriesName }) => {
        const index = spec.labels.length - 1 - dataIndex;
        const share = say.one(spec.values[seriesIndex][index]);
        return `${spec.names[index]}\n${seriesName} ${share} %\nn ${say.whole(spec.counts[seriesIndex][index])}`;
      },
    },
  };
}

// --- cost against quality -------------------------------------------------------------------------------------------

function scatter(spec, colours, say) {
  const most = Math.max(...spec.sizes);
  const low = Math.min(...spec.y, spec.limit);
  const [least, width] = [Math.min(...spec.x), Math.max(...spec.x) - Math.min(...spec.x)];
  const inOrder = [...spec.x.keys()].sort((one, other) => spec.x[one] - spec.x[other]);
  // A name stands over or under its bubble, by turns from left to right, and beside no other; at the sides within the plot.
  const side = (x) => (x < least + width / 3 ? "left" : x > least + (2 * width) / 3 ? "right" : "center");
  const data = spec.labels.map((name, index) => {
    const isBad = spec.y[index] < spec.limit;
    return {
      value: [spec.x[index], spec.y[index]],
      symbolSize: 10 + 18 * Math.sqrt(spec.sizes[index] / most),
      itemStyle: { color: isBad ? colours.critTint : colours.humanTint, borderColor: isBad ? colours.crit : colours.human, borderWidth: 1.5 },
      label: { formatter: name, position: inOrder.indexOf(index) % 2 ? "bottom" : "top", align: side(spec.x[index]) },
    };
  });
  const limit = { yAxis: spec.limit, label: { formatter: say.one(spec.limit), position: "insideStartTop", fontSize: SIZE, color: colours.ink3 } };
  return {
    grid: { left: 4, right: 22, top: 14, bottom: 4, containLabel: true },
    xAxis: valueAxis(colours, say.dollars, { splitLine: { show: false }, scale: true, splitNumber: 2 }),
    yAxis: valueAxis(colours, (value) => say.one(value), { min: Math.max(1, Math.floor(low) - (low % 1 ? 0 : 1)), max: 5, interval: 1 }),
    series: [{
      type: "scatter",
      data,
      label: { show: true, color: colours.ink, fontWeight: 600, fontSize: SIZE, textBorderColor: colours.surface, textBorderWidth: 3 },
      labelLayout: { hideOverlap: true },
      markLine: { silent: true, symbol: "none", lineStyle: dashes(colours.ink2), data: [limit] },
    }],
    tooltip: { trigger: "item", formatter: ({ dataIndex }) => `${spec.names[dataIndex]}\n${spec.says[dataIndex]}` },
  };
}

// --- quality of each agent over time --------------------------------------------------------------------------------

function heat(spec, colours, say, width) {
  const grade = (quality) => (quality < 3 ? 0 : quality < 3.5 ? 1 : quality < 4 ? 2 : quality < 4.3 ? 3 : 4);
  const inks = [colours.onDark, colours.ink, colours.ink, colours.ink, colours.onDark];
  const last = spec.labels.length - 1;
  const each = (width - beside(width).left) / spec.columns.length;
  const data = spec.cells.map(([x, y, quality]) => {
    const found = grade(quality);
    return { value: [x, last - y, quality], itemStyle: { color: colours.heat[found] }, label: { color: inks[found] } };
  });
  const filled = new Set(spec.cells.map(([x, y]) => `${x} ${y}`));
  const empty = spec.labels.flatMap((_, y) => spec.columns.flatMap((__, x) => (filled.has(`${x} ${y}`) ? [] : [[x, last - y, 0]])));
  const gap = { borderColor: colours.surface, borderWidth: each < 8 ? 0 : 1, borderRadius: 2 };
  return {
    grid: { ...beside(width), right: 2, bottom: 24 },
    xAxis: {
      ...timeAxis(colours, spec.columns),
      boundaryGap: true,
      ...(each >= 34 ? { axisLabel: text(colours, { interval: 0, formatter: (day) => day.split(" ")[0], margin: 8 }) } : {}),
    },
    yAxis: names(colours, spec.labels, width),
    series: [
      { type: "heatmap", data, itemStyle: gap, label: { show: each >= 26, fontSize: SIZE, formatter: ({ value }) => say.one(value[2]) }, emphasis: { disabled: true } },
      {
        type: "heatmap",
        data: empty,
        silent: true,
        itemStyle: { color: "transparent", borderColor: colours.grid, borderWidth: each < 8 ? 0 : 1, borderType: "dashed" },
        label: { show: each >= 26, color: colours.ink3, formatter: "–" },
      },
    ],
    visualMap: { show: false, min: 1, max: 5, seriesIndex: [], inRange: {} },
    tooltip: {
      trigger: "item",
      formatter: ({ dataIndex }) => {
        const [x, y, quality, n] = spec.cells[dataIndex];
        return `${spec.names[y]}\n${spec.names_x[x]}\n${say.one(quality)}\nn ${say.whole(n)}`;
      },
    },
  };
}

// --- what happened, by kind -----------------------------------------------------------------------------------------

function signals(spec, colours, say) {
  const fills = { critical: colours.bad, warning: colours.warn, info: colours.mid };
  const shades = [1, 0.7, 0.45];
  const used = {};
  const series = spec.parts.map(({ name, severity, values }, part) => {
    const nth = (used[severity] = (used[severity] ?? 0) + 1);
    return {
      type: "bar",
      stack: "all",
      name,
      data: values,
      barMaxWidth: 22,
      itemStyle: { color: fills[severity], opacity: shades[Math.min(nth - 1, 2)], borderColor: colours.surface, borderWidth: 0.5 },
      ...(part === 0 ? { markLine: marks(spec, colours, say), markArea: blindTimes(spec, colours) } : {}),
    };
  });
  const said = (found) => {
    const lines = found.filter(({ value }) => value).map(({ seriesName, value }) => `${seriesName} ${say.whole(value)}`);
    return [spec.names[found[0].dataIndex], ...lines].join("\n");
  };
  return {
    grid: { left: 4, right: 10, top: 22, bottom: 4, containLabel: true },
    xAxis: { ...timeAxis(colours, spec.labels), boundaryGap: true },
    yAxis: valueAxis(colours, say.whole, { min: 0, minInterval: 1 }),
    series,
    tooltip: { trigger: "axis", axisPointer: { type: "none" }, formatter: said },
  };
}

const KINDS = { line, bars, stack, scatter, heat, signals };

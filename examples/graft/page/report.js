// SPDX-License-Identifier: Apache-2.0
// The page of `graft report --html` and `graft compare`. Whatever comes from a file is put on it by textContent only, never as markup.
"use strict";
const { runs, comparison } = JSON.parse(document.getElementById("data").textContent);

// Okabe and Ito's colours, which colour-blind people tell apart; the pattern of the line says the same once more.
const PALETTES = {
  light: ["#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#000000"],
  dark: ["#56b4e9", "#e69f00", "#009e73", "#cc79a7", "#f0e442", "#d55e00", "#ffffff"],
};
const DASHES = [[], [7, 4], [2, 3], [9, 3, 2, 3], [4, 2], [12, 4], [1, 4]];
const darkness = matchMedia("(prefers-color-scheme: dark)");
const colour = (i) => { const all = PALETTES[darkness.matches ? "dark" : "light"]; return all[i % all.length]; };
const style = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();

runs.forEach((run, i) => { run.number = i; run.shown = true; });

// --- elements ---------------------------------------------------------------------------------------------------------
function element(tag, options = {}, ...children) {
  const { data, ...plain } = options;
  const made = Object.assign(document.createElement(tag), plain);
  Object.entries(data || {}).forEach(([name, value]) => made.setAttribute(name, value));
  made.append(...children);
  return made;
}
const section = (title, about, ...children) =>
  document.getElementById("page").append(element("section", {}, element("h2", { textContent: title }),
    element("p", { textContent: about }), ...children));

// --- numbers ----------------------------------------------------------------------------------------------------------
const at = (object, ...path) => path.reduce((o, key) => (o === null || o === undefined ? undefined : o[key]), object);
const isNumber = (x) => typeof x === "number" && Number.isFinite(x);
const fixed = (digits) => (x) => x.toFixed(digits);
const commas = (x) => Math.round(x).toLocaleString("en-US");
const significant = (x) => (x === 0 ? "0" : Math.abs(x) >= 1e5 || Math.abs(x) < 1e-3 ? x.toExponential(2) : String(+x.toPrecision(4)));
function bytes(x) {
  const units = ["B", "KiB", "MiB", "GiB", "TiB"];
  let unit = 0;
  while (x >= 1024 && unit < units.length - 1) { x /= 1024; ++unit; }
  return `${unit === 0 || x >= 100 ? Math.round(x) : x.toFixed(1)} ${units[unit]}`;
}
function runningMean(points) {
  const width = Math.max(1, Math.floor(points.length / 25));
  let sum = 0;
  return points.map((point, i) => {
    sum += point.y - (i >= width ? points[i - width].y : 0);
    return { x: point.x, y: sum / Math.min(i + 1, width) };
  });
}
const validation = (run, key, factor = 1) =>
  [{ step: 0, loss: at(run.run, "scores", "before", "valid_loss"), accuracy: at(run.run, "scores", "before", "valid_accuracy") }, ...run.valid]
    .filter((record) => isNumber(record[key])).map((record) => ({ x: record.step, y: factor * record[key] }));
const series = (run, key) =>
  run.log.step.map((x, i) => ({ x, y: at(run.log, key, i) })).filter((point) => isNumber(point.y));

// --- the table --------------------------------------------------------------------------------------------------------
const COLUMNS = [
  ["run", (r) => r.name, String],
  ["steps", (r) => at(r.run, "result", "steps"), commas],
  ["trainable", (r) => at(r.run, "model", "trainable"), commas],
  ["% of model", (r) => 100 * at(r.run, "model", "trainable") / at(r.run, "model", "parameters"), fixed(3)],
  ["validation before", (r) => at(r.run, "scores", "before", "valid_loss"), fixed(4)],
  ["validation after", (r) => at(r.run, "scores", "after", "valid_loss"), fixed(4)],
  ["accuracy %", (r) => 100 * at(r.run, "scores", "after", "valid_accuracy"), fixed(1)],
  ["old text perplexity", (r) => at(r.run, "scores", "after", "retain_perplexity"), significant],
  ["tokens/s", (r) => at(r.run, "result", "tokens_per_second"), commas],
  ["peak memory", (r) => at(r.run, "memory", "peak_bytes"), bytes],
  ["seconds", (r) => at(r.run, "times", "all"), fixed(1)],
  ["status", (r) => at(r.run, "result", "status"), String],
].filter(([, value], i) => i === 0 || runs.some((r) => isNumber(value(r)) || typeof value(r) === "string"));

/// A table whose titles sort it. A column is [title, value of an item, how a known value is written]; `decorate(cell, item)` adds to first cells.
function sortable(id, columns, items, decorate = () => {}) {
  const body = element("tbody");
  const known = (x) => isNumber(x) || typeof x === "string";
  const rows = items.map((item) => {
    const cells = columns.map(([, value, format], c) => {
      const x = value(item);
      const cell = element("td", { textContent: known(x) ? format(x, item) : "–" });
      if (c === 0) { decorate(cell, item); }
      return cell;
    });
    return { row: element("tr", {}, ...cells), values: columns.map(([, value]) => value(item)) };
  });
  const order = (list) => body.replaceChildren(...list.map(({ row }) => row));
  const heads = columns.map(([title], c) => {
    const head = element("th", { scope: "col" });
    head.append(element("button", { type: "button", textContent: title, onclick: () => {
      const up = head.ariaSort !== "ascending";
      heads.forEach((other) => { other.ariaSort = "none"; });
      head.ariaSort = up ? "ascending" : "descending";
      order([...rows].sort((a, b) => {
        const [x, y] = [a.values[c], b.values[c]];
        if (!known(x) || !known(y)) { return known(x) ? -1 : known(y) ? 1 : 0; }  // what is unknown comes last
        const rising = typeof x === "string" ? x.localeCompare(String(y)) : x - y;
        return up ? rising : -rising;
      }));
    } }));
    return head;
  });
  order(rows);
  return element("div", { className: "wide" },
    element("table", { id }, element("thead", {}, element("tr", {}, ...heads)), body));
}

const runTable = () => sortable("runs", COLUMNS, runs, (cell, run) => {
  const box = element("input", { type: "checkbox", checked: true, ariaLabel: `show ${run.name}`,
    onchange: () => { run.shown = box.checked; redraw(); } });
  const swatch = element("span", { className: "swatch" });
  run.paint = () => {
    swatch.style.borderTopColor = colour(run.number);
    swatch.style.borderTopStyle = DASHES[run.number % DASHES.length].length > 0 ? "dashed" : "solid";
  };
  cell.prepend(box, swatch);
});

// --- charts -----------------------------------------------------------------------------------------------------------
const drawings = [];  // functions that draw with the colours and the runs of now
function redraw() {
  runs.forEach((run) => run.paint());
  drawings.forEach((draw) => draw());
}

/// A Chart.js chart that is made anew whenever colours or runs change.
function chart(title, about, config) {
  const canvas = element("canvas", { data: { role: "img", "aria-label": `${title}: ${about}` } });
  let made;
  drawings.push(() => {
    if (made) { made.destroy(); }
    Chart.defaults.color = style("--soft");
    Chart.defaults.borderColor = style("--line");
    made = new Chart(canvas, config());
  });
  return element("figure", {}, element("h3", { textContent: title }), element("div", { className: "plot" }, canvas),
    element("figcaption", { textContent: about }));
}

const axis = (text, extra = {}) => ({ type: "linear", title: { display: true, text }, ...extra });
const shownRuns = () => runs.filter((run) => run.shown);

function lines(title, about, unit, points, { x = "step", mean = false, dots = false, zero = false } = {}) {
  if (!runs.some((run) => points(run).length > 0)) { return []; }
  return [chart(title, about, () => {
    const datasets = [];
    for (const run of shownRuns()) {
      const look = { label: run.name, borderColor: colour(run.number), backgroundColor: colour(run.number), borderWidth: 2,
        borderDash: DASHES[run.number % DASHES.length], pointRadius: dots ? 3 : 0, pointHitRadius: 6 };
      const data = points(run);
      if (mean && runs.length === 1) {
        datasets.push({ ...look, label: `${run.name}, each`, data, borderWidth: 1, borderColor: colour(run.number) + "66", borderDash: [] });
      }
      datasets.push({ ...look, data: mean ? runningMean(data) : data });
    }
    return { type: "line", data: { datasets }, options: { animation: false, parsing: false, normalized: true, maintainAspectRatio: false,
      interaction: { mode: "nearest", axis: "x", intersect: false }, plugins: { legend: { display: false } },
      scales: { x: axis(x), y: axis(unit, { beginAtZero: zero }) } } };
  })];
}

function memoryChart() {
  const parts = [...new Set(runs.flatMap((run) => (at(run.run, "memory", "parts") || []).map((part) => part.name)))];
  if (parts.length === 0) { return []; }
  const of = (run, name) => (at(run.run, "memory", "parts").find((part) => part.name === name) || { bytes: 0 }).bytes;
  const mib = 1024 * 1024;
  return [chart("Memory by part", "As forecast before the run, beside the largest resident set that was measured.", () => {
    const shown = shownRuns().filter((run) => at(run.run, "memory", "parts"));
    const datasets = parts.map((name, i) => ({ label: name, stack: "forecast", backgroundColor: colour(i), data: shown.map((run) => of(run, name) / mib) }));
    datasets.push({ label: "measured peak", stack: "measured", backgroundColor: style("--soft"), data: shown.map((run) => at(run.run, "memory", "peak_bytes") / mib) });
    return { type: "bar", data: { labels: shown.map((run) => run.name), datasets }, options: { indexAxis: "y", animation: false, maintainAspectRatio: false,
      scales: { x: axis("MiB", { stacked: true }), y: { stacked: true } },
      plugins: { legend: { position: "bottom", labels: { boxWidth: 12 } } } } };
  })];
}

// --- the comparison of a study ------------------------------------------------------------------------------------------
const SHAPES = ["circle", "rect", "triangle", "rectRot", "star", "crossRot"];

function comparisonTable(task, number) {
  const factor = task.share ? 100 : 1, digits = task.share ? 1 : 4;
  const spread = (row) => (isNumber(row.deviation) ? ` ± ${(factor * row.deviation).toFixed(digits)}` : "");
  const columns = [
    ["adapter", (r) => r.name, String],
    [task.metric + (task.share ? " %" : ""), (r) => (isNumber(r.quality) ? factor * r.quality : null), (x, r) => x.toFixed(digits) + spread(r)],
    ["old text perplexity", (r) => r.retained, significant],
    ["seeds", (r) => r.status, String],
    ["trainable", (r) => r.trainable, commas],
    ["file", (r) => r.file_bytes, bytes],
    ["peak memory", (r) => r.peak_bytes, bytes],
    ["tokens/s", (r) => r.tokens_per_second, commas],
    ["seconds", (r) => r.seconds, fixed(1)],
    ["steps", (r) => r.steps, commas],
    ["rate", (r) => r.rate, significant],
  ].filter(([, value], i) => i === 0 || task.rows.some((r) => isNumber(value(r)) || typeof value(r) === "string"));
  return sortable(`task${number}`, columns, task.rows);
}

/// Quality against a cost: a mark for each adapter, its spread over seeds as a line.
function scatter(task, title, cost) {
  const factor = task.share ? 100 : 1;
  const rows = task.rows.filter((row) => isNumber(row.quality) && isNumber(row[cost]) && row[cost] > 0);
  const families = [...new Set(rows.map((row) => row.family))];
  const ends = (row) => [-1, 1].map((side) => ({ x: row[cost], y: factor * (row.quality + side * (row.deviation || 0)) }));
  return chart(`${task.name}: ${task.metric} by ${title}`, "A mark is an adapter, its line the standard deviation over seeds; shapes and colours are methods.", () => ({
    type: "scatter",
    data: { datasets: [
      ...families.map((family, i) => ({ label: family, pointStyle: SHAPES[i % SHAPES.length], pointRadius: 6, borderColor: colour(i), backgroundColor: colour(i),
        data: rows.filter((row) => row.family === family).map((row) => ({ x: row[cost], y: factor * row.quality, name: row.name })) })),
      ...rows.map((row) => ({ type: "line", label: "", pointRadius: 0, pointHitRadius: 0, borderWidth: 1.5, borderColor: colour(families.indexOf(row.family)), data: ends(row) }))] },
    options: { animation: false, maintainAspectRatio: false,
      plugins: { legend: { position: "bottom", labels: { usePointStyle: true, filter: (item) => item.text !== "" } },
        tooltip: { filter: (item) => item.raw.name !== undefined, callbacks: { label: (item) => `${item.raw.name}: ${significant(item.raw.y)}` } } },
      scales: { x: axis(title, { type: "logarithmic" }), y: axis(task.metric + (task.share ? " %" : "")) } },
  }));
}

// --- pictures ---------------------------------------------------------------------------------------------------------
// Cividis, from Nunez, Anderton and Renslow (2018): dark to bright for every kind of colour vision.
const RAMP = [[0, 34, 78], [53, 69, 108], [102, 105, 112], [148, 142, 119], [200, 184, 102], [253, 231, 55]];
function ramp(share) {
  const place = Math.min(1, Math.max(0, share)) * (RAMP.length - 1);
  const low = Math.min(RAMP.length - 2, Math.floor(place));
  return `rgb(${RAMP[low].map((value, k) => Math.round(value + (RAMP[low + 1][k] - value) * (place - low))).join(" ")})`;
}

/// A canvas of width x height CSS pixels, sharp on every screen; draw(context) is called whenever colours change.
function picture(width, height, label, draw) {
  const scale = window.devicePixelRatio || 1;
  const canvas = element("canvas", { className: "picture", width: width * scale, height: height * scale, data: { role: "img", "aria-label": label } });
  canvas.style.width = `${width}px`;
  drawings.push(() => {
    const context = canvas.getContext("2d");
    context.setTransform(scale, 0, 0, scale, 0, 0);
    context.clearRect(0, 0, width, height);
    context.font = "11px system-ui, sans-serif";
    context.fillStyle = style("--soft");
    context.textBaseline = "middle";
    draw(context);
  });
  return canvas;
}

/// The size of the edits, layers by positions: the first tokens of the prompts, then their last ones.
function editMap(run) {
  const { blocks } = run.edits;
  const first = Math.max(...blocks.map((block) => block.first.length)), last = Math.max(...blocks.map((block) => block.last.length));
  const sizes = blocks.map((block) => [...block.first, null, ...[...block.last].reverse()]);
  const largest = Math.max(...sizes.flat().filter(isNumber));
  const [cell, high, left] = [24, Math.max(4, Math.min(18, 480 / blocks.length)), 34];
  const width = left + cell * (first + last + 1) + 8, height = high * blocks.length + 54;
  const label = `size of the edits by layer and position, up to ${significant(largest)}`;
  const canvas = picture(width, height, label, (context) => {
    sizes.forEach((row, l) => {
      row.forEach((size, k) => {
        if (size !== null) {
          context.fillStyle = ramp(largest > 0 ? size / largest : 0);
          context.fillRect(left + k * cell, l * high, cell - 1, Math.max(1, high - 1));
        }
      });
    });
    context.fillStyle = style("--soft");
    context.textAlign = "right";
    sizes.forEach((_, l) => {
      if (l % Math.ceil(14 / high) === 0) { context.fillText(String(l), left - 6, (l + 0.5) * high); }
    });
    context.textAlign = "center";
    for (let k = 0; k < first; ++k) { context.fillText(`f${k + 1}`, left + (k + 0.5) * cell, high * blocks.length + 10); }
    for (let k = 0; k < last; ++k) { context.fillText(`l${last - k}`, left + (first + 1 + k + 0.5) * cell, high * blocks.length + 10); }
    for (let x = 0; x < 160; ++x) {
      context.fillStyle = ramp(x / 159);
      context.fillRect(left + x, high * blocks.length + 28, 1, 10);
    }
    context.fillStyle = style("--soft");
    context.textAlign = "left";
    context.fillText("0", left, high * blocks.length + 47);
    context.fillText(significant(largest), left + 166, high * blocks.length + 33);
  });
  return element("figure", {}, element("h3", { textContent: run.name }), element("div", { className: "wide" }, canvas),
    element("figcaption", { textContent: "A row is a layer, a column a position of the prompt: f1 the first token, l1 the last." }));
}

/// The indices that every layer has chosen of one kind of matrix, as ticks on a line from 0 to its extent.
function strips(run, kind, modules) {
  const [high, left, wide] = [Math.max(6, Math.min(14, 420 / modules.length)), 34, 420];
  const make = (side, extent) => picture(left + wide + 12, modules.length * high + 22, `${side} that ${kind} has chosen, by layer`, (context) => {
    modules.forEach((module, l) => {
      const y = l * high;
      context.fillStyle = style("--line");
      context.fillRect(left, y + high - 1, wide, 0.5);
      context.fillStyle = colour(side === "columns" ? 0 : 1);
      module[side].forEach((index) => context.fillRect(left + (index / module[extent]) * wide, y, Math.max(1, Math.min(3, wide / module[extent])), high - 2));
      context.fillStyle = style("--soft");
      context.textAlign = "right";
      if (l % Math.ceil(14 / high) === 0) { context.fillText(module.layer, left - 6, y + high / 2); }
    });
    context.textAlign = "left";
    context.fillText("0", left, modules.length * high + 10);
    context.textAlign = "right";
    context.fillText(String(modules[0][extent] - 1), left + wide, modules.length * high + 10);
  });
  return element("figure", {}, element("h3", { textContent: kind }),
    element("p", { textContent: `columns: ${modules[0].columns.length} of ${modules[0].inputs}` }), element("div", { className: "wide" }, make("columns", "inputs")),
    element("p", { textContent: `rows: ${modules[0].rows.length} of ${modules[0].outputs}` }), element("div", { className: "wide" }, make("rows", "outputs")));
}

function skeletonFigures(run) {
  const kinds = new Map();
  for (const module of run.edits.skeletons) {
    const found = /layers\.(\d+)\.(.*)$/.exec(module.module) || [null, "", module.module];
    kinds.set(found[2], [...(kinds.get(found[2]) || []), { ...module, layer: found[1] }]);
  }
  return [...kinds].map(([kind, modules]) => strips(run, kind, modules));
}

// --- words ------------------------------------------------------------------------------------------------------------
const shownValue = (value) => (value === undefined ? "–" : typeof value === "string" ? value : JSON.stringify(value));

function settingsTable() {
  const keys = [...new Set(runs.flatMap((run) => Object.keys(run.run.settings)))].sort();
  const rows = keys.map((key) => {
    const values = runs.map((run) => shownValue(run.run.settings[key]));
    return element("tr", { className: new Set(values).size > 1 ? "differs" : "" }, element("td", { textContent: key }),
      ...values.map((value) => element("td", { className: "words", textContent: value })));
  });
  const head = element("tr", {}, element("th", { textContent: "setting" }), ...runs.map((run) => element("th", { textContent: run.name })));
  return element("div", { className: "wide" }, element("table", {}, element("thead", {}, head), element("tbody", {}, ...rows)));
}

function samples(run) {
  return (run.run.samples || []).flatMap((sample) => [
    element("p", { className: "said", textContent: sample.prompt }),
    element("div", { className: "sample" }, ...["before", "after"].map((when) => element("div", {},
      element("small", { textContent: when }), element("p", { className: "said", textContent: shownValue(sample[when]) }))))]);
}

// --- the page ---------------------------------------------------------------------------------------------------------
document.getElementById("page").append(element("h1", { textContent: comparison ? `graft compare: ${comparison.name}` : "graft report" }),
  element("p", { textContent: `${runs.length} ${runs.length === 1 ? "run" : "runs"} of ${[...new Set(runs.map((run) => at(run.run, "model", "path")))].join(", ")}` }));
(comparison ? comparison.tasks : []).forEach((task, i) => {
  section(task.name, `${comparison.note}. A click on a title sorts.`, comparisonTable(task, i),
    element("div", { className: "charts" }, scatter(task, "trainable parameters", "trainable"), scatter(task, "seconds of training steps", "seconds")));
});
section(comparison ? "Runs of the first seed" : "Runs", "A click on a title sorts; the boxes choose what the pictures show.", runTable());
section("Training", "Lines of loss and speed are running means where steps are many.", element("div", { className: "charts" },
  ...lines("Training loss", "Mean over the labelled tokens of a step.", "loss", (run) => series(run, "loss"), { mean: true }),
  ...lines("Validation loss", "Measured at the start, after each epoch and where asked for.", "loss", (run) => validation(run, "loss"), { dots: true }),
  ...lines("Validation accuracy", "Of tokens, or of chosen answers.", "%", (run) => validation(run, "accuracy", 100), { dots: true }),
  ...lines("Rate", "What the schedule gave the optimizer.", "rate", (run) => series(run, "lr"), { zero: true }),
  ...lines("Gradient norm", "Of all gradients together, before clipping.", "norm", (run) => series(run, "grad_norm"), { zero: true }),
  ...lines("Speed", "Tokens through the model, of steps alone.", "tokens/s", (run) => series(run, "tokens_per_second"), { mean: true, zero: true }),
  ...memoryChart()));

const probed = runs.filter((run) => at(run, "edits", "blocks"));
if (probed.length > 0) {
  const byLayer = (key) => (run) => (at(run, "edits", "blocks") || []).map((block, x) => ({ x, y: block[key] }));
  section("What the adapters do", "Every block is given the same stream with and without its modules; the difference behind it is its edit, its size that of the difference over that of the stream.",
    element("div", { className: "charts" },
      ...lines("Size of the edits", "Mean over all tokens of the probed prompts.", "size", byLayer("mean"), { x: "layer", dots: true, zero: true }),
      ...lines("Effective rank of the edits", "exp of the entropy of the singular values of at most 64 edits.", "rank", byLayer("effective_rank"), { x: "layer", dots: true, zero: true }),
      ...probed.map(editMap)));
}
for (const run of runs.filter((r) => at(r, "edits", "skeletons"))) {
  section(`Skeletons of ${run.name}`, "The columns and rows that each matrix has lent to its update, layer by layer.",
    element("div", { className: "charts" }, ...skeletonFigures(run)));
}
const speakers = runs.filter((run) => (run.run.samples || []).length > 0);
if (speakers.length > 0) {
  section("Samples", "The likeliest continuation of each prompt, before training and after.",
    ...speakers.flatMap((run) => [element("h3", { textContent: run.name }), ...samples(run)]));
}
section("Settings", "As they were used; lines that differ stand out.", settingsTable());
darkness.addEventListener("change", redraw);
redraw();
document.documentElement.setAttribute("data-drawn", String(drawings.length));

"use strict";
// What the page knows: columns whose values are codes (of numbers bins in order, and missing), their distributions, draws
// of rows, and perhaps a server that asks the model itself.
const data = JSON.parse(document.getElementById("data").textContent);
const columns = data.columns;
const FEWEST = 30; // effective draws, below which no distribution is shown
const FEW_VALUES = 8; // of a card that is folded
const SOON = 120; // milliseconds without a change, before the model is asked
const MOST_CELLS = 10; // of a row, that are told
const GAP = 16; // pixels between cards
const NARROWEST = 304; // of them
const AT_ONCE = 24; // cards that are made at a time
const RADIUS = 100; // of the circle of columns; in its units
const LETTER = 6.6; // the width of one,
const FEWEST_LETTERS = 9; // for how many of a name there is room at least,
const MOST_LETTERS = 16; // and how many it has at most,
const WIDEST = 8; // and the line that tells most
const $ = (id) => document.getElementById(id);
const sum = (x) => x.reduce((a, b) => a + b, 0);

// ---- elements and text ----

function element(tag, properties = {}, ...children) {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(properties)) {
    if (name.startsWith("on")) made.addEventListener(name.slice(2), value);
    else if (name in made && name !== "style") made[name] = value;
    else made.setAttribute(name, value);
  }
  made.append(...children);
  return made;
}

function drawn(tag, attributes = {}) {
  const made = document.createElementNS("http://www.w3.org/2000/svg", tag);
  for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, value);
  return made;
}

/** Text that comes from the table: bounded, and of its own direction. */
const short = (text, most = 120) => (text.length > most ? `${text.slice(0, most - 1)}…` : text);
const isolated = (text) => `\u2068${short(text)}\u2069`;

function percent(share) {
  if (share === 0) return "0%";
  if (share < 0.001) return "<0.1%";
  if (share > 0.999 && share < 1) return ">99.9%";
  return `${(100 * share).toFixed(1)}%`;
}

function probability(logarithm) {
  const share = Math.exp(logarithm);
  if (share >= 0.001) return share < 0.1 ? `${(100 * share).toPrecision(3)}%` : percent(share);
  return `10^${(logarithm / Math.LN10).toFixed(1)}`.replace("-", "−");
}

function oneIn(logarithm) {
  const times = Math.exp(-logarithm);
  if (times < 1.05 || times > 1e12) return "";
  return `1 in ${times < 10 ? times.toFixed(1) : Math.round(times).toLocaleString("en")}`;
}

// ---- evidence: of a column its codes, as a set, or all others ----

const sides = ["a", "b"].map((name) => ({ name, evidence: new Map(), answer: null, asked: null }));
const state = { active: 0, comparing: false, order: "moved", search: "", shown: AT_ONCE, row: null };
const active = () => sides[state.active];
const shownSides = () => (state.comparing ? sides : sides.slice(0, 1));

/** Bins from one to another. */
function between(from, to) {
  const low = Math.min(from, to), high = Math.max(from, to);
  const codes = new Set();
  for (let bin = low; bin <= high; bin++) codes.add(bin);
  return { codes, not: false, from: low, to: high };
}

function same(a, b) {
  return a && b && a.codes.size === b.codes.size && a.from === b.from && [...a.codes].every((code) => b.codes.has(code));
}

/** Evidence told; the same once more denies it, and once more takes it back. */
function tell(j, told) {
  const { evidence } = active();
  const before = evidence.get(j);
  if (!same(before, told)) evidence.set(j, told);
  else if (before.not || told.codes.size === 0) evidence.delete(j);
  else evidence.set(j, { ...before, not: true });
  changed();
}

/** A value more, or one less, in the set of a column. */
function extend(j, code) {
  const { evidence } = active();
  const before = evidence.get(j);
  const codes = new Set(before && before.from === undefined ? before.codes : []);
  if (!codes.delete(code)) codes.add(code);
  if (codes.size) evidence.set(j, { codes, not: before ? before.not : false });
  else evidence.delete(j);
  changed();
}

function takeBack(j, side = active()) {
  side.evidence.delete(j);
  changed();
}

const wire = (evidence) => [...evidence].map(([column, { codes, not, from, to }]) =>
  ({ column, codes: [...codes].sort((a, b) => a - b), not, ...(from === undefined ? {} : { from, to }) }));

// ---- evidence as Python ----

/** Text as Python has it: JSON's escapes are Python's too. */
function quoted(text) {
  const told = JSON.stringify(text);
  return text.includes("'") ? told : `'${told.slice(1, -1).replaceAll('\\"', '"')}'`;
}

function literal(column, told) {
  const values = told.from !== undefined
    ? [`(${column.low[told.from]}, ${column.high[told.to]})`]
    : [...told.codes].sort((a, b) => a - b).flatMap((code) => column.literals?.[code] ?? quoted(column.labels[code]));
  return { values, one: values.length === 1 };
}

function python(evidence) {
  const given = [...evidence].map(([j, told]) => {
    const { values, one } = literal(columns[j], told);
    const value = one ? values[0] : `[${values.join(", ")}]`;
    return `${columns[j].literal}: ${told.not ? `{'not': ${value}}` : value}`;
  });
  const said = given.length ? `given={${given.join(", ")}}${data.options}` : data.options.slice(2);
  return `model.query(${said})`;
}

// ---- answers from draws ----

async function unpacked(text) {
  const bytes = Uint8Array.from(atob(text), (c) => c.charCodeAt(0));
  const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("deflate"));
  return new Uint8Array(await new Response(stream).arrayBuffer());
}

class Draws {
  constructor(bytes, n) {
    this.n = n;
    this.codes = columns.map((_, j) => bytes.subarray(j * n, (j + 1) * n));
  }

  /** What the draws say given evidence: of each column the shares of its codes among those that agree with it. */
  answer(evidence) {
    const agrees = new Uint8Array(this.n).fill(1);
    for (const [j, { codes, not }] of evidence) {
      const may = Uint8Array.from({ length: 256 }, (_, code) => codes.has(code) !== not);
      const drawn = this.codes[j];
      for (let i = 0; i < this.n; i++) agrees[i] &= may[drawn[i]];
    }
    const rows = [];
    agrees.forEach((agree, i) => agree && rows.push(i));
    const share = rows.length / this.n;
    const answer = { from: "draws", effective: rows.length, log: Math.log(share), shares: null, note: "",
      error: Math.sqrt((1 - share) / rows.length) }; // relative to the probability
    if (evidence.size === 0) return { ...answer, log: 0, error: 0, shares: columns.map((column) => column.before) };
    if (rows.length < FEWEST) {
      return { ...answer, note: `${rows.length} of ${data.draws.n.toLocaleString("en")} draws are like this: too few to tell` };
    }
    answer.shares = columns.map((column, j) => {
      const counts = new Float64Array(column.labels.length), drawn = this.codes[j];
      for (const i of rows) counts[drawn[i]]++; // of an unseen value, which has no label, nothing is counted
      return Array.from(counts, (count) => count / rows.length);
    });
    return answer;
  }
}

// ---- answers from the model, one question at a time: what was asked meanwhile and is not wanted any more is not asked ----

const asking = { busy: false, memory: new Map() };

async function ask() {
  if (!data.served || asking.busy || state.dragging) return;
  const side = shownSides().find((each) => each.asked !== null);
  if (!side) return;
  const question = side.asked;
  asking.busy = true;
  try {
    const answer = await post("query", question);
    asking.memory.set(question, answer);
    if (side.asked === question) Object.assign(side, { answer, asked: null });
  } catch (error) {
    if (side.asked === question) Object.assign(side, { asked: null, failed: error.message });
  }
  asking.busy = false;
  render();
  ask();
}

async function post(what, body) {
  let response;
  try {
    response = await fetch(what, { method: "POST", headers: { "Content-Type": "application/json" }, body });
  } catch {
    throw new Error("the server has ended; start treeflows explore again");
  }
  const told = await response.json();
  if (!response.ok) throw new Error(told.error);
  return told;
}

/** Answer anew, from the draws at once, and then by the model if there is a server. */
function changed() {
  for (const side of shownSides()) {
    const question = JSON.stringify({ given: wire(side.evidence) });
    if (question === side.question) continue;
    side.question = question;
    side.failed = null;
    side.asked = null;
    side.answer = asking.memory.get(question) ?? draws.answer(side.evidence);
    if (data.served && side.evidence.size && side.answer.from === "draws") side.asked = question;
  }
  render();
  clearTimeout(asking.timer);
  asking.timer = setTimeout(ask, SOON);
}

// ---- cards ----

class Card {
  constructor(j) {
    this.j = j;
    this.column = columns[j];
    this.unfolded = false;
    this.items = new Map();
    const longest = Math.max(...this.column.listed.map((code) => this.column.labels[code].length), 0);
    this.moved = element("span", { className: "moved" });
    this.bars = element("ul", { className: "bars", style: `--label: ${Math.min(longest + 4, 17)}ch`, onkeydown: (event) => this.walk(event) });
    this.fold = element("button", { className: "fold", type: "button", onclick: () => {
      this.unfolded = !this.unfolded;
      render();
    } });
    this.heights = new Map();
    this.element = element("article", { className: "card", "aria-label": isolated(this.column.name), onkeydown: (event) => {
      if (event.key !== "Escape") return;
      event.preventDefault();
      if (active().evidence.has(j)) takeBack(j);
      else document.activeElement.blur();
    } }, element("header", {}, element("h2", { title: short(this.column.name, 500), dir: "auto" }, short(this.column.name)), this.moved));
    if (this.column.bins) this.element.append(...this.makePlot());
    this.element.append(this.bars, this.fold);
    if (this.column.with.length) {
      this.element.append(element("p", { className: "with" }, "shares most with ", ...this.column.with.map((other) =>
        element("button", { type: "button", title: `Go to ${short(columns[other].name)}`, onclick: () => goTo(other) },
          element("bdi", {}, short(columns[other].name, 24))))));
    }
  }

  /** Distributions to draw: before, and of each side given its evidence, or none. */
  get told() {
    return [this.column.before, ...shownSides().map((side) => side.answer?.shares?.[this.j] ?? null)];
  }

  update() {
    const told = this.told, { column, j } = this;
    const moved = distance(j);
    const isTold = shownSides().some((side) => side.evidence.has(j));
    this.moved.textContent = isTold ? "evidence" : moved === null ? "" : `${state.comparing ? "apart" : "moved"} ${percent(moved)}`;
    this.moved.classList.toggle("much", !isTold && moved > 0.1);
    this.element.classList.toggle("told", isTold);
    this.element.classList.toggle("compared", state.comparing);
    this.element.classList.toggle("asking", shownSides().some((side) => side.asked !== null && side.answer.shares === null));
    if (column.bins) this.updatePlot(told);
    this.updateBars(told);
  }

  /** In pixels: measured once for each number of bars, since it is measuring that takes time. */
  get height() {
    const lines = `${this.bars.children.length} ${this.fold.hidden}`;
    if (!this.heights.has(lines)) this.heights.set(lines, this.element.offsetHeight);
    return this.heights.get(lines);
  }

  // ---- bars of values ----

  updateBars(told) {
    const { column } = this;
    const greatest = (code) => Math.max(...told.map((shares) => (shares ? shares[code] : 0)));
    const said = (code) => shownSides().some((side) => {
      const evidence = side.evidence.get(this.j);
      return evidence && evidence.from === undefined && evidence.codes.has(code);
    });
    const all = column.listed;
    let listed = all;
    if (!this.unfolded && all.length > FEW_VALUES + 1) {
      const most = new Set([...all].sort((a, b) => said(b) - said(a) || greatest(b) - greatest(a)).slice(0, FEW_VALUES));
      listed = all.filter((code) => most.has(code) || said(code));
    }
    const scale = Math.max(...all.map(greatest), 1e-9);
    const items = listed.map((code) => this.updateItem(code, told, scale));
    if (items.length !== this.bars.children.length || items.some((item, i) => this.bars.children[i] !== item)) {
      const focused = document.activeElement;
      this.bars.replaceChildren(...items);
      if (items.some((item) => item.contains(focused))) focused.focus();
    }
    items.forEach((item, i) => { item.firstChild.tabIndex = item.firstChild === document.activeElement || i === 0 ? 0 : -1; });
    const left = all.length - listed.length;
    this.fold.hidden = all.length <= FEW_VALUES + 1;
    this.fold.textContent = this.unfolded ? "fewer" : `${left} more`;
  }

  updateItem(code, told, scale) {
    const item = this.items.get(code) ?? this.makeItem(code);
    const { button, before, tracks, share, mark, here } = item.parts;
    before.style.width = `${(100 * told[0][code]) / scale}%`;
    const shares = told.slice(1).map((each) => (each ? each[code] : null));
    shares.forEach((each, i) => { tracks[i].style.transform = `scaleX(${(each ?? 0) / scale})`; });
    share.replaceChildren(shares[0] === null ? "—" : percent(shares[0]));
    if (state.comparing) share.append(element("span", { className: "other" }, shares[1] === null ? "—" : percent(shares[1])));
    const side = shownSides().find((each) => each.evidence.has(this.j) && each === active())
      ?? shownSides().find((each) => each.evidence.has(this.j));
    const evidence = side?.evidence.get(this.j);
    const has = evidence && evidence.from === undefined && evidence.codes.has(code);
    button.classList.toggle("is", Boolean(has && !evidence.not));
    button.classList.toggle("not", Boolean(has && evidence.not));
    button.classList.toggle("side-b", Boolean(has && side.name === "b"));
    mark.textContent = has ? (evidence.not ? "≠" : "=") : "";
    mark.hidden = !has;
    here.hidden = state.row?.codes[this.j] !== code;
    button.setAttribute("aria-pressed", has ? (evidence.not ? "mixed" : "true") : "false");
    const says = shares.map((each, i) => `${state.comparing ? `${sides[i].name.toUpperCase()} ` : ""}${each === null ? "unknown" : percent(each)}`);
    button.setAttribute("aria-label",
      `${isolated(this.column.labels[code])}${has && evidence.not ? ", excluded" : ""}: ${says.join(", ")}, before ${percent(told[0][code])}`);
    button.title = `${short(this.column.labels[code], 500)}\n${says.join(", ")}, before ${percent(told[0][code])}`;
    return item;
  }

  makeItem(code) {
    const mark = element("span", { className: "mark" });
    const here = element("span", { className: "here", title: "of the row that is looked at" }, " ◂");
    const before = element("span", { className: "before" });
    const tracks = ["a", "b"].map((name) => element("span", { className: name }));
    const share = element("span", { className: "share" });
    const { column, j } = this;
    const button = element("button", { className: "value", type: "button", onclick: (event) => {
      if (event.shiftKey || event.ctrlKey || event.metaKey) extend(j, code);
      else tell(j, { codes: new Set([code]), not: false });
    } }, element("span", { className: "label", dir: "auto" }, mark, short(column.labels[code]), here),
    element("span", { className: "track" }, ...tracks, before), share);
    const item = element("li", {}, button);
    item.parts = { button, before, tracks, share, mark, here };
    this.items.set(code, item);
    return item;
  }

  /** Arrows walk through the values of a card; Tab goes on to the next card. */
  walk(event) {
    const items = [...this.bars.children], at = items.findIndex((item) => item.contains(document.activeElement));
    const to = { ArrowDown: at + 1, ArrowUp: at - 1, Home: 0, End: items.length - 1 }[event.key];
    if (event.key === "Enter" && event.shiftKey) {
      event.preventDefault();
      extend(this.j, [...this.items].find(([, item]) => item === items[at])[0]);
    } else if (to !== undefined && items[to]) {
      event.preventDefault();
      items[at].firstChild.tabIndex = -1;
      items[to].firstChild.tabIndex = 0;
      items[to].firstChild.focus();
    }
  }

  // ---- bins of numbers ----

  makePlot() {
    const { bins } = this.column;
    this.before = drawn("path", { class: "before" });
    this.filled = ["a", "b"].map((name) => drawn("path", { class: name }));
    this.at = drawn("rect", { class: "at", y: 0, height: 1, width: 1, visibility: "hidden" });
    this.chosen = ["a", "b"].map((name) => drawn("rect", { class: `chosen side-${name}`, y: 0, height: 1, visibility: "hidden" }));
    this.hereLine = drawn("line", { class: "here", y1: 0, y2: 1, visibility: "hidden" });
    const svg = drawn("svg", { viewBox: `0 0 ${bins} 1`, preserveAspectRatio: "none", "aria-hidden": "true" });
    const floor = drawn("line", { class: "floor", x1: 0, x2: bins, y1: 1, y2: 1 });
    svg.append(floor, ...this.chosen, this.at, this.filled[0], this.before, this.filled[1], this.hereLine);
    this.plot = element("div", { className: "plot", tabIndex: 0, role: "slider", "aria-label": `Range of ${isolated(this.column.name)}`,
      "aria-valuemin": 0, "aria-valuemax": bins - 1, "aria-valuenow": Math.floor(bins / 2), onkeydown: (event) => this.steer(event),
      onpointerdown: (event) => this.press(event), onpointermove: (event) => this.drag(event),
      onpointerup: () => this.release(), onpointercancel: () => { this.pressed = null; },
      onpointerleave: () => this.pressed ?? this.look(null), onblur: () => this.look(null) }, svg);
    this.tall = element("span", { className: "tall", title: "This bar is taller than the picture" });
    this.plot.append(this.tall);
    this.readout = element("p", { className: "read" });
    const ticks = element("div", { className: "ticks", "aria-hidden": "true" }, ...this.column.ticks.map(([at, text]) =>
      element("span", { className: at < 0.08 ? "first" : at > 0.92 ? "last" : "", style: `left:${100 * at}%` }, text)));
    this.cursor = null;
    return [this.plot, ticks, this.readout];
  }

  updatePlot(told) {
    const { bins } = this.column;
    const greatest = Array.from({ length: bins }, (_, bin) => Math.max(...told.map((shares) => shares?.[bin] ?? 0)));
    const [most, second] = [...greatest].sort((a, b) => b - a);
    const isCut = second > 0 && most > 5 * second; // one bin that would leave no height to the others
    const top = Math.max(isCut ? 2.5 * second : most, 1e-9) * 1.04;
    this.tall.hidden = !isCut;
    if (isCut) {
      const bin = greatest.indexOf(most), at = (bin + 1) / bins;
      this.tall.textContent = told.slice(1).map((shares) => (shares ? percent(shares[bin]) : "—")).join(" | ");
      this.tall.style.insetInlineStart = at < 0.6 ? `calc(${100 * at}% + 4px)` : "";
      this.tall.style.insetInlineEnd = at < 0.6 ? "" : `calc(${100 * (1 - bin / bins)}% + 4px)`;
    }
    const outline = (shares, closed) => {
      let path = `M0,1`;
      for (let bin = 0; bin < bins; bin++) path += `V${Math.max(1 - shares[bin] / top, 0).toFixed(4)}H${bin + 1}`;
      return `${path}V1${closed ? "Z" : ""}`;
    };
    this.before.setAttribute("d", outline(told[0], false));
    this.filled.forEach((path, i) => path.setAttribute("d", told[i + 1] ? outline(told[i + 1], i === 0) : ""));
    this.chosen.forEach((rect, i) => {
      const evidence = i < shownSides().length ? sides[i].evidence.get(this.j) : null;
      this.mark(rect, evidence?.from !== undefined ? evidence : null);
      rect.classList.toggle("not", Boolean(evidence?.not));
    });
    const here = state.row?.codes[this.j] ?? -1;
    this.hereLine.setAttribute("visibility", here >= 0 && here < bins ? "visible" : "hidden");
    this.hereLine.setAttribute("x1", here + 0.5);
    this.hereLine.setAttribute("x2", here + 0.5);
    this.read();
  }

  mark(rect, range) {
    rect.setAttribute("visibility", range ? "visible" : "hidden");
    if (!range) return;
    rect.setAttribute("x", range.from);
    rect.setAttribute("width", range.to - range.from + 1);
  }

  /** Look at a bin, or at none. */
  look(bin) {
    this.cursor = bin;
    this.mark(this.at, bin === null ? null : { from: bin, to: bin });
    this.read();
  }

  read() {
    const { column, cursor } = this, told = this.told;
    if (cursor === null) {
      const texts = shownSides().map(({ evidence, answer }) => (evidence.size === 0 ? column.middle
        : answer?.middles?.[this.j] ?? (answer?.shares ? middle(column, answer.shares[this.j]) : ""))).filter(Boolean);
      this.readout.textContent = texts.map((text, i) => (state.comparing ? `${"AB"[i]} ${text}` : text)).join("  ·  ");
    } else {
      const says = told.slice(1).map((shares) => (shares ? percent(shares[cursor]) : "—")).join(" | ");
      this.readout.textContent = `${column.labels[cursor]}: ${says}, before ${percent(told[0][cursor])}`;
      this.plot.setAttribute("aria-valuenow", cursor);
      this.plot.setAttribute("aria-valuetext", this.readout.textContent);
    }
  }

  binAt(event) {
    const box = this.plot.getBoundingClientRect();
    const at = Math.floor(((event.clientX - box.left) / box.width) * this.column.bins);
    return Math.min(Math.max(at, 0), this.column.bins - 1);
  }

  press(event) {
    if (event.button !== 0) return;
    this.plot.setPointerCapture(event.pointerId);
    const bin = this.binAt(event);
    this.pressed = { from: bin, to: bin, before: active().evidence.get(this.j), dragged: false };
  }

  drag(event) {
    const bin = this.binAt(event);
    this.look(bin);
    if (!this.pressed || (bin === this.pressed.to && !this.pressed.dragged)) return;
    Object.assign(this.pressed, { to: bin, dragged: true });
    active().evidence.set(this.j, between(this.pressed.from, bin));
    state.dragging = true; // the cards stay where they are
    changed();
  }

  release() {
    const { pressed } = this;
    this.pressed = null;
    if (!pressed) return;
    state.dragging = false;
    if (pressed.dragged) { render(); ask(); } else if (pressed.before?.from !== undefined && pressed.from >= pressed.before.from && pressed.from <= pressed.before.to)
      tell(this.j, between(pressed.before.from, pressed.before.to));
    else tell(this.j, between(pressed.from, pressed.from));
  }

  /** Arrows move through the bins, with Shift they widen the range; Enter tells it, denies it, takes it back. */
  steer(event) {
    const { bins } = this.column, at = this.cursor ?? Math.floor(bins / 2);
    const to = { ArrowRight: at + 1, ArrowLeft: at - 1, Home: 0, End: bins - 1 }[event.key];
    if (to !== undefined) {
      event.preventDefault();
      const bin = this.cursor === null && event.key.startsWith("Arrow") ? at : Math.min(Math.max(to, 0), bins - 1);
      this.look(bin);
      if (!event.shiftKey) { this.anchor = bin; return; }
      this.anchor ??= at;
      active().evidence.set(this.j, between(this.anchor, bin));
      changed();
    } else if (event.key === "Enter" || event.key === " ") {
      event.preventDefault();
      const range = active().evidence.get(this.j);
      const within = range?.from !== undefined && at >= range.from && at <= range.to;
      tell(this.j, within ? between(range.from, range.to) : between(at, at));
    }
  }
}

/** Where the median of the numbers lies, by their bins. */
function middle(column, shares) {
  const mass = shares.slice(0, column.bins);
  const total = sum(mass);
  if (total < 1e-6) return "";
  const at = (q) => {
    let below = 0, bin = 0;
    while (bin < mass.length - 1 && below + mass[bin] < q * total) below += mass[bin++];
    return column.labels[bin];
  };
  return `median: ${at(0.5)}`;
}

/** How far a column moved, as the share of probability that did; between the two sides, where there are two. */
function distance(j) {
  const told = state.comparing ? sides.map((side) => side.answer?.shares?.[j]) : [columns[j].before, sides[0].answer?.shares?.[j]];
  if (!told[0] || !told[1] || (!sides[0].evidence.size && !(state.comparing && sides[1].evidence.size))) return null;
  return 0.5 * sum(told[0].map((share, code) => Math.abs(share - told[1][code])));
}

const cards = new Map();

function cardOf(j) {
  if (!cards.has(j)) cards.set(j, new Card(j));
  return cards.get(j);
}

/** Bring the card of a column into sight. */
function goTo(j) {
  state.search = $("search").value = "";
  state.shown = Math.max(state.shown, ordered().indexOf(j) + 1);
  render();
  const { element: card } = cardOf(j);
  card.querySelector("button, .plot").focus({ preventScroll: true });
  const glide = matchMedia("(prefers-reduced-motion: reduce)").matches ? "auto" : "smooth";
  setTimeout(() => card.scrollIntoView({ block: "center", behavior: glide }), 300); // once it is where it belongs
}

/** Columns in the order in which their cards stand: those that evidence names first. */
function ordered() {
  const text = state.search.toLowerCase();
  const found = columns.map((_, j) => j).filter((j) => text === "" || columns[j].name.toLowerCase().includes(text)
    || (!columns[j].bins && columns[j].labels.some((label) => label.toLowerCase().includes(text))));
  if (state.order === "name") return found.sort((i, j) => columns[i].name.localeCompare(columns[j].name));
  if (state.order === "table") return found;
  const named = shownSides().flatMap((side) => [...side.evidence.keys()]);
  const place = new Map([...new Set(named)].map((j, i) => [j, i]));
  const moved = new Map(found.map((j) => [j, distance(j)]));
  return found.sort((i, j) => (place.get(i) ?? Infinity) - (place.get(j) ?? Infinity) || 0
    || (moved.get(j) ?? 0) - (moved.get(i) ?? 0) || columns[j].dependence - columns[i].dependence || i - j);
}

// ---- the page ----

function render() {
  renderEvidence();
  const grid = $("cards");
  const all = state.dragging ? state.listed : ordered();
  state.listed = all;
  const listed = all.slice(0, state.shown);
  const wanted = listed.map((j) => cardOf(j));
  wanted.forEach((card) => card.update());
  document.body.classList.toggle("as-is", shownSides().every((side) => side.evidence.size === 0));
  if (!state.dragging) arrange(grid, wanted);
  const left = all.length - listed.length;
  $("more").textContent = left ? `${left.toLocaleString("en")} more columns` : all.length ? "" : "No column or value has this in its name.";
}

/** Cards in their order, for eyes and keys alike, each in the column that is shortest so far; they glide there. */
function arrange(grid, cards) {
  cards.forEach(({ element }, i) => {
    const now = grid.children[i];
    if (now === element) return;
    if (grid.moveBefore && element.isConnected) grid.moveBefore(element, now ?? null); // which keeps focus and glide
    else grid.insertBefore(element, now ?? null);
  });
  while (grid.children.length > cards.length) grid.lastElementChild.remove();
  const across = Math.max(Math.floor((state.width + GAP) / (NARROWEST + GAP)), 1);
  const width = (state.width - GAP * (across - 1)) / across;
  grid.style.setProperty("--width", `${width}px`);
  const ends = new Array(across).fill(0);
  const heights = cards.map((card) => card.height); // all at once, before anything is moved
  cards.forEach(({ element }, i) => {
    const column = ends.indexOf(Math.min(...ends));
    element.style.transform = `translate(${column * (width + GAP)}px, ${ends[column]}px)`;
    ends[column] += heights[i] + GAP;
  });
  grid.style.height = `${Math.max(...ends)}px`;
}

function renderEvidence() {
  $("sides").replaceChildren(...shownSides().map(sideElement));
  const lines = shownSides().map((side) => python(side.evidence));
  $("python").textContent = lines.join("\n");
  const told = shownSides().map((side) => worth(side).join(" ")).join(". ");
  if ($("said").textContent !== told && !state.dragging) $("said").textContent = told;
}

function sideElement(side, i) {
  const chips = [...side.evidence].map(([j, told]) => chip(side, j, told));
  const [strong, small] = worth(side);
  const made = element("div", { className: `side${side === active() ? " active" : ""}${state.comparing ? " of-two" : ""}`, "data-side": side.name });
  if (state.comparing) {
    made.append(element("button", { className: "badge", type: "button", title: "Evidence goes here", "aria-pressed": String(side === active()),
      onclick: () => { state.active = i; render(); } }, side.name.toUpperCase()));
  }
  const empty = element("span", { className: "dim" }, state.comparing && side !== active() ? "No evidence: the table as it is."
    : "Click a value, or drag across numbers: what if?");
  const list = element("div", { className: "chips" }, ...(chips.length ? chips : [empty]));
  if (chips.length > 1) list.append(element("button", { className: "clear-all", type: "button", onclick: () => { side.evidence.clear(); changed(); } }, "clear"));
  made.append(list, element("div", { className: `worth${side.answer?.shares ? "" : " refused"}` }, element("strong", {}, strong), element("small", {}, small)));
  return made;
}

function chip(side, j, told) {
  const column = columns[j], codes = [...told.codes].sort((a, b) => a - b);
  const text = told.from !== undefined ? rangeLabel(column, told) : codes.slice(0, 3).map((code) => short(column.labels[code], 40)).join(" or ")
    + (codes.length > 3 ? ` or ${codes.length - 3} more` : "");
  const name = isolated(column.name), again = () => { side.evidence.set(j, { ...told, not: !told.not }); changed(); };
  return element("span", { className: `chip${told.not ? " not" : ""}` },
    element("button", { className: "what", type: "button", title: `${short(column.name, 200)}: click to deny or confirm`,
      "aria-label": `${name} ${told.not ? "is not" : "is"} ${isolated(text)}: turn round`, onclick: again },
    element("bdi", {}, short(column.name, 24)), element("i", {}, told.not ? " is not " : " is "), element("b", {}, element("bdi", {}, short(text, 80)))),
    element("button", { type: "button", "aria-label": `Take back ${name}`, title: "Take back", onclick: () => takeBack(j, side) }, "×"));
}

function rangeLabel(column, { from, to }) {
  return from === to ? column.labels[from] : `${column.starts[from]} to ${column.ends[to]}`;
}

/** What the evidence of a side is worth: in large type, and in small. */
function worth(side) {
  const { answer, evidence } = side;
  if (evidence.size === 0) return ["", `${data.draws.n.toLocaleString("en")} draws`];
  if (side.failed) return ["no answer", side.failed];
  if (answer.shares === null) {
    if (side.asked) return ["…", "hardly any draw is like this: asking the model"];
    return ["too rare", `${answer.note}; take something back${data.served ? "" : ", or ask the model by the line below"}`];
  }
  const draws = `worth ${Math.round(answer.effective ?? 0).toLocaleString("en")} draws`;
  const error = 100 * answer.error * Math.exp(answer.log);
  const how = answer.effective === null ? "exact" : `± ${error < 0.01 ? `${(100 * answer.error).toPrecision(2)}% of that` : `${error.toPrecision(2)}%`}, ${draws}`;
  const what = answer.density ? "density" : oneIn(answer.log);
  return [probability(answer.log), `${what ? `${what}, ` : ""}${how}${side.asked ? " · asking the model" : ""}`];
}

// ---- rows of the table ----

function renderRow(row) {
  state.row = row;
  $("row").value = row.row;
  for (const button of $("oddest").children) button.setAttribute("aria-pressed", String(Number(button.dataset.row) === row.row));
  const most = Math.max(...row.cells.map((cell) => cell.surprise), 5);
  const lines = [...row.cells].sort((a, b) => b.surprise - a.surprise).slice(0, MOST_CELLS).map((cell) => element("tr", {},
    element("td", { dir: "auto", title: short(columns[cell.column].name, 300) }, short(columns[cell.column].name, 60)),
    element("td", { dir: "auto", className: cell.surprise > 3 ? "odd" : "", title: short(cell.text, 300) }, short(cell.text, 60)),
    element("td", { dir: "auto", title: short(cell.likely, 300) }, cell.likely === cell.text ? "as it is" : short(cell.likely, 60)),
    element("td", {}, element("span", { className: "surprise", style: `width:${(6 * cell.surprise) / most}rem` }), oneIn(-cell.surprise) || "expected")));
  const odds = "How probable the cell is given the rest of its row; of a number, one as far out or farther";
  const head = ["column", "cell", "likeliest", "odds of it"].map((text, i) => element("th", { title: i === 3 ? odds : "" }, text));
  const table = element("table", {}, element("thead", {}, element("tr", {}, ...head)), element("tbody", {}, ...lines));
  $("cells").replaceChildren(element("p", { className: "dim" },
    `Log-likelihood ${row.log_likelihood.toFixed(2)} nats. `,
    element("button", { type: "button", onclick: () => evidenceOf(row) }, "Take all but the oddest cell as evidence")), table,
  element("p", { className: "dim" }, row.cells.length > MOST_CELLS ? `${row.cells.length - MOST_CELLS} more cells surprise less.` : ""),
  element("div", { className: "python" }, element("code", {}, row.python)));
  render();
}

/** The values of a row as evidence, but for the cell that surprises most: what would stand there? */
function evidenceOf(row) {
  const oddest = [...row.cells].sort((a, b) => b.surprise - a.surprise)[0].column;
  const { evidence } = active();
  evidence.clear();
  row.codes.forEach((code, j) => {
    if (j === oddest || code < 0 || code >= columns[j].labels.length) return;
    evidence.set(j, code < columns[j].bins ? between(code, code) : { codes: new Set([code]), not: false });
  });
  changed();
}

async function showRow(number) {
  state.wanted = number;
  const say = (text) => $("cells").replaceChildren(element("p", { className: "dim" }, text));
  let row = data.rows.told.find((each) => each.row === number);
  try {
    if (!row) {
      say("Asking the model…");
      row = await post("row", JSON.stringify({ row: number }));
      data.rows.told.push(row);
    }
    if (state.wanted === number) renderRow(row);
  } catch (error) {
    if (state.wanted === number) say(error.message);
  }
}

function startRows() {
  if (!data.rows) return;
  $("rows").hidden = false;
  $("rows").firstElementChild.textContent = `Rows of the table: ${data.rows.n.toLocaleString("en")}, the oddest first`;
  $("row").max = data.rows.n - 1;
  if (!data.served) $("row").parentElement.hidden = true;
  $("row").addEventListener("change", (event) => event.target.value !== "" && showRow(Number(event.target.value)));
  $("oddest").append(...data.rows.oddest.map(({ row, log_likelihood: score }) => element("button", { type: "button", "data-row": row,
    title: `log-likelihood ${score.toFixed(1)} nats`, onclick: () => showRow(row) }, String(row))));
  $("rows").addEventListener("toggle", () => {
    if ($("rows").open && !state.row && data.rows.oddest.length) showRow(data.rows.oddest[0].row);
    else if (!$("rows").open && state.row) { state.row = null; render(); }
  });
}

// ---- how the columns hang together: a circle, and the same as a list ----

const worthOf = (line) => `${line.nats.toFixed(3)} ± ${line.error.toFixed(3)}`;

/** Arrows walk through elements of which Tab reaches one. */
function walkable(items) {
  items.forEach((item, i) => {
    item.setAttribute("tabindex", i === 0 ? 0 : -1);
    item.addEventListener("keydown", (event) => {
      const step = { ArrowDown: 1, ArrowRight: 1, ArrowUp: -1, ArrowLeft: -1 }[event.key];
      if (!step) return;
      event.preventDefault();
      items[(i + step + items.length) % items.length].focus();
    });
    item.addEventListener("focus", () => items.forEach((each) => each.setAttribute("tabindex", each === item ? 0 : -1)));
  });
}

function renderGraph({ about, python: call, columns: around, places, lines }) {
  const names = around.map((j) => short(columns[j].name, MOST_LETTERS));
  const half = 1.08 * RADIUS + LETTER * Math.max(FEWEST_LETTERS, ...names.map((name) => name.length));
  const svg = drawn("svg", { viewBox: `${-half} ${-half} ${2 * half} ${2 * half}`, role: "group", "aria-label": "Columns on a circle" });
  const at = new Map(around.map((j, i) => [j, places[i].map((x, axis) => (axis ? -x : x) * RADIUS)]));
  const read = element("p", { className: "read" });
  const hint = lines.length ? "Point at a line or a column; a click goes to the column." : "";
  const made = lines.map((line) => {
    const [x, y] = line.bend.map((x, axis) => (axis ? -x : x) * RADIUS);
    const shape = { d: `M${at.get(line.column)}Q${x},${y} ${at.get(line.on)}` };
    const share = line.nats / lines[0].nats;
    const thin = drawn("path", { ...shape, class: "line", "stroke-width": Math.max(WIDEST * share, 1), "stroke-opacity": 0.4 + 0.5 * Math.sqrt(share) });
    const wide = drawn("path", { ...shape, class: "wide" }); // easier to point at
    const button = element("button", { type: "button", title: `Go to ${short(columns[line.column].name)}`, onclick: () => goTo(line.column) },
      element("span", {}, element("bdi", {}, short(columns[line.column].name, 40)), " on ", element("bdi", {}, short(columns[line.on].name, 40))),
      element("span", {}, worthOf(line)), element("span", {}, percent(line.share)));
    return { line, thin, wide, button };
  });
  const nodes = around.map((j, i) => {
    const [x, y] = at.get(j), isLeft = x < -1e-6, turned = (Math.atan2(y, x) * 180) / Math.PI + (isLeft ? 180 : 0);
    const isAlone = !lines.some((line) => line.column === j || line.on === j);
    const dot = drawn("circle", { cx: x, cy: y, r: 3.5, class: isAlone ? "alone" : "" });
    const label = drawn("text", { "text-anchor": isLeft ? "end" : "start", transform: `translate(${1.07 * x} ${1.07 * y}) rotate(${turned})` });
    label.textContent = names[i];
    const node = drawn("g", { role: "button", "aria-label": `${isolated(columns[j].name)}: ${toldOf(j, lines)}` });
    node.append(dot, label);
    node.addEventListener("click", () => goTo(j));
    node.addEventListener("keydown", (event) => {
      if (event.key !== "Enter" && event.key !== " ") return;
      event.preventDefault();
      goTo(j);
    });
    return { j, node };
  });
  /** Make some lines stand out, and say what they tell. */
  const pick = (which, text) => {
    const some = made.filter(({ line }) => which(line));
    svg.classList.toggle("picked", text !== "");
    for (const { line, thin, button } of made) [thin, button].forEach((each) => each.classList.toggle("on", text !== "" && which(line)));
    for (const { j, node } of nodes) node.classList.toggle("on", text.startsWith(`${isolated(columns[j].name)}:`) || some.some(({ line }) => line.column === j || line.on === j));
    read.textContent = text || hint;
  };
  const picks = (target, which, text) => {
    for (const name of ["pointerenter", "focus"]) target.addEventListener(name, () => pick(which, text));
    for (const name of ["pointerleave", "blur"]) target.addEventListener(name, () => pick(() => false, ""));
  };
  for (const { line, wide, button } of made) {
    const text = `${isolated(columns[line.column].name)} on ${isolated(columns[line.on].name)}: ${worthOf(line)} nats, ${percent(line.share)} of its entropy`;
    picks(wide, (each) => each === line, text);
    picks(button, (each) => each === line, text);
    wide.addEventListener("click", () => goTo(line.column));
  }
  for (const { j, node } of nodes) picks(node, (line) => line.column === j || line.on === j, node.getAttribute("aria-label"));
  svg.append(...made.map(({ thin }) => thin).reverse(), ...made.map(({ wide }) => wide), ...nodes.map(({ node }) => node));
  walkable(nodes.map(({ node }) => node));
  walkable(made.map(({ button }) => button));
  pick(() => false, "");
  const what = lines.length ? `What a column depends on: nats that another tells of it beyond those that tell more, and their share of its entropy, told from chance in ${about}.`
    : `No column tells of another more than by chance, in ${about}.`;
  $("hanging").replaceChildren(element("div", { className: "graph" }, element("p", { className: "dim" }, what), read, svg,
    element("ol", { "aria-label": "Which column depends on which" }, ...made.map(({ button }) => element("li", {}, button))),
    element("div", { className: "python" }, element("code", {}, call))));
}

/** What the lines of a column say, in words. */
function toldOf(j, lines) {
  const told = lines.filter((line) => line.column === j || line.on === j)
    .map((line) => `${isolated(columns[line.column === j ? line.on : line.column].name)} ${worthOf(line)} nats`);
  return told.slice(0, 3).join(", ") + (told.length > 3 ? `, and ${told.length - 3} more` : "") || "nothing";
}

async function showGraph() {
  if (!$("graph").open || $("hanging").querySelector(".graph")) return;
  $("hanging").replaceChildren(element("p", { className: "dim" }, "Asking the model…"));
  try {
    renderGraph(data.graph ?? await post("graph", "{}"));
  } catch (error) {
    $("hanging").replaceChildren(element("p", { className: "dim" }, error.message));
  }
}

// ---- controls ----

async function copied() {
  const text = $("python").textContent;
  try {
    await navigator.clipboard.writeText(text);
  } catch { // where a page may not: chosen, so that keys can copy it
    getSelection().selectAllChildren($("python"));
    document.execCommand("copy");
  }
  $("copy").textContent = "Copied";
  setTimeout(() => { $("copy").textContent = "Copy"; }, 1200);
}

function start() {
  $("title").textContent = short(data.title, 200);
  $("about").textContent = data.about;
  $("search").addEventListener("input", (event) => { state.search = event.target.value.trim(); state.shown = AT_ONCE; render(); });
  $("order").addEventListener("change", (event) => { state.order = event.target.value; render(); });
  $("compare").addEventListener("click", () => {
    state.comparing = !state.comparing;
    state.active = state.comparing ? 1 : 0;
    $("compare").setAttribute("aria-pressed", String(state.comparing));
    changed();
  });
  $("copy").addEventListener("click", copied);
  document.addEventListener("keydown", (event) => {
    if (event.key === "/" && !event.target.matches("input, select, textarea")) { event.preventDefault(); $("search").focus(); }
    if (event.key === "Escape" && event.target === $("search")) { $("search").value = state.search = ""; render(); }
  });
  new IntersectionObserver(([seen]) => {
    if (seen.isIntersecting && state.shown < columns.length) { state.shown += AT_ONCE; render(); }
  }, { rootMargin: "800px" }).observe($("more"));
  new ResizeObserver(([{ contentRect }]) => {
    if (contentRect.width === state.width) return;
    state.width = contentRect.width;
    for (const card of cards.values()) card.heights.clear();
    render();
  }).observe($("cards"));
  state.width = $("cards").clientWidth;
  startRows();
  $("graph").hidden = columns.length < 2;
  $("graph").addEventListener("toggle", showGraph);
  changed();
  document.documentElement.dataset.ready = "true";
}

let draws;
unpacked(data.draws.packed).then((bytes) => { draws = new Draws(bytes, data.draws.n); start(); }).catch((error) => {
  $("more").textContent = `This browser cannot show the page: ${error.message}`;
});

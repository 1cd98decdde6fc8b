// Somebody's week of duty, painted: by dragging, by keyboard, with a finger. What is sent are the text fields beside it,
// which work without this script too; every change of one is a change of the other.

import { guard } from "./unsaved.js";

const DAY = 1440; // minutes
const WEEK = 7 * DAY;
const SLOT = 30; // minutes of a cell
const SLOTS = DAY / SLOT;
const HOLD = 350; // ms: a finger that rests so long paints, one that moves before scrolls
const PART = /^\s*(\d{1,2})(?:[:.](\d\d))?\s*[-\u2013]\s*(\d{1,2})(?:[:.](\d\d))?\s*$/;

// The intervals of a day's field, [from, to) in minutes; one over midnight ends after 1440. Null: it cannot be read.
export function parse(text) {
  const found = [];
  for (const part of text.split(/[,;]/).filter((one) => one.trim())) {
    const said = PART.exec(part);
    if (!said) return null;
    const [from, to] = [said.slice(1, 3), said.slice(3, 5)].map(([hour, minute]) => Number(hour) * 60 + Number(minute ?? 0));
    if (Math.max(from, to) >= DAY || from === to || Number(said[2] ?? 0) > 59 || Number(said[4] ?? 0) > 59) return null;
    found.push([from, to > from ? to : to + DAY]);
  }
  return found;
}

// The fields of the seven days for what is painted, `minutes` of a week each 0 or 1. Nothing may begin and end at the
// same time of day, so that a whole day is two halves.
export function say(minutes, mark = ":") {
  const days = Array.from({ length: 7 }, () => []);
  const clock = (at) => `${String(Math.floor(at / 60)).padStart(2, "0")}${mark}${String(at % 60).padStart(2, "0")}`;
  for (let [at, left] of runs(minutes)) {
    while (left > 0) {
      const [day, from] = [Math.floor(at / DAY) % 7, at % DAY];
      const piece = left < DAY ? left : from === 0 ? DAY / 2 : DAY - from;
      days[day].push([from, `${clock(from)}-${clock((from + piece) % DAY)}`]);
      [at, left] = [at + piece, left - piece];
    }
  }
  return days.map((one) => one.sort((a, b) => a[0] - b[0]).map((piece) => piece[1]).join(", "));
}

// Stretches of ones, [start, length]; Sunday goes on into Monday.
function runs(minutes) {
  const first = minutes.findIndex((on, at) => !on && minutes[(at + 1) % WEEK]);
  if (first < 0) return minutes[0] ? [[0, WEEK]] : [];
  const found = [];
  for (let step = 1; step <= WEEK; step += 1) {
    const at = (first + step) % WEEK;
    if (minutes[at] && !minutes[(at + WEEK - 1) % WEEK]) found.push([at, 0]);
    if (minutes[at]) found.at(-1)[1] += 1;
  }
  return found;
}

// The minutes of a week, each 0 or 1, that the fields of its days mean; one that cannot be read means none.
function painted(texts) {
  const minutes = new Uint8Array(WEEK);
  texts.forEach((text, day) => {
    for (const [from, to] of parse(text) ?? []) {
      for (let at = from; at < to; at += 1) minutes[(day * DAY + at) % WEEK] = 1;
    }
  });
  return minutes;
}

function minutesOf(minutes, day, slot) {
  const from = day * DAY + slot * SLOT;
  return minutes.subarray(from, from + SLOT).reduce((sum, on) => sum + on, 0);
}

export function start() {
  for (const box of document.querySelectorAll("[data-week]")) new Week(box);
}

class Week {
  constructor(box) {
    this.words = JSON.parse(box.querySelector("script[type='application/json']").textContent);
    this.mark = this.words.mark;
    this.fields = [...box.querySelectorAll("[data-day]")];
    this.always = box.closest("form").elements.always; // of somebody's duty: always, or at these hours
    this.said = box.querySelector("[data-said]");
    this.total = box.querySelector("[data-total]");
    this.minutes = new Uint8Array(WEEK);
    this.anchor = this.head = { day: 0, slot: 16 };
    this.painting = null; // {on, pointer}
    this.upright = matchMedia("(max-width: 767px)"); // days stand beside each other
    this.grid = this.build(box.querySelector("[data-grid]"));
    box.querySelector("[data-usual]").hidden = !this.grid.querySelector(".is-usual");
    for (const field of this.fields) field.addEventListener("input", () => this.read());
    for (const choice of this.always ?? []) choice.addEventListener("change", () => this.weigh());
    this.weigh();
    this.listen();
    this.read();
    guard(box.closest("form"));
    box.dataset.ready = "true";
  }

  // --- what stands there ---------------------------------------------------------------------------------------------

  build(place) {
    const make = (role, text = "", more = {}) => {
      const made = document.createElement("div");
      made.setAttribute("role", role);
      made.textContent = text;
      for (const [name, value] of Object.entries(more)) made.setAttribute(name, value);
      return made;
    };
    const head = make("row", "", { class: "lm-week-head" });
    const corner = make("columnheader");
    corner.append(make("none", this.words.day, { class: "visually-hidden" }));
    head.append(corner);
    for (let hour = 0; hour < 24; hour += 1) {
      head.append(make("columnheader", String(hour).padStart(2, "0"), { "aria-colspan": "2" }));
    }
    this.cells = this.words.days.map((name, day) =>
      Array.from({ length: SLOTS }, (_, slot) => {
        const label = `${name} ${this.clock(slot)}\u2013${this.clock(slot + 1)}`;
        const more = { "aria-label": label, "aria-selected": "false", tabindex: "-1", "data-at": `${day} ${slot}` };
        return make("gridcell", "", slot % 2 ? more : { ...more, class: "is-hour" });
      }),
    );
    place.append(head);
    const usual = painted(this.words.usual); // the org's business hours
    this.cells.forEach((cells, day) => {
      cells.forEach((cell, slot) => cell.classList.toggle("is-usual", minutesOf(usual, day, slot) > 0));
      const row = make("row");
      const title = make("rowheader", this.words.short[day], { "aria-label": this.words.days[day] });
      row.append(title, ...cells);
      place.append(row);
    });
    place.hidden = false;
    return place;
  }

  clock(slot) {
    const at = (slot % SLOTS) * SLOT;
    return `${String(Math.floor(at / 60)).padStart(2, "0")}${this.mark}${String(at % 60).padStart(2, "0")}`;
  }

  read() {
    for (const field of this.fields) field.toggleAttribute("data-unread", parse(field.value) === null);
    this.minutes = painted(this.fields.map((field) => field.value));
    this.show();
  }

  // Who is always on duty has no hours: what stands there is not sent.
  weigh() {
    for (const field of this.fields) field.disabled = this.always?.value === "1";
  }

  write() {
    if (this.always) this.always.value = "0"; // whoever paints hours means them
    this.weigh();
    const texts = say(this.minutes, this.mark);
    this.fields.forEach((field, day) => { field.value = texts[day]; });
    this.fields[0].dispatchEvent(new Event("change", { bubbles: true }));
    this.show();
  }

  show() {
    const chosen = this.chosen();
    this.cells.forEach((cells, day) => cells.forEach((cell, slot) => {
      const n = minutesOf(this.minutes, day, slot);
      cell.setAttribute("aria-selected", String(n > 0));
      cell.classList.toggle("is-part", n > 0 && n < SLOT);
      cell.classList.toggle("is-chosen", chosen.has(cell));
      cell.tabIndex = day === this.head.day && slot === this.head.slot ? 0 : -1;
    }));
    const hours = this.minutes.reduce((sum, on) => sum + on, 0) / 60;
    this.total.textContent = this.words.total.replace("{n}", String(Math.round(hours * 10) / 10).replace(".", this.words.comma));
  }

  // Cells from the anchor to the head, if that is more than one, or they are being painted.
  chosen() {
    const [days, slots] = this.range();
    const found = new Set();
    if (!this.painting && days[0] === days[1] && slots[0] === slots[1]) return found;
    for (let day = days[0]; day <= days[1]; day += 1) {
      for (let slot = slots[0]; slot <= slots[1]; slot += 1) found.add(this.cells[day][slot]);
    }
    return found;
  }

  range() {
    const sorted = (name) => [this.anchor[name], this.head[name]].sort((a, b) => a - b);
    return [sorted("day"), sorted("slot")];
  }

  isOn({ day, slot }) {
    return this.cells[day][slot].getAttribute("aria-selected") === "true";
  }

  // All of the range is on duty, or none of it.
  paint(on) {
    const [days, slots] = this.range();
    for (let day = days[0]; day <= days[1]; day += 1) {
      this.minutes.fill(Number(on), day * DAY + slots[0] * SLOT, day * DAY + (slots[1] + 1) * SLOT);
    }
    const names = days[0] === days[1] ? this.words.days[days[0]] : `${this.words.days[days[0]]} \u2013 ${this.words.days[days[1]]}`;
    const what = on ? this.words.on : this.words.off;
    this.said.textContent = `${names} ${this.clock(slots[0])}\u2013${this.clock(slots[1] + 1)}: ${what}`;
    this.anchor = this.head;
    this.painting = null;
    this.write();
  }

  // --- what a person does --------------------------------------------------------------------------------------------

  listen() {
    const { grid } = this;
    grid.addEventListener("keydown", (event) => this.key(event));
    grid.addEventListener("pointerdown", (event) => this.down(event));
    grid.addEventListener("pointermove", (event) => this.move(event));
    grid.addEventListener("pointerup", (event) => this.up(event));
    grid.addEventListener("pointercancel", () => this.giveUp());
    grid.addEventListener("contextmenu", (event) => this.painting && event.preventDefault());
    grid.addEventListener("touchmove", (event) => this.painting && event.preventDefault(), { passive: false });
  }

  at(target) {
    const said = target?.closest?.("[data-at]")?.dataset.at.split(" ").map(Number);
    return said && { day: said[0], slot: said[1] };
  }

  down(event) {
    const at = this.at(event.target);
    if (!at || event.button !== 0) return;
    const begin = () => {
      this.painting = { on: !this.isOn(at), pointer: event.pointerId };
      this.anchor = this.head = at;
      this.show();
    };
    if (event.pointerType === "touch") {
      if (this.resting || this.painting) return this.giveUp(); // a second finger: they pinch
      this.resting = { at, timer: setTimeout(begin, HOLD) };
      return;
    }
    event.preventDefault(); // no text is selected
    keepPointer(this.grid, event.pointerId);
    begin();
    this.cells[at.day][at.slot].focus({ preventScroll: true });
  }

  move(event) {
    if (!this.painting || event.pointerId !== this.painting.pointer) return;
    const at = this.at(document.elementFromPoint(event.clientX, event.clientY));
    if (!at || (at.day === this.head.day && at.slot === this.head.slot)) return;
    this.head = at;
    this.show();
  }

  up(event) {
    const { resting } = this;
    clearTimeout(resting?.timer);
    this.resting = null;
    if (this.painting) return this.paint(this.painting.on);
    if (!resting || event.pointerType !== "touch") return undefined;
    this.anchor = this.head = resting.at; // a tap
    return this.paint(!this.isOn(this.head));
  }

  // The finger scrolls.
  giveUp() {
    clearTimeout(this.resting?.timer);
    this.resting = this.painting = null;
    this.anchor = this.head;
    this.show();
  }

  key(event) {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    const to = this.step(event.key);
    if (to) {
      this.head = { day: Math.min(6, Math.max(0, to.day)), slot: Math.min(SLOTS - 1, Math.max(0, to.slot)) };
      if (!event.shiftKey) this.anchor = this.head;
      this.show();
      this.cells[this.head.day][this.head.slot].focus();
    } else if (event.key === " " || event.key === "Enter") {
      this.paint(!this.isOn(this.anchor));
    } else if (event.key === "Delete" || event.key === "Backspace") {
      this.paint(false);
    } else if (event.key === "Escape" && this.chosen().size) {
      this.giveUp();
    } else {
      return;
    }
    event.preventDefault();
    event.stopPropagation(); // x, j and k belong to the page
  }

  // Where a key leads: as it looks, so other keys on a phone.
  step(key) {
    const { day, slot } = this.head;
    const [across, down] = this.upright.matches ? ["day", "slot"] : ["slot", "day"];
    const steps = { ArrowLeft: [across, -1], ArrowRight: [across, 1], ArrowUp: [down, -1], ArrowDown: [down, 1] };
    if (key === "Home") return { day, slot: 0 };
    if (key === "End") return { day, slot: SLOTS - 1 };
    if (!(key in steps)) return null;
    const [name, by] = steps[key];
    return { day, slot, [name]: this.head[name] + by };
  }
}

// The pointer stays ours beyond the grid's edge; a browser that has let go of it already throws.
function keepPointer(grid, pointer) {
  try {
    grid.setPointerCapture(pointer);
  } catch {
    // painted as far as it came
  }
}

start();

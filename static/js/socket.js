// The one socket to the feed: opens, listens, reconnects. It sends nothing. A page without alerts asks for counts alone.

import { look } from "./session.js";
import { clock, fill, now, span, words } from "./words.js";

const SILENCE = 10_000; // ms without a frame: stale; a beat comes every 4 s
const FIRST_DELAY = 1_000;
const LONGEST_DELAY = 4_000; // so that the feed is back within 5 s of the server
const SIGNED_OUT = 4401;
const REFUSED_IN_HANDSHAKE = 1006;

export class Feed extends EventTarget {
  constructor() {
    super();
    this.delay = FIRST_DELAY;
    this.heard = Date.now();
    this.staleSince = null;
    this.retryAt = null;
    this.signedOut = false;
    this.socket = null;
    this.opened = false;
    this.link = document.getElementById("link");
    this.said = document.getElementById("link-said");
    this.banner = document.getElementById("stale");
    this.shows = this.banner.dataset.live !== undefined; // alerts; without any nothing of the page is stale
    this.banner.querySelector("[data-retry]").addEventListener("click", () => this.open());
  }

  start() {
    addEventListener("online", () => this.open());
    addEventListener("pagehide", () => this.socket?.close());
    addEventListener("pageshow", (event) => event.persisted && this.open());
    addEventListener("lm:signed-in", () => this.goOn());
    document.addEventListener("visibilitychange", () => !document.hidden && this.signedOut && look());
    setInterval(() => this.watch(), 1000);
    this.open();
  }

  // Somebody signed out, and the same person in again, both in another tab.
  goOn() {
    if (!this.signedOut) return;
    this.signedOut = false;
    this.open();
  }

  open() {
    if (this.signedOut) return;
    this.socket?.close();
    this.retryAt = null;
    const address = new URL("/ws/feed", location.href);
    address.protocol = location.protocol === "https:" ? "wss:" : "ws:";
    address.searchParams.set("lang", document.body.dataset.language);
    if (!this.shows) address.searchParams.set("rows", "0");
    const alert = document.getElementById("alert");
    if (alert) address.searchParams.set("alert", alert.dataset.id);
    const socket = new WebSocket(address);
    this.socket = socket;
    this.opened = false;
    this.tried = Date.now();
    socket.addEventListener("open", () => { this.opened = true; });
    socket.addEventListener("message", (event) => socket === this.socket && this.take(JSON.parse(event.data)));
    socket.addEventListener("close", (event) => socket === this.socket && this.closed(event));
  }

  take(frame) {
    this.heard = Date.now();
    if (frame.type === "hello") this.greeted();
    this.staleSince = null;
    this.show();
    this.dispatchEvent(new CustomEvent(frame.type, { detail: frame }));
  }

  greeted() {
    this.delay = FIRST_DELAY;
    dispatchEvent(new Event("lm:connected"));
  }

  async closed(event) {
    this.socket = null;
    const refused = event.code === SIGNED_OUT || (event.code === REFUSED_IN_HANDSHAKE && !this.opened);
    // A refused handshake says nothing; a session that is over may have been followed by a new log-in.
    const who = refused ? await look() : "same";
    if (this.socket) return; // "Try now" was quicker
    this.signedOut = who === "nobody";
    if (this.signedOut) this.stale();
    else this.retry();
  }

  retry() {
    this.stale();
    const wait = this.delay * (0.5 + Math.random() / 2);
    this.retryAt = Date.now() + wait;
    this.delay = Math.min(this.delay * 2, LONGEST_DELAY);
  }

  stale() {
    this.staleSince ??= this.heard;
    this.show();
  }

  // Once a second: silence for 10 s is as good as a closed socket; a socket that does not open is given up.
  watch() {
    if (this.socket && Date.now() - Math.max(this.heard, this.tried) > SILENCE) {
      const dead = this.socket;
      this.socket = null;
      dead.close();
      this.retry();
    }
    if (!this.socket && this.retryAt !== null && Date.now() >= this.retryAt) this.open();
    this.show();
  }

  show() {
    const waits = !this.opened && Date.now() - this.tried < 2000; // a socket that opens at once needs no notice
    const state = this.staleSince !== null ? "stale" : this.opened ? "live" : waits ? "" : "connecting";
    if (state && this.link.dataset.state !== state) this.word(state);
    const age = this.link.querySelector("[data-link-age]");
    const text = fill(words.ago, { span: span((Date.now() - this.heard) / 1000) });
    if (age.textContent !== text) age.textContent = text;
    this.say();
  }

  // A fresh element replaces the old one: however wide it is, nothing counts as moved.
  word(state) {
    const before = this.link.dataset.state;
    const link = this.link.cloneNode(true);
    link.dataset.state = state;
    if (this.shows && (state === "stale" || before === "stale")) this.said.textContent = words[state]; // and not its age
    link.querySelector("[data-link-word]").textContent = words[state];
    const icon = { live: "circle-check-f", stale: "plug-connected-x", connecting: "circle-dashed" }[state];
    link.querySelector("use").setAttribute("href", `#i-${icon}`);
    this.link.replaceWith(link);
    this.link = link;
  }

  // The banner comes after 3 s: a socket that is back at once is no news.
  say() {
    const away = this.signedOut || (this.shows && this.staleSince !== null && Date.now() - this.staleSince > 3000);
    this.banner.hidden = !away;
    if (!away) return;
    const time = clock(new Date(this.staleSince + (now() - Date.now())).toISOString(), "s");
    const seconds = Math.max(0, Math.ceil(((this.retryAt ?? Date.now()) - Date.now()) / 1000));
    const said = this.signedOut ? words.signed_out : fill(words.reconnecting, { time, n: seconds });
    this.banner.querySelector("[data-said]").textContent = said;
    if (this.signedOut && this.said.textContent !== said) this.said.textContent = said;
    this.banner.querySelector("[data-retry]").hidden = this.signedOut;
    this.banner.querySelector("[data-sign-in]").hidden = !this.signedOut;
  }
}

// What this browser does about a new alert beside showing it: a sound by severity, a note of the desktop. Both are asked
// for in the preferences, and kept in the browser.

import { words } from "./words.js";

const KEPT = "lm-alarms"; // {critical, warning, info, desktop}: those that are true
const TONES = { critical: [880, 660, 880, 660], warning: [660, 660], info: [523] }; // Hz, one after the other
const LENGTH = 0.16; // s
const RANG = "lm-rang"; // the alert for which a tab of this browser has sounded last

export const wishes = () => JSON.parse(localStorage.getItem(KEPT) ?? "{}");

let audio = null;

// A browser lets a page sound only after somebody has touched it.
function awake() {
  audio ??= new AudioContext();
  return audio.resume();
}

export async function sound(severity) {
  await awake();
  TONES[severity].forEach((pitch, n) => {
    const tone = new OscillatorNode(audio, { type: "triangle", frequency: pitch });
    const volume = new GainNode(audio, { gain: 0 });
    const begins = audio.currentTime + n * LENGTH;
    volume.gain.setTargetAtTime(0.25, begins, 0.01);
    volume.gain.setTargetAtTime(0, begins + LENGTH / 2, 0.03);
    tone.connect(volume).connect(audio.destination);
    tone.start(begins);
    tone.stop(begins + LENGTH * 2);
  });
  document.documentElement.dataset.sounded = severity;
}

// One tab of a browser sounds for all.
function first(id) {
  if (localStorage.getItem(RANG) === id) return false;
  localStorage.setItem(RANG, id);
  return true;
}

export function alarm({ id, severity, said }) {
  const wanted = wishes();
  const touched = navigator.userActivation?.hasBeenActive ?? true; // else it would sound at the first touch, much later
  if (wanted[severity] && touched && first(id)) sound(severity);
  if (wanted.desktop && severity === "critical" && document.hidden && Notification.permission === "granted") notify(id, said);
}

function notify(id, said) {
  try {
    const shown = new Notification(words.severities.critical, { body: said, tag: id });
    shown.addEventListener("click", () => {
      window.focus();
      location.assign(`/alerts/${id}`);
    });
  } catch {
    // a phone's browser has none of these: there the push comes
  }
}

// The switches in the preferences.
export function start() {
  if (Object.values(wishes()).some(Boolean)) addEventListener("pointerdown", awake, { once: true });
  const form = document.getElementById("alarms");
  if (!form) return;
  for (const field of form.querySelectorAll("[data-alarm]")) field.checked = Boolean(wishes()[field.dataset.alarm]);
  form.hidden = false;
  refused(form);
  form.addEventListener("change", ({ target }) => change(form, target));
  form.addEventListener("click", ({ target }) => target.dataset.try && sound(target.dataset.try));
}

async function change(form, field) {
  const { alarm: name } = field.dataset;
  if (name === "desktop" && field.checked) field.checked = (await Notification.requestPermission()) === "granted";
  localStorage.setItem(KEPT, JSON.stringify({ ...wishes(), [name]: field.checked }));
  if (name !== "desktop" && field.checked) sound(name);
  refused(form);
}

function refused(form) {
  form.querySelector("[data-refused]").hidden = window.Notification?.permission !== "denied";
  form.querySelector("[data-alarm=desktop]").disabled = !window.Notification;
}

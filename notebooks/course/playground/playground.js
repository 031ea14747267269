// The whole playground in one element: controls, graph, charts, and the loop that lets the students learn.

import { MODALITIES, PAIRS, SPACES } from "./data.js";
import { LONGEST, Run, changed, withEdge } from "./run.js";
import { Graph } from "./graph.js";
import { Chart } from "./chart.js";
import { linkTo, readLink } from "./link.js";
import { sentence } from "./words.js";
import { BY_HAND, presets, settingsFor } from "./situations.js";
import { layout } from "./layout.js";
import { listen } from "./controls.js";

// Milliseconds: of computing in one picture; between two sentences while learning, to be read and to be heard.
const BUDGET = 9,
  WRITE_EVERY = 250,
  SPEAK_EVERY = 4000;

export class Playground {
  // linked: the address of the page carries the state.
  constructor(root, stored, linked = false) {
    this.run = new Run(stored);
    Object.assign(this, {
      root,
      linked,
      space: SPACES[0],
      shown: 0,
      playing: false,
      chosen: PAIRS[0],
      due: 0,
      wrote: 0,
      spoken: 0,
      waiting: [],
    });
    this.presets = presets(this.run.data.priors);
    this.parts = layout(root);
    this.graph = new Graph(this.parts.graph, this.move.bind(this), this.choose.bind(this));
    this.charts = [...this.parts.charts.querySelectorAll("canvas")].map((node, k) => new Chart(node, MODALITIES[k]));
    listen(this);
    this.open();
    this.fit();
    this.show();
  }

  // For programs and tests
  setEdge(space, source, target, strength) {
    this.change(withEdge(this.now.settings, space, source, target, strength));
  }

  set(name, value) {
    this.change(changed(this.now.settings, name, value));
  }

  // Learns at once, without pictures in between.
  runSteps(steps) {
    this.goOn();
    for (let k = 0; k < steps; k++) this.run.advance(this.space);
    this.shown = this.run.step;
    this.show();
  }

  get api() {
    return {
      setEdge: (...edge) => this.setEdge(...edge),
      set: (name, value) => this.set(name, value),
      run: (steps) => this.runSteps(steps),
      state: (...spaces) => (this.goOn(), this.run.state(spaces.length ? spaces : SPACES)), // by default of both
      reset: () => this.reset(),
      begin: (situation = {}) => this.begin(situation, false), // a fresh start
      heads: (...which) => this.run.heads(...which),
      link: () => this.link(),
    };
  }

  // Changes
  get history() {
    return this.run.tracks[this.space].history;
  }

  get now() {
    return this.history[this.shown];
  }

  // The step that is looked at becomes the present one.
  goOn() {
    this.complaint = null;
    if (this.shown < this.run.step) this.run.rewind(this.shown, this.now.settings);
  }

  change(settings) {
    this.goOn();
    this.run.change(settings);
    this.shown = this.run.step;
    this.show();
  }

  move([i, j], strength) {
    this.setEdge(this.space, MODALITIES[i], MODALITIES[j], strength);
  }

  choose(pair) {
    this.chosen = pair;
    this.show();
  }

  goTo(step) {
    this.play(false);
    this.shown = step;
    this.show();
  }

  // The other space; it learns all steps at once that it has missed.
  look(space) {
    this.run.catchUp(space);
    this.space = space;
    this.show();
  }

  reset() {
    this.play(false);
    this.run.reset(this.now.settings);
    this.shown = 0;
    this.show();
  }

  // A situation: fresh settings and step 0.
  begin(situation, playing = true) {
    this.space = situation.space ?? SPACES[0];
    this.run.reset(settingsFor(situation, this.presets));
    this.shown = 0;
    this.play(playing);
  }

  play(playing) {
    this.complaint = null;
    if (playing) this.goOn();
    this.playing = playing && this.run.step < LONGEST;
    this.before = performance.now();
    if (this.playing) this.frame ??= requestAnimationFrame((time) => this.tick(time));
    this.show();
  }

  // One picture: as many steps as the chosen speed asks for and the time allows.
  tick(time) {
    this.frame = null;
    if (!this.root.isConnected || !(this.playing || this.waiting.length)) return; // paused after the frame was asked for
    const began = performance.now();
    this.due = Math.min(8, this.due + ((time - this.before) / 1000) * Number(this.parts.speed.value));
    this.before = time;
    const waiting = this.waiting.length > 0;
    while ((waiting || this.due >= 1) && performance.now() - began < BUDGET) {
      if (waiting && !this.replay()) break;
      if (!waiting) (this.run.advance(this.space), (this.due -= 1));
    }
    if (this.run.step >= LONGEST) this.playing = false;
    if (this.playing || this.waiting.length) this.frame = requestAnimationFrame((next) => this.tick(next));
    if (this.shown === this.run.step && this.playing) return;
    this.shown = this.run.step;
    this.show();
  }

  // The state of a link, computed again
  open() {
    this.complaint = null;
    try {
      const found = this.linked ? readLink(location.hash) : null;
      if (!found || location.hash === this.written) return;
      const [chosen, speed] = found.view;
      this.space = found.space;
      this.chosen = PAIRS[chosen] ?? PAIRS[0];
      if ([...this.parts.speed.options].some(({ value }) => value === speed)) this.parts.speed.value = speed;
      this.run.reset(found.changes[0][1]);
      this.shown = 0;
      this.waiting = [...found.changes.slice(1), [found.step, null]];
      this.playing = false;
      this.frame ??= requestAnimationFrame((time) => this.tick(time));
    } catch (problem) {
      this.complaint = problem.message;
    }
  }

  // One step of the way; false when the end is reached.
  replay() {
    this.applyDue();
    if (this.waiting.length) this.run.advance(this.space);
    this.applyDue();
    return this.waiting.length > 0;
  }

  applyDue() {
    while (this.waiting.length && this.waiting[0][0] <= this.run.step) {
      const [, settings] = this.waiting.shift();
      if (settings) this.run.change(settings);
    }
  }

  link() {
    const { run, now, space, shown, chosen, parts } = this;
    return linkTo(run.path, now.settings, space, shown, [PAIRS.indexOf(chosen), parts.speed.value]);
  }

  remember() {
    if (!this.linked || this.waiting.length) return;
    this.written = this.link();
    try {
      history.replaceState(null, "", this.written);
    } catch {
      // an embedded page may not change its address
    }
  }

  // Controls
  setGraph(name) {
    const { settings } = this.now;
    if (name !== BY_HAND) this.change({ ...settings, edges: { ...settings.edges, [this.space]: this.presets[name] } });
  }

  // Pictures
  fit() {
    for (const chart of this.charts) chart.fit();
  }

  show() {
    const { history, now: entry } = this,
      { errors, control } = entry;
    this.graph.show(entry, this.space, this.chosen, entry.settings.prior ? this.run.data.priors[this.space] : null);
    this.parts.show(this);
    const { highest } = this.run.tracks[this.space],
      top = highest <= 1.5 ? 1.5 : Math.min(6, Math.ceil(highest));
    this.charts.forEach((chart, k) => {
      chart.draw(history, k, this.shown, top);
      this.parts.readings[k].textContent = `${errors[k].mean.toFixed(2)} points · alone ${control[k].mean.toFixed(2)}`;
    });
    this.speak(entry);
    clearTimeout(this.later);
    if (!this.playing) this.later = setTimeout(() => this.remember(), 250);
  }

  // A screen reader hears the sentence less often than it changes.
  speak(entry) {
    const now = performance.now(),
      { sentence: written, live } = this.parts;
    if (this.playing && now - this.wrote < WRITE_EVERY) return;
    this.wrote = now;
    const said = this.complaint ?? sentence(entry, this.space, this.shown, this.playing);
    if (written.textContent !== said) written.textContent = said;
    if ((this.playing && now - this.spoken < SPEAK_EVERY) || live.textContent === said) return;
    this.spoken = now;
    live.textContent = said;
  }
}

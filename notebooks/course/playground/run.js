// A run: students and their control on several orders of batches, in both spaces, with everything that was changed on
// the way. It can go back to any step, and then go on another way.

import { MODALITIES, ORDERS, SPACES, decode, trainingLabels } from "./data.js";
import { Students } from "./engine.js";

export const LONGEST = 1500; // steps
const SAVED_EVERY = 25; // steps; those between are computed again
export const WORLDS = MODALITIES; // named after their strongest modality
const RANGES = { noise: [0, 3], lessons: [0, 20] };

export const learnedGraph = () => [[0, NaN, NaN], [NaN, 0, NaN], [NaN, NaN, 0]];

export function startSettings() {
  const labels = Object.fromEntries(MODALITIES.map((m) => [m, 1]));
  return { world: "language", labels, noise: 0, lessons: 3, prior: false, edges: Object.fromEntries(SPACES.map((s) => [s, learnedGraph()])) };
}

function oneOf(what, value, choices) {
  if (!choices.includes(value)) throw new RangeError(`${what} must be one of ${choices.join(", ")}, not ${value}`);
  return value;
}

function between(what, value, [low, high]) {
  const fits = typeof value === "number" && value >= low && value <= high;
  if (!fits) throw new RangeError(`${what} must be a number from ${low} to ${high}, not ${value}`);
  return value;
}

// The settings with one of them changed; a RangeError says what does not fit. labels: a share, or some modalities' shares.
export function changed(settings, name, value) {
  oneOf("the name of a setting", name, ["world", "labels", "noise", "lessons", "prior"]);
  if (name === "world") oneOf(name, value, WORLDS);
  else if (name === "prior") oneOf(name, value, [true, false]);
  else if (name === "labels") {
    const shares = typeof value === "object" ? value : Object.fromEntries(MODALITIES.map((m) => [m, value]));
    for (const [m, share] of Object.entries(shares)) between(`${oneOf("a modality", m, MODALITIES)}'s share of labels`, share, [0, 1]);
    value = { ...settings.labels, ...shares };
  } else between(name, value, RANGES[name]);
  return { ...settings, [name]: value };
}

// strength: "learned", "off" or a number.
export function withEdge(settings, space, source, target, strength) {
  const matrix = settings.edges[oneOf("the space", space, SPACES)].map((row) => [...row]);
  const [i, j] = [source, target].map((m) => MODALITIES.indexOf(oneOf("a modality", m, MODALITIES)));
  if (i === j) throw new RangeError(`no modality teaches itself: source and target are both ${source}`);
  matrix[i][j] = strength === "learned" ? NaN : strength === "off" ? 0 : between("a strength", strength, [0, 10]);
  return { ...settings, edges: { ...settings.edges, [space]: matrix } };
}

export class Run {
  constructor(stored) {
    this.data = decode(stored);
    this.reset(startSettings());
  }

  // Step 0 of a new run.
  reset(settings = this.settings) {
    this.settings = settings;
    const pair = (space, order) => ({ space, taught: new Students(this.data, space, order, true), control: new Students(this.data, space, order, false) });
    this.pairs = SPACES.flatMap((space) => Array.from({ length: ORDERS }, (_, order) => pair(space, order)));
    this.path = []; // the settings of each step
    this.history = [this.look()];
    this.saved = [this.weights()];
    this.labels = null;
  }

  get step() {
    return this.history.length - 1;
  }

  get world() {
    return this.data.worlds[this.settings.world];
  }

  // From the present step on. Another world begins again.
  change(settings) {
    const elsewhere = settings.world !== this.settings.world;
    this.settings = settings;
    this.labels = null;
    if (elsewhere) this.reset();
    else this.history[this.step] = this.look();
  }

  get students() {
    return this.pairs.flatMap(({ taught, control }) => [taught, control]);
  }

  advance() {
    if (this.step >= LONGEST) return;
    this.labels ??= trainingLabels(this.world, this.settings);
    for (const students of this.students) students.learn(this.settings, this.world, this.labels);
    this.path.push(this.settings);
    this.history.push(this.look());
    if (this.step % SAVED_EVERY === 0) this.saved.push(this.weights());
  }

  weights() {
    return this.students.map(({ theta, mean, square }) => [theta, mean, square].map((x) => x.slice()));
  }

  // Back to an earlier step; what came after it is forgotten. The settings stay as they are now.
  rewind(step) {
    if (step >= this.step) return;
    const place = Math.floor(step / SAVED_EVERY), from = place * SAVED_EVERY, again = this.path.slice(from, step), { settings } = this;
    this.saved.length = place + 1;
    this.students.forEach((students, k) => {
      ["theta", "mean", "square"].forEach((name, n) => students[name].set(this.saved[place][k][n]));
      students.step = from;
    });
    this.path.length = from;
    this.history.length = from + 1;
    for (const past of again) {
      this.settings = past;
      this.labels = null;
      this.advance();
    }
    this.settings = settings;
    this.change(settings);
  }

  // The picture of this step: for each space means over the orders, and the lowest and highest of them.
  look() {
    const spaces = {};
    for (const space of SPACES) {
      const seen = this.pairs.filter((pair) => pair.space === space).map(({ taught, control }) => ({
        ...taught.look(this.settings, this.world), control: control.look(this.settings, this.world).errors, losses: taught.losses,
      }));
      const spread = (values) => ({ mean: values.reduce((sum, x) => sum + x, 0) / values.length, low: Math.min(...values), high: Math.max(...values) });
      const errors = (name) => MODALITIES.map((_, i) => spread(seen.map((order) => order[name][i])));
      const matrix = (name) => [0, 1, 2].map((i) => [0, 1, 2].map((j) => spread(seen.map((order) => order[name][i][j])).mean));
      spaces[space] = { errors: errors("errors"), control: errors("control"), edges: matrix("edges"), apart: matrix("apart"), orders: seen };
    }
    return { settings: this.settings, spaces };
  }

  // What a program reads: numbers of the present step, means over the orders; `orders` has each of them.
  state() {
    const now = this.history[this.step].spaces, named = (values) => Object.fromEntries(MODALITIES.map((m, i) => [m, values[i]]));
    const each = (read) => Object.fromEntries(SPACES.map((space) => [space, read(now[space], space)]));
    const losses = ({ orders }) => Object.fromEntries(Object.keys(orders[0].losses).map((term) => [term, orders.reduce((sum, x) => sum + x.losses[term], 0) / orders.length]));
    return {
      step: this.step,
      errors: each(({ errors }) => named(errors.map((x) => x.mean))),
      control: each(({ control }) => named(control.map((x) => x.mean))),
      edges: each(({ edges }) => edges),
      losses: each(losses),
      orders: each(({ orders }) => orders.map((x) => ({ errors: named(x.errors), control: named(x.control), edges: x.edges, losses: x.losses }))),
    };
  }

  // name of a weight -> its numbers, of the students of one order, or of their control
  heads(space, order = 0, taught = true) {
    const pair = this.pairs[SPACES.indexOf(space) * ORDERS + order], { theta, places } = taught ? pair.taught : pair.control;
    const names = Object.keys(places), ends = [...names.slice(1).map((name) => places[name]), theta.length];
    return Object.fromEntries(names.map((name, k) => [name, [...theta.slice(places[name], ends[k])]]));
  }
}

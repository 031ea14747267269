// A run: students and their control on several orders of batches, with everything that was changed on the way. It can
// go back to any step, and then go on another way. Only the space that is looked at learns; the other one catches up.

import { MODALITIES, ORDERS, SPACES, decode, trainingLabels } from "./data.js";
import { Students } from "./engine.js";

export const LONGEST = 1500; // steps
const SAVED_EVERY = 25; // steps; those between are computed again
export const WORLDS = MODALITIES; // named after their strongest modality
const RANGES = { noise: [0, 3], lessons: [0, 20] };

export const learnedGraph = () => [
  [0, NaN, NaN],
  [NaN, 0, NaN],
  [NaN, NaN, 0],
];

export function startSettings() {
  const labels = Object.fromEntries(MODALITIES.map((m) => [m, 1]));
  return {
    world: "language",
    labels,
    noise: 0,
    lessons: 3,
    prior: false,
    edges: Object.fromEntries(SPACES.map((s) => [s, learnedGraph()])),
  };
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

// The settings with one of them changed; a RangeError says what does not fit. labels: a share, or shares by modality.
export function changed(settings, name, value) {
  oneOf("the name of a setting", name, ["world", "labels", "noise", "lessons", "prior"]);
  if (name === "world") oneOf(name, value, WORLDS);
  else if (name === "prior") oneOf(name, value, [true, false]);
  else if (name === "labels") {
    const shares = value && typeof value === "object" ? value : Object.fromEntries(MODALITIES.map((m) => [m, value]));
    for (const [m, share] of Object.entries(shares))
      between(`${oneOf("a modality", m, MODALITIES)}'s share of labels`, share, [0, 1]);
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

const mean = (values) => values.reduce((sum, x) => sum + x, 0) / values.length;
const spread = (values) => ({ mean: mean(values), low: Math.min(...values), high: Math.max(...values) });
const named = (values) => Object.fromEntries(MODALITIES.map((m, i) => [m, values[i]]));

// The students of one space. `history` has an entry for each step: means over the orders, their lowest and highest.
class Track {
  constructor(data, space, settings) {
    Object.assign(this, { data, space, highest: 0 }); // the highest error so far, in points
    this.pairs = Array.from({ length: ORDERS }, (_, order) =>
      [true, false].map((taught) => new Students(data, space, order, taught)),
    );
    this.history = [this.look(settings)];
    this.saved = [this.weights()];
  }

  get step() {
    return this.history.length - 1;
  }

  get students() {
    return this.pairs.flat();
  }

  // One step with the settings in force; `after`: those in force from then on.
  learn(settings, after) {
    const world = this.data.worlds[settings.world];
    if (settings !== this.known) [this.known, this.labels] = [settings, trainingLabels(world, settings)];
    for (const students of this.students) students.learn(settings, world, this.labels);
    this.history.push(this.look(after));
    if (this.step % SAVED_EVERY === 0) this.saved.push(this.weights());
  }

  weights() {
    return this.students.map(({ theta, mean, square }) => [theta, mean, square].map((x) => x.slice()));
  }

  // Back to an earlier step; what came after it is forgotten.
  back(step, path, settings) {
    const place = Math.floor(step / SAVED_EVERY);
    this.saved.length = place + 1;
    this.history.length = place * SAVED_EVERY + 1;
    this.students.forEach((students, k) => {
      ["theta", "mean", "square"].forEach((name, n) => students[name].set(this.saved[place][k][n]));
      students.step = this.step;
    });
    while (this.step < step) this.learn(path[this.step], path[this.step + 1] ?? settings);
  }

  look(settings) {
    const world = this.data.worlds[settings.world];
    const orders = this.pairs.map(([taught, control]) => ({
      ...taught.look(settings, world),
      control: control.look(settings, world).errors,
      losses: taught.losses,
    }));
    this.highest = Math.max(this.highest, ...orders.flatMap((order) => [...order.errors, ...order.control]));
    const errors = (name) => MODALITIES.map((_, i) => spread(orders.map((order) => order[name][i])));
    const matrix = (name) => [0, 1, 2].map((i) => [0, 1, 2].map((j) => mean(orders.map((order) => order[name][i][j]))));
    return {
      settings,
      errors: errors("errors"),
      control: errors("control"),
      edges: matrix("edges"),
      apart: matrix("apart"),
      orders,
    };
  }
}

export class Run {
  constructor(stored) {
    this.data = decode(stored);
    this.reset(startSettings());
  }

  // Step 0 of a new run.
  reset(settings = this.settings) {
    this.settings = settings;
    this.path = []; // the settings of each step
    this.tracks = Object.fromEntries(SPACES.map((space) => [space, new Track(this.data, space, settings)]));
  }

  get step() {
    return this.path.length;
  }

  // From the present step on. Another world begins again.
  change(settings) {
    if (settings.world !== this.settings.world) return this.reset(settings);
    this.settings = settings;
    for (const track of Object.values(this.tracks))
      if (track.step === this.step) track.history[this.step] = track.look(settings);
  }

  advance(space) {
    if (this.step >= LONGEST) return;
    this.path.push(this.settings);
    this.catchUp(space);
  }

  catchUp(space) {
    const track = this.tracks[space];
    while (track.step < this.step) track.learn(this.path[track.step], this.path[track.step + 1] ?? this.settings);
  }

  // Back to an earlier step, with other settings from there on.
  rewind(step, settings) {
    this.path.length = step;
    for (const track of Object.values(this.tracks)) if (track.step > step) track.back(step, this.path, settings);
    this.change(settings);
  }

  // What a program reads: numbers of the present step, means over the orders; `orders` has each of them.
  state(spaces = SPACES) {
    for (const space of spaces) this.catchUp(space);
    const each = (read) =>
      Object.fromEntries(spaces.map((space) => [space, read(this.tracks[space].history[this.step])]));
    const losses = ({ orders }) =>
      Object.fromEntries(
        Object.keys(orders[0].losses).map((term) => [term, mean(orders.map((order) => order.losses[term]))]),
      );
    return {
      step: this.step,
      errors: each(({ errors }) => named(errors.map((x) => x.mean))),
      control: each(({ control }) => named(control.map((x) => x.mean))),
      edges: each(({ edges }) => edges),
      losses: each(losses),
      orders: each(({ orders }) =>
        orders.map((x) => ({ errors: named(x.errors), control: named(x.control), edges: x.edges, losses: x.losses })),
      ),
    };
  }

  // name of a weight -> its numbers, of the students of one order, or of their control
  heads(space, order = 0, taught = true) {
    this.catchUp(space);
    const { theta, places } = this.tracks[space].pairs[order][taught ? 0 : 1],
      names = Object.keys(places);
    const ends = [...names.slice(1).map((name) => places[name]), theta.length];
    return Object.fromEntries(names.map((name, k) => [name, [...theta.slice(places[name], ends[k])]]));
  }
}

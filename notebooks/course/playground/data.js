// What the students learn from: the stored clips, who is told which label, and the order of the batches.
// reference.py draws the same numbers.

export const MODALITIES = ["language", "vision", "audio"];
export const SPACES = ["homogeneous", "heterogeneous"];
export const CLIPS = { train: 120, valid: 80, batch: 24 };
export const ORDERS = 4; // orders of batches, which make the band
const LABEL_SEED = 7,
  NOISE_SEED = 11,
  ORDER_FACTOR = 0x9e3779b1;
export const PAIRS = [
  [0, 1],
  [0, 2],
  [1, 0],
  [1, 2],
  [2, 0],
  [2, 1],
]; // source teaches target

// Uniform numbers from 0 to 1: Tommy Ettinger's mulberry32.
function mulberry32(seed) {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let t = Math.imul(state ^ (state >>> 15), state | 1);
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61);
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32;
  };
}

function shuffled(count, seed) {
  const order = Array.from({ length: count }, (_, k) => k),
    uniform = mulberry32(seed);
  for (let last = count - 1; last > 0; last--) {
    const other = Math.floor(uniform() * (last + 1));
    [order[last], order[other]] = [order[other], order[last]];
  }
  return order;
}

function normals(count, seed) {
  const uniform = mulberry32(seed);
  return Float64Array.from({ length: count }, () => {
    const radius = 1 - uniform(),
      turn = uniform();
    return Math.sqrt(-2 * Math.log(radius)) * Math.cos(2 * Math.PI * turn);
  });
}

export const VALID_CLIPS = Array.from({ length: CLIPS.valid }, (_, k) => CLIPS.train + k);
const LABEL_ORDER = shuffled(CLIPS.train, LABEL_SEED),
  NOISE = normals(CLIPS.train, NOISE_SEED);

export function batchAt(step, order) {
  const perEpoch = CLIPS.train / CLIPS.batch,
    epoch = Math.floor(step / perEpoch),
    place = step % perEpoch;
  const seed = Math.imul(order, ORDER_FACTOR) + epoch;
  return shuffled(CLIPS.train, seed).slice(place * CLIPS.batch, (place + 1) * CLIPS.batch);
}

function unpacked({ base64 }) {
  const bytes = Uint8Array.from(atob(base64), (letter) => letter.charCodeAt(0));
  return Float64Array.from(new Float32Array(bytes.buffer));
}

// What is on file, as numbers: worlds[name] = {features: space -> modality -> flat array, labels}, start[space].
export function decode(stored) {
  const arrays = (entries) => Object.fromEntries(Object.entries(entries).map(([name, x]) => [name, unpacked(x)]));
  const worlds = {},
    start = {};
  for (const [name, { features, labels }] of Object.entries(stored.worlds)) {
    worlds[name] = { labels: unpacked(labels), features: {} };
    for (const space of SPACES) worlds[name].features[space] = arrays(features[space]);
  }
  for (const space of SPACES) start[space] = arrays(stored.start[space]);
  return { worlds, start, priors: stored.priors };
}

// What the annotators said of each training clip, NaN where a student is not told: one array for each modality.
export function trainingLabels(world, settings) {
  return MODALITIES.map((m) => {
    const told = new Float64Array(CLIPS.train).fill(NaN),
      count = Math.floor(settings.labels[m] * CLIPS.train + 0.5);
    for (const clip of LABEL_ORDER.slice(0, count)) told[clip] = world.labels[clip] + settings.noise * NOISE[clip];
    return told;
  });
}

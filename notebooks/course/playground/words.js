// What is happening now, in words.

import { MODALITIES, PAIRS } from "./data.js";

export const CLEAR = 0.03; // points: a smaller difference to the control is not mentioned

const two = (x) => x.toFixed(2);
const listed = (items) => (items.length < 2 ? items.join("") : `${items.slice(0, -1).join(", ")} and ${items.at(-1)}`);
const arrow = ([i, j]) => `${MODALITIES[i]} → ${MODALITIES[j]}`;
// These arrows, the widest first.
const widest = (edges, pairs) => pairs.toSorted(([a, b], [c, d]) => edges[c][d] - edges[a][b]);
const WHY = "arrows are trained to make the distillation loss small (Eq. 9), not to help anybody";

// entry: of the run's history at this step. While playing, the sentence changes less often than the circles, so it has
// no numbers that would lag behind theirs.
export function sentence(entry, space, step, playing = false) {
  const text = `${teaching(entry, space, step, playing)} ${effect(entry, step, playing)}`;
  return text[0].toUpperCase() + text.slice(1);
}

function teaching({ settings, edges, apart }, space, step, playing) {
  const held = settings.edges[space],
    learned = PAIRS.filter(([i, j]) => Number.isNaN(held[i][j]));
  const set = PAIRS.filter(([i, j]) => held[i][j] > 0);
  if (settings.lessons === 0 && learned.length + set.length) return "lessons weigh nothing, so nobody is taught.";
  if (learned.length === 6) return allLearned(settings, edges, apart, step, playing);
  const teachers = MODALITIES.filter((_, i) => set.some(([source]) => source === i)),
    hand = listed(teachers);
  const free = leftToLearn(learned, edges, playing);
  if (!set.length) return free || "all arrows are off: nobody teaches.";
  if (free) return `${hand} ${teachers.length === 1 ? "teaches" : "teach"} by hand; ${free}`;
  return teachers.length === 1 ? `${hand} is the only teacher.` : `${hand} teach.`;
}

// Some arrows learn, others are held: the softmax still runs over all six, and what falls on a held one costs nothing.
function leftToLearn(learned, edges, playing) {
  if (!learned.length) return "";
  const best = widest(edges, learned)[0],
    strength = edges[best[0]][best[1]],
    one = learned.length === 1;
  const many = one ? "one arrow learns" : `${learned.length} arrows learn`;
  const why = "their softmax spends itself on the held arrows, where it costs nothing";
  if (strength < 0.05) return `${many} and ${one ? "is" : "are"} near 0: ${why}.`;
  return `${many}; ${one ? "it" : "the widest of the learned arrows"} is ${arrow(best)}${playing ? "" : ` (${two(strength)})`}.`;
}

// Two opposite arrows are named together only if no other arrow is wider than either of them.
function allLearned({ prior }, edges, apart, step, playing) {
  if (step === 0) return "all six arrows are left to learn.";
  const [[i, j], second] = widest(edges, PAIRS),
    both = !prior && second[0] === j && second[1] === i;
  const number = playing || both ? "" : ` (${two(edges[i][j])})`;
  const named = both
    ? `the widest are those between ${MODALITIES[Math.min(i, j)]} and ${MODALITIES[Math.max(i, j)]}`
    : `the widest is ${arrow([i, j])}${number}`;
  if (prior) return `all six arrows learn and the prior pulls them: ${named}.`;
  const nearest = PAIRS.every(([a, b]) => apart[i][j] <= apart[a][b]);
  return `all six arrows learn: ${named}${nearest ? ", where answers differ least, because" : ";"} ${WHY}.`;
}

function effect({ errors, control }, step, playing) {
  if (step === 0) return "Nothing is learned yet: every student says about 0. Press Play.";
  const changes = MODALITIES.map((m, i) => ({
    m,
    now: errors[i].mean,
    alone: control[i].mean,
    by: errors[i].mean - control[i].mean,
  }));
  const clear = changes.filter(({ by }) => Math.abs(by) >= CLEAR).sort((a, b) => Math.abs(b.by) - Math.abs(a.by));
  if (!clear.length) return `Every student errs as it would alone, within ${CLEAR} points.`;
  const told = clear.map(({ m, now, alone, by }, k) => {
    if (now <= 0.55 * alone) return `${m} errs half as much as alone${playing ? "" : ` (${two(now)} instead of ${two(alone)} points)`}`;
    return `${m} errs ${playing ? "" : `${two(Math.abs(by))} points `}${by > 0 ? "more" : "less"}${k ? "" : " than alone"}`;
  });
  return `So far ${listed(told)}.`;
}

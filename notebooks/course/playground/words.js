// What is happening now, in words.

import { MODALITIES, PAIRS } from "./data.js";

export const CLEAR = 0.03; // points: a smaller difference to the control is not mentioned

const two = (x) => x.toFixed(2);
const listed = (items) => (items.length < 2 ? items.join("") : `${items.slice(0, -1).join(", ")} and ${items.at(-1)}`);
const arrow = ([i, j]) => `${MODALITIES[i]} → ${MODALITIES[j]}`;
const widest = (edges) =>
  PAIRS.reduce((best, pair) => (edges[pair[0]][pair[1]] > edges[best[0]][best[1]] ? pair : best));

// entry: of the run's history at this step
export function sentence(entry, space, step) {
  const text = `${teaching(entry, space, step)} ${effect(entry, step)}`;
  return text[0].toUpperCase() + text.slice(1);
}

function teaching({ settings, edges, apart }, space, step) {
  const held = settings.edges[space],
    learned = PAIRS.filter(([i, j]) => Number.isNaN(held[i][j]));
  const set = PAIRS.filter(([i, j]) => held[i][j] > 0);
  if (settings.lessons === 0 && learned.length + set.length) return "lessons weigh nothing, so nobody is taught.";
  if (learned.length === 6) return allLearned(settings, edges, apart, step);
  const teachers = MODALITIES.filter((_, i) => set.some(([source]) => source === i)),
    hand = listed(teachers);
  const free = leftToLearn(learned, edges, held);
  if (!set.length) return free || "all arrows are off: nobody teaches.";
  if (free) return `${hand} ${teachers.length === 1 ? "teaches" : "teach"} by hand; ${free}`;
  return teachers.length === 1 ? `${hand} is the only teacher.` : `${hand} teach.`;
}

// Some arrows learn, others are held: the softmax still runs over all six, and what falls on a held one costs nothing.
function leftToLearn(learned, edges, held) {
  if (!learned.length) return "";
  const free = edges.map((row, i) => row.map((strength, j) => (Number.isNaN(held[i][j]) ? strength : -1))),
    [i, j] = widest(free);
  const many = learned.length === 1 ? "one arrow learns" : `${learned.length} arrows learn`;
  const why = "their softmax spends itself on the held arrows, where it costs nothing";
  if (free[i][j] < 0.05) return `${many} and ${learned.length === 1 ? "is" : "are"} near 0: ${why}.`;
  return `${many}; the widest is ${arrow([i, j])} (${two(free[i][j])}).`;
}

// Without a prior the widest two-way pair is named, and whether it is the pair whose answers differ least.
function allLearned(settings, edges, apart, step) {
  if (step === 0) return "all six arrows are left to learn.";
  const [i, j] = widest(edges);
  if (settings.prior)
    return `all six arrows learn and the prior pulls them: ${arrow([i, j])} is the widest (${two(edges[i][j])}).`;
  const sum = (matrix, [a, b]) => matrix[a][b] + matrix[b][a],
    couples = [
      [0, 1],
      [0, 2],
      [1, 2],
    ];
  const pair = couples.reduce((best, couple) => (sum(edges, couple) > sum(edges, best) ? couple : best));
  const nearest = couples.every((couple) => sum(apart, pair) <= sum(apart, couple));
  const why = `whose answers ${nearest ? "differ least" : "differ"} (by ${two(apart[pair[0]][pair[1]])} points)`;
  return `all six arrows learn: the widest are those between ${MODALITIES[pair[0]]} and ${MODALITIES[pair[1]]}, ${why}.`;
}

function effect({ errors, control }, step) {
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
    if (now <= 0.55 * alone) return `${m} errs half as much as alone (${two(now)} instead of ${two(alone)} points)`;
    return `${m} errs ${two(Math.abs(by))} points ${by > 0 ? "more" : "less"}${k ? "" : " than alone"}`;
  });
  return `So far ${listed(told)}.`;
}

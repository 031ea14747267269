// Situations to start from, each with the question that it answers, and the graphs that can be chosen from a list.

import { MODALITIES, SPACES } from "./data.js";
import { changed, learnedGraph, startSettings } from "./run.js";

export const BY_HAND = "set by hand";

const filled = (strength) => [0, 1, 2].map((i) => [0, 1, 2].map((j) => (i === j ? 0 : strength(i, j))));

// As in the graph editor of notebook 06: name -> strengths, rows teach columns, NaN where an edge is learned.
export function presets(priors) {
  const teaching = MODALITIES.map((m, teacher) => [`${m} teaches`, filled((i) => (i === teacher ? 0.5 : 0))]);
  return {
    learned: learnedGraph(),
    "no distillation": filled(() => 0),
    uniform: filled(() => 1 / 6),
    ...Object.fromEntries(teaching),
    "published prior, homogeneous": priors.homogeneous,
    "published prior, heterogeneous": priors.heterogeneous,
  };
}

const ONLY = (teacher) => Object.fromEntries(MODALITIES.map((m) => [m, Number(m === teacher)]));
export const SITUATIONS = [
  {
    title: "Good teacher",
    preset: "language teaches",
    question: "The best student teaches; all have labels. Does anyone gain?",
  },
  {
    title: "Labels missing",
    preset: "language teaches",
    labels: ONLY("language"),
    question: "The same teacher, but only language has labels. Who gains?",
  },
  {
    title: "Bad teacher",
    preset: "audio teaches",
    question: "The weakest student teaches; all have labels. Who is harmed?",
  },
  {
    title: "Learned arrows",
    labels: ONLY("language"),
    question: "Only language has labels. Do learned arrows find the teacher?",
  },
  {
    title: "With a prior",
    labels: ONLY("language"),
    prior: true,
    question: "The same, pulled to a prior (dashed outlines). What changes?",
  },
  {
    title: "Wrong prior",
    world: "vision",
    labels: ONLY("vision"),
    prior: true,
    question: "The same prior, but only vision has labels. Who is believed?",
  },
];
const FIRST = "Try the buttons above from left to right; then drag an arrow.";
const MIXED = "Labels or noise changed: Reset for a fair comparison.";
const OWN = "Your own experiment. Who gains, and who is harmed?";

// The settings at which a situation begins.
export function settingsFor({ space = SPACES[0], world = "language", labels = 1, prior = false, preset = "learned" }, graphs) {
  const settings = changed(changed(changed(startSettings(), "world", world), "labels", labels), "prior", prior);
  return { ...settings, edges: { ...settings.edges, [space]: graphs[preset] } };
}

const spelled = ({ world, labels, noise, lessons, prior, edges }) =>
  JSON.stringify([world, MODALITIES.map((m) => labels[m]), noise, lessons, prior, SPACES.map((space) => edges[space])]);

// past: the settings of the steps so far. Then the control, too, has learned from other labels than these.
const changedOnTheWay = ({ labels, noise }, past) =>
  past.some((before) => before.noise !== noise || MODALITIES.some((m) => before.labels[m] !== labels[m]));

// {place, question}: which situation these settings are, -1 if none.
export function recognised(settings, space, graphs, past) {
  const known = spelled(settings),
    place = space === SPACES[0] ? SITUATIONS.findIndex((one) => spelled(settingsFor(one, graphs)) === known) : -1;
  if (changedOnTheWay(settings, past)) return { place, question: MIXED };
  if (place >= 0) return { place, question: SITUATIONS[place].question };
  return { place, question: known === spelled(startSettings()) ? FIRST : OWN };
}

// A run as a link: every change on the way and the step that was looked at, so that another browser computes the same.

import { MODALITIES, PAIRS, SPACES } from "./data.js";
import { WORLDS, changed, startSettings, withEdge } from "./run.js";

const LONGEST_LINK = 6000; // letters; a longer way is left out, and the link begins at step 0

const vector = ({ world, labels, noise, lessons, prior, edges }) => [
  WORLDS.indexOf(world),
  ...MODALITIES.map((m) => labels[m]),
  noise,
  lessons,
  Number(prior),
  ...SPACES.flatMap((space) => PAIRS.map(([i, j]) => (Number.isNaN(edges[space][i][j]) ? null : edges[space][i][j]))),
];

function settingsOf([world, language, vision, audio, noise, lessons, prior, ...strengths]) {
  let settings = changed(startSettings(), "world", WORLDS[world]);
  for (const [name, value] of Object.entries({
    labels: { language, vision, audio },
    noise,
    lessons,
    prior: Boolean(prior),
  }))
    settings = changed(settings, name, value);
  SPACES.forEach((space, s) =>
    PAIRS.forEach(([i, j], k) => {
      settings = withEdge(settings, space, MODALITIES[i], MODALITIES[j], strengths[6 * s + k] ?? "learned");
    }),
  );
  return settings;
}

const written = (entry) => btoa(JSON.stringify(entry)).replaceAll("+", "-").replaceAll("/", "_").replaceAll("=", "");

// shown: the step that is looked at, and its settings; view: what else is to be seen. The link: `#state=…`
export function linkTo(path, settings, space, shown, view) {
  const way = [...path.slice(0, shown), settings],
    changes = [];
  let before = [];
  way.forEach((past, step) => {
    const now = past === way[step - 1] ? before : vector(past),
      different = now.flatMap((x, k) => (x === before[k] ? [] : [[k, x]]));
    if (different.length) changes.push([step, Object.fromEntries(different)]);
    before = now;
  });
  const text = written([SPACES.indexOf(space), shown, changes, view]);
  const short = () => written([SPACES.indexOf(space), 0, [[0, Object.fromEntries(Object.entries(vector(settings)))]], view]);
  return `#state=${text.length > LONGEST_LINK ? short() : text}`;
}

// {space, step, changes: [[step, settings], …], view}, or null without a state in the link. A RangeError: it is damaged.
export function readLink(hash) {
  const found = /[#&]state=([\w-]+)/.exec(hash);
  if (!found) return null;
  try {
    const [space, step, changes, view = []] = JSON.parse(atob(found[1].replaceAll("-", "+").replaceAll("_", "/")));
    let values = [];
    const way = changes.map(([at, different]) => [at, settingsOf((values = Object.assign([...values], different)))]);
    if (!SPACES[space] || !Number.isInteger(step) || way[0][0] !== 0) throw new RangeError("its first step is missing");
    return { space: SPACES[space], step, changes: way, view };
  } catch (problem) {
    throw new RangeError(`this link holds no state that can be read (${problem.message}); copy it again`);
  }
}

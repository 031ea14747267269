// The controls, their names and what they show.

import { CLIPS, MODALITIES, ORDERS, PAIRS, SPACES } from "./data.js";
import { WORLDS } from "./run.js";
import { BY_HAND, SITUATIONS, recognised } from "./situations.js";

const SHARE = {
  homogeneous: "what all modalities share",
  heterogeneous: "what is private to each, after cross-modal attention",
};
const SPACE_HELP =
  "homogeneous: the features that all modalities share; heterogeneous: the features private to each, after cross-modal attention";
const LEARNED_HELP =
  "Learned arrows move to where answers differ least, because they are trained to make the distillation loss small (Eq. 9), not to help anybody.";
const PRIOR_HELP = "The prior is a pattern that the published code adds by hand to the learned arrows.";
const BAND_HELP = "the same clips in four random orders: from the lowest to the highest error";
let count = 0; // of playgrounds in this document: radio buttons need names of their own

const radio = (name, value) =>
  `<label class="pg-${value}"><input type="radio" name="${name}" value="${value}"><span>${value}</span></label>`;
const radios = (name, values) => `<div class="pg-choice">${values.map((value) => radio(name, value)).join("")}</div>`;
const range = (name, title, high, step, small = "") => `
  <label class="pg-range ${small}"><span>${title}<i class="pg-value" data-of="${name}" aria-hidden="true"></i></span>
    <input type="range" data-is="${name}" min="0" max="${high}" step="${step}"></label>`;
const share = (m) => `<div class="pg-${m}">${range(m, m, 100, 5, "pg-small")}</div>`;
const chart = (m) => `
  <div class="pg-chart pg-${m}"><h2><span>${m}</span><small></small></h2>
    <canvas role="img" aria-label="error of ${m} over the steps, beside its control"></canvas></div>`;
const button = (title) => `<button type="button">${title}</button>`;
const speed = (steps) => `<option value="${steps}" ${steps === 20 ? "selected" : ""}>${steps} steps/s</option>`;

const html = (id) => `
  <header class="pg-head">
    <h1>Distillation under your hand</h1>
    <div class="pg-try" role="group" aria-label="situations to try">
      <span>Try</span>${SITUATIONS.map(({ title }) => button(title)).join("")}
    </div>
    <button type="button" class="pg-copy">Copy link</button>
  </header>
  <div class="pg-time" role="group" aria-label="time">
    <button type="button" class="pg-play" data-is="play">Play</button>
    <button type="button" data-is="step">Step</button>
    <button type="button" data-is="reset">Reset</button>
    <label class="pg-speed"><span>speed</span><select data-is="speed">${[5, 20, 60].map(speed).join("")}</select></label>
    <label class="pg-scrub"><span data-of="scrub"></span>
      <input type="range" data-is="scrub" min="0" max="0" step="1" aria-label="back through the run, in steps"></label>
  </div>
  <div class="pg-controls">
    <fieldset><legend>Who sees the sentiment best</legend>${radios(`pg-world-${id}`, WORLDS)}</fieldset>
    <fieldset title="${SPACE_HELP}"><legend>Graph of the space</legend>${radios(`pg-space-${id}`, SPACES)}
      <p class="pg-note" data-of="space"></p></fieldset>
    <label class="pg-select"><span>All six arrows</span><select data-is="preset"></select></label>
    ${range("labels", "Labelled clips", 100, 5)}
    <div class="pg-shares" role="group" aria-label="labelled clips, by student">${MODALITIES.map(share).join("")}</div>
    ${range("noise", "Annotator noise", 2, 0.1)}
    ${range("lessons", "Weight of lessons", 10, 0.5)}
    <div title="${PRIOR_HELP}"><label class="pg-switch"><input type="checkbox" role="switch" data-is="prior">
      <span>Prior pulls learned arrows</span></label>
      <p class="pg-note pg-inset">a pattern that the published code adds by hand</p></div>
  </div>
  <div class="pg-middle">
    <p class="pg-question"></p>
    <div class="pg-graph">
      <p class="pg-hint">Three students rate the sentiment of clips; the big number is a student’s error. An arrow is a
        lesson: it pulls its student towards its teacher’s answer.</p>
      <p class="pg-hint pg-hand">Drag an arrow away from the opposite arrow: the lesson weighs more. Double-click: it learns.</p>
      <p class="pg-hint pg-pills" title="${LEARNED_HELP}"><b>0.50</b> set by you<br><i>0.17</i> learned<br><s>off</s> no lesson</p>
    </div>
    <div class="pg-inspect" role="group" aria-label="the chosen arrow">
      <strong data-of="arrow"></strong>${radios(`pg-mode-${id}`, ["learned", "set", "off"])}
      <input type="range" data-is="strength" min="0" max="1" step="0.01" aria-label="strength of the chosen arrow">
      <i class="pg-value" data-of="strength"></i>
    </div>
    <p class="pg-sentence" aria-hidden="true"></p>
    <p class="pg-live" aria-live="polite"></p>
  </div>
  <div class="pg-charts">
    <p class="pg-legend">Error on ${CLIPS.valid} clips, in points (from −3 to 3)<br>
      <i class="pg-key"></i>with lessons
      <span class="pg-help" title="${BAND_HELP}"><i class="pg-key pg-band"></i>${ORDERS} orders of batches</span><br>
      <i class="pg-key pg-alone"></i>the same student without lessons</p>
    ${MODALITIES.map(chart).join("")}
  </div>`;

// Fills the root and returns its controls by name, with `show(playground)`, which sets them all.
export function layout(root) {
  const id = ++count,
    find = (selector) => root.querySelector(selector),
    all = (selector) => [...root.querySelectorAll(selector)];
  root.classList.add("pg");
  root.dataset.lmSuppressShortcuts = "true"; // in JupyterLab a key would otherwise move cells, or restart the kernel
  root.innerHTML = `<div class="pg-body">${html(id)}</div>`;
  const parts = Object.fromEntries(all("[data-is]").map((node) => [node.dataset.is, node]));
  const told = Object.fromEntries(all("[data-of]").map((node) => [node.dataset.of, node]));
  Object.assign(parts, {
    graph: find(".pg-graph"),
    charts: find(".pg-charts"),
    question: find(".pg-question"),
    sentence: find(".pg-sentence"),
    live: find(".pg-live"),
    copy: find(".pg-copy"),
    worlds: all(`[name=pg-world-${id}]`),
    spaces: all(`[name=pg-space-${id}]`),
    modes: all(`[name=pg-mode-${id}]`),
    situations: all(".pg-try button"),
    readings: all(".pg-chart small"),
    share: Object.fromEntries(MODALITIES.map((m) => [m, parts[m]])),
  });
  parts.show = (playground) => show(parts, told, playground);
  return parts;
}

const same = (a, b) => PAIRS.every(([i, j]) => Object.is(a[i][j], b[i][j]));
const percent = (share) => `${Math.round(100 * share)} %`;

function show(parts, told, { now, space, shown, run, playing, presets: graphs, chosen: [i, j] }) {
  const { settings } = now,
    { labels } = settings,
    held = settings.edges[space],
    shares = MODALITIES.map((m) => labels[m]);
  const { place, question } = recognised(settings, space, graphs, run.path.slice(0, shown));
  parts.situations.forEach((one, k) => one.setAttribute("aria-pressed", String(k === place)));
  if (parts.question.textContent !== question) parts.question.textContent = question;
  const put = (node, value) => {
    if (node.value !== String(value)) node.value = value;
    if (node.type === "range")
      node.style.setProperty("--filled", `${(100 * (node.value - node.min)) / Math.max(1e-9, node.max - node.min)}%`);
  };
  const say = (name, text) => {
    if (told[name].textContent === text) return;
    told[name].textContent = text;
    parts[name]?.setAttribute("aria-valuetext", text);
  };
  const check = (options, value) => options.forEach((radio) => (radio.checked = radio.value === value));
  if (!parts.preset.length) parts.preset.append(...[...Object.keys(graphs), BY_HAND].map((name) => new Option(name)));
  put(parts.preset, Object.keys(graphs).find((name) => same(graphs[name], held)) ?? BY_HAND);
  parts.play.textContent = playing ? "Pause" : "Play";
  parts.scrub.max = run.step;
  put(parts.scrub, shown);
  say("scrub", `step ${shown} of ${run.step}`);
  check(parts.worlds, settings.world);
  (check(parts.spaces, space), say("space", SHARE[space]));
  const equal = shares.every((share) => share === shares[0]),
    mean = shares.reduce((sum, x) => sum + x, 0) / 3;
  put(parts.labels, Math.round(100 * mean));
  say("labels", equal ? `${percent(mean)} (${Math.round(mean * CLIPS.train)} of ${CLIPS.train})` : "by student");
  for (const m of MODALITIES) (put(parts[m], Math.round(100 * labels[m])), say(m, percent(labels[m])));
  (put(parts.noise, settings.noise), say("noise", `± ${settings.noise.toFixed(1)} points`));
  (put(parts.lessons, settings.lessons), say("lessons", `× ${settings.lessons}`));
  parts.prior.checked = settings.prior;
  const strength = now.edges[i][j];
  say("arrow", `${MODALITIES[i]} → ${MODALITIES[j]}`);
  check(parts.modes, Number.isNaN(held[i][j]) ? "learned" : held[i][j] ? "set" : "off");
  (put(parts.strength, Math.min(1, Math.round(100 * strength) / 100)), say("strength", strength.toFixed(2)));
}

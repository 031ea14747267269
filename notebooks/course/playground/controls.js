// What every control does.

import { MODALITIES } from "./data.js";
import { SITUATIONS } from "./situations.js";

export function listen(playground) {
  const { parts, root } = playground,
    on = (node, kind, action) => node.addEventListener(kind, action);
  on(parts.play, "click", () => playground.play(!playground.playing));
  on(parts.step, "click", () => (playground.play(false), playground.runSteps(1)));
  on(parts.reset, "click", () => playground.reset());
  on(parts.scrub, "input", () => playground.goTo(Number(parts.scrub.value)));
  for (const radio of parts.worlds) on(radio, "change", () => playground.set("world", radio.value));
  for (const radio of parts.spaces) on(radio, "change", () => playground.look(radio.value));
  on(parts.preset, "change", () => playground.setGraph(parts.preset.value));
  on(parts.labels, "input", () => playground.set("labels", Number(parts.labels.value) / 100));
  MODALITIES.forEach((m) =>
    on(parts.share[m], "input", () => playground.set("labels", { [m]: Number(parts.share[m].value) / 100 })),
  );
  on(parts.noise, "input", () => playground.set("noise", Number(parts.noise.value)));
  on(parts.lessons, "input", () => playground.set("lessons", Number(parts.lessons.value)));
  on(parts.prior, "change", () => playground.set("prior", parts.prior.checked));
  for (const radio of parts.modes)
    on(radio, "change", () => playground.move(playground.chosen, strengthFor(playground, radio.value)));
  on(parts.strength, "input", () => playground.move(playground.chosen, Number(parts.strength.value) || "off"));
  parts.situations.forEach((button, k) => on(button, "click", () => playground.begin(SITUATIONS[k])));
  if (parts.copy) on(parts.copy, "click", () => copy(playground));
  on(root, "keydown", (event) => {
    if (event.key === " " && event.target.closest(".pg-arrow"))
      (event.preventDefault(), playground.play(!playground.playing));
  });
  if (playground.linked) on(window, "hashchange", () => (playground.open(), playground.show()));
  new ResizeObserver(() => (playground.fit(), playground.show())).observe(parts.charts);
  on(matchMedia("(prefers-color-scheme: dark)"), "change", () => (playground.fit(), playground.show()));
}

// What an arrow becomes when its mode is chosen: set, it keeps its present strength, rounded.
function strengthFor(playground, mode) {
  const [i, j] = playground.chosen,
    strength = Math.min(1, playground.now.edges[i][j]);
  return mode === "set" ? Math.round(20 * strength) / 20 || 0.25 : mode;
}

async function copy(playground) {
  playground.remember();
  try {
    await navigator.clipboard.writeText(location.href);
    playground.parts.copy.textContent = "Link copied";
  } catch {
    playground.parts.copy.textContent = "See address bar";
  }
  setTimeout(() => (playground.parts.copy.textContent = "Copy link"), 2500);
}

// The graph: three students and six arrows. An arrow is dragged outwards to make it stronger.

import { MODALITIES, PAIRS } from "./data.js";

const CENTRES = [
    [310, 87],
    [104, 353],
    [516, 353],
  ],
  RADIUS = 84,
  APART = 23,
  NEAR = 8; // of the view box 620 by 440
const WIDEST = 30,
  FULL_DRAG = 110; // strength 1: its width, and how far the pointer goes for it
const CURSORS = ["ew-resize", "nwse-resize", "ns-resize", "nesw-resize"]; // by eighths of a turn
const SVG = "http://www.w3.org/2000/svg";

function made(parent, tag, attributes = {}) {
  const node = document.createElementNS(SVG, tag);
  for (const [name, value] of Object.entries(attributes)) node.setAttribute(name, value);
  parent.append(node);
  return node;
}

// Where an arrow runs: start, direction, outward normal, length.
function geometry([i, j]) {
  const [x1, y1] = CENTRES[i],
    [x2, y2] = CENTRES[j],
    distance = Math.hypot(x2 - x1, y2 - y1);
  const dx = (x2 - x1) / distance,
    dy = (y2 - y1) / distance,
    nx = dy,
    ny = -dx;
  const trim = Math.sqrt((RADIUS + NEAR) ** 2 - APART ** 2);
  return {
    x: x1 + nx * APART + dx * trim,
    y: y1 + ny * APART + dy * trim,
    dx,
    dy,
    nx,
    ny,
    length: distance - 2 * trim,
  };
}

// The outline of an arrow of this strength.
function outline({ x, y, dx, dy, nx, ny, length }, strength) {
  const half = 1.5 + (Math.min(strength, 1.3) * WIDEST) / 2,
    head = 14 + half * 0.9,
    wing = half + 7;
  const point = (along, across) =>
    `${(x + dx * along + nx * across).toFixed(1)},${(y + dy * along + ny * across).toFixed(1)}`;
  const neck = length - head;
  const side = [
    [0, half],
    [neck, half],
    [neck, wing],
  ]; // one side of it; the other is its mirror image
  const corners = [...side, [length, 0], ...side.toReversed().map(([along, across]) => [along, -across])];
  return `M${corners.map(([along, across]) => point(along, across)).join("L")}Z`;
}

// Two chevrons beside the shaft that point to where it is dragged to grow.
function chevrons({ x, y, dx, dy, nx, ny, length }, strength) {
  const half = 1.5 + (Math.min(strength, 1.3) * WIDEST) / 2;
  const point = (along, across) =>
    `${(x + dx * (0.7 * length + along) + nx * across).toFixed(1)},${(y + dy * (0.7 * length + along) + ny * across).toFixed(1)}`;
  return [8, 15].map((at) => `M${point(-7, half + at)}L${point(0, half + at + 6)}L${point(7, half + at)}`).join("");
}

export class Graph {
  // change(pair, strength): the arrow was moved; strength may be "learned" or "off". select(pair): it got the focus.
  constructor(parent, change, select) {
    Object.assign(this, { change, select });
    this.svg = made(parent, "svg", {
      viewBox: "0 0 620 440",
      class: "pg-svg",
      role: "group",
      "aria-label": "graph of three students and six arrows",
    });
    this.arrows = PAIRS.map((pair) => this.arrow(pair));
    this.nodes = MODALITIES.map((m, i) => this.node(m, i));
  }

  arrow(pair) {
    const shape = geometry(pair),
      [source, target] = pair.map((i) => MODALITIES[i]);
    const group = made(this.svg, "g", {
      class: `pg-arrow pg-${source}`,
      tabindex: 0,
      role: "slider",
      "aria-label": `${source} teaches ${target}`,
      "aria-valuemin": 0,
      "aria-valuemax": 1,
    });
    const end = [shape.x + shape.dx * shape.length, shape.y + shape.dy * shape.length];
    made(group, "line", { class: "pg-hit", x1: shape.x, y1: shape.y, x2: end[0], y2: end[1] });
    const aimed = made(group, "path", { class: "pg-aimed" }),
      path = made(group, "path", { class: "pg-shaft" }),
      grip = made(group, "path", { class: "pg-grip" });
    group.style.cursor = CURSORS[Math.round(Math.atan2(shape.ny, shape.nx) / (Math.PI / 4) + 8) % 4];
    const at = shape.length * 0.4,
      [cx, cy] = [shape.x + shape.dx * at, shape.y + shape.dy * at];
    made(group, "rect", { class: "pg-pill", x: cx - 25, y: cy - 13, width: 50, height: 26, rx: 13 });
    const text = made(group, "text", { class: "pg-number", x: cx, y: cy + 5 });
    const parts = { pair, shape, group, path, aimed, grip, text, strength: 0, mode: "" };
    this.listen(parts);
    return parts;
  }

  listen(parts) {
    const { group, shape, pair } = parts;
    let from = null;
    group.addEventListener("focus", () => this.select(pair));
    group.addEventListener("pointerdown", (event) => {
      group.setPointerCapture(event.pointerId);
      group.dataset.pointer = ""; // browsers differ in whether a focus from a script counts as visible
      group.focus();
      from = { x: event.clientX, y: event.clientY, strength: Math.min(parts.strength, 1) };
      event.preventDefault();
    });
    group.addEventListener("pointermove", (event) => {
      if (!from) return;
      const outwards = (event.clientX - from.x) * shape.nx + (event.clientY - from.y) * shape.ny;
      const scale = this.svg.getBoundingClientRect().width / 620,
        moved = outwards / (FULL_DRAG * scale);
      if (Math.abs(outwards) < 3 && !from.moved) return;
      from.moved = true;
      const strength = Math.round(100 * Math.max(0, Math.min(1, from.strength + moved))) / 100;
      this.change(pair, strength || "off");
    });
    const done = () => (from = null);
    for (const name of ["pointerup", "pointercancel"]) group.addEventListener(name, done);
    group.addEventListener("dblclick", () => this.change(pair, parts.mode === "learned" ? "off" : "learned"));
    for (const name of ["keydown", "blur"]) group.addEventListener(name, () => delete group.dataset.pointer);
    group.addEventListener("keydown", (event) => this.key(event, parts));
  }

  key(event, { pair, strength }) {
    const steps = {
      ArrowUp: 0.05,
      ArrowRight: 0.05,
      ArrowDown: -0.05,
      ArrowLeft: -0.05,
      PageUp: 0.25,
      PageDown: -0.25,
    };
    const fixed = { Home: "off", End: 1, l: "learned", L: "learned", 0: "off", Delete: "off", Backspace: "off" };
    if (event.ctrlKey || event.metaKey || event.altKey || !(event.key in steps || event.key in fixed)) return;
    event.preventDefault();
    const moved = Math.round(20 * Math.min(1, Math.max(0, strength + steps[event.key]))) / 20;
    this.change(pair, event.key in fixed ? fixed[event.key] : moved || "off");
  }

  node(m, i) {
    const [x, y] = CENTRES[i],
      group = made(this.svg, "g", { class: `pg-node pg-${m}`, role: "img" }),
      ring = RADIUS - 5;
    made(group, "circle", { class: "pg-disc", cx: x, cy: y, r: RADIUS - 1 });
    made(group, "circle", { class: "pg-ring", cx: x, cy: y, r: ring });
    const arc = made(group, "circle", {
      class: "pg-arc",
      cx: x,
      cy: y,
      r: ring,
      transform: `rotate(-90 ${x} ${y})`,
      pathLength: 100,
    });
    made(group, "text", { class: "pg-name", x, y: y - 36 }).textContent = m;
    const error = made(group, "text", { class: "pg-error", x: x - 26, y: y + 1 });
    made(group, "text", { class: "pg-unit", x: x + 39, y: y + 1 }).textContent = "points";
    const against = made(group, "text", { class: "pg-against", x, y: y + 26 });
    const labels = made(group, "text", { class: "pg-labels", x, y: y + 48 });
    return { group, arc, error, against, labels };
  }

  // What one step looks like. chosen: the pair that the controls below the graph belong to; prior: null where it is off.
  show({ settings, edges, errors, control }, space, chosen, prior) {
    const held = settings.edges[space];
    for (const parts of this.arrows) {
      const [i, j] = parts.pair,
        strength = edges[i][j],
        mode = Number.isNaN(held[i][j]) ? "learned" : held[i][j] ? "set" : "off";
      Object.assign(parts, { strength, mode });
      const text = mode === "off" ? "off" : strength.toFixed(2);
      parts.path.setAttribute("d", outline(parts.shape, strength));
      parts.grip.setAttribute("d", chevrons(parts.shape, strength));
      // A learned edge comes to its prior, and the prior is added to it.
      parts.aimed.setAttribute("d", prior?.[i][j] > 0.05 && mode === "learned" ? outline(parts.shape, 2 * prior[i][j]) : "");
      if (parts.text.textContent !== text) parts.text.textContent = text;
      parts.group.dataset.mode = mode;
      parts.group.dataset.chosen = String(chosen[0] === i && chosen[1] === j);
      parts.group.setAttribute("aria-valuenow", strength.toFixed(2));
      parts.group.setAttribute(
        "aria-valuetext",
        { learned: `${text}, learned`, set: `${text}, set by hand`, off: "off" }[mode],
      );
    }
    this.nodes.forEach((node, i) =>
      this.showNode(node, i, errors[i].mean, control[i].mean, settings.labels[MODALITIES[i]]),
    );
  }

  showNode({ group, arc, error, against, labels }, i, now, alone, share) {
    const by = Number((now - alone).toFixed(2));
    const compared = by === 0 ? "as alone" : by > 0 ? `▲ ${by.toFixed(2)} worse` : `▼ ${(-by).toFixed(2)} better`;
    error.textContent = now.toFixed(2);
    against.textContent = compared;
    group.dataset.against = by >= 0.03 ? "worse" : by <= -0.03 ? "better" : "same";
    labels.textContent = `labels ${Math.round(100 * share)} %`;
    arc.setAttribute("stroke-dasharray", `${100 * share} 100`);
    group.setAttribute(
      "aria-label",
      `${MODALITIES[i]}: error ${now.toFixed(2)} points, ${alone.toFixed(2)} alone; ${labels.textContent} of the clips`,
    );
  }
}

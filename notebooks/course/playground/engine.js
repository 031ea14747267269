// The playground's arithmetic, without a picture: three heads and a GD-Unit, Eqs. (7) to (9), learn in float64.
// reference.py does the same with the package's classes; tests/test_playground.py compares them.

import { CLIPS, MODALITIES, PAIRS, VALID_CLIPS, batchAt } from "./data.js";
import { adam, addProducts, backProduct } from "./linear.js";

const PENALTY = 10; // factor on the squared distance of the mean edges from the prior
const SOURCES = PAIRS.map(([i]) => i),
  TARGETS = PAIRS.map(([, j]) => j),
  CELLS = PAIRS.map(([i, j]) => 3 * i + j);

// Three heads and a GD-Unit of one space, on one order of batches. Without lessons they are the control.
export class Students {
  constructor(data, space, order, taught) {
    Object.assign(this, { data, space, order, taught, step: 0, losses: {} });
    this.places = {}; // name of a weight -> where it starts in theta
    let size = 0;
    for (const [name, x] of Object.entries(data.start[space])) ((this.places[name] = size), (size += x.length));
    const layers = (part, names) =>
      names.flatMap((l) => [this.places[`${part}.${l}.weight`], this.places[`${part}.${l}.bias`]]);
    this.headPlaces = MODALITIES.map((m) => layers(m, ["contract", "expand", "regress"]));
    this.unitPlaces = layers("unit", ["project_logit", "project_node", "edge"]);
    this.theta = Float64Array.from(Object.values(data.start[space]).flatMap((x) => [...x]));
    [this.gradient, this.mean, this.square] = [0, 0, 0].map(() => new Float64Array(size));
    this.width = data.start[space]["language.contract.bias"].length;
    this.graphWidth = data.start[space]["unit.project_node.bias"].length;
    const rows = 3 * CLIPS.valid,
      wide = () => new Float64Array(rows * this.width);
    Object.assign(this, { hidden: wide(), features: wide(), logits: new Float64Array(rows) });
    this.z = new Float64Array(rows * 2 * this.graphWidth);
    this.learned = new Float64Array(9 * CLIPS.valid);
    this.nodes = this.space === "homogeneous" ? this.hidden : this.features;
    [this.asSource, this.asTarget] = [0, 0].map(() => new Float64Array(3));
    this.dNode = new Float64Array(3 * this.width);
    this.dFeatures = new Float64Array(this.width);
    this.dHidden = new Float64Array(this.width);
    this.dz = new Float64Array(2 * this.graphWidth);
  }

  // Hidden layers, features and predictions of all heads on these clips; with the unit's softmax if `edges`.
  forward(features, clips, edges) {
    const { theta, width, hidden, features: out, logits } = this,
      from = clips.map((clip) => clip * width);
    for (let i = 0; i < 3; i++) {
      const [w1, b1, w2, b2, wr, br] = this.headPlaces[i],
        x = features[MODALITIES[i]],
        rows = clips.map((_, b) => (3 * b + i) * width);
      for (let b = 0; b < clips.length; b++)
        for (let r = 0; r < width; r++) {
          hidden[rows[b] + r] = theta[b1 + r];
          out[rows[b] + r] = x[from[b] + r] + theta[b2 + r];
        }
      addProducts(hidden, rows, theta, w1, x, from, width, width);
      for (const row of rows) for (let r = row; r < row + width; r++) if (hidden[r] < 0) hidden[r] = 0;
      addProducts(out, rows, theta, w2, hidden, rows, width, width);
      for (const row of rows) {
        let prediction = theta[br];
        for (let r = 0; r < width; r++) prediction += theta[wr + r] * out[row + r];
        logits[row / width] = prediction;
      }
    }
    if (edges) this.scoreEdges(clips.length);
  }

  // Eq. (8): z_i = [projected logit, projected node], a score for each pair, a softmax over all six.
  scoreEdges(count) {
    const { theta, width, graphWidth: g, z, nodes, asSource, asTarget, learned, logits } = this,
      [wl, bl, wn, bn, edge] = this.unitPlaces;
    const rows = Array.from({ length: 3 * count }, (_, row) => row);
    for (const row of rows)
      for (let k = 0; k < g; k++) {
        z[2 * row * g + k] = theta[wl + k] * logits[row] + theta[bl + k];
        z[(2 * row + 1) * g + k] = theta[bn + k];
      }
    addProducts(
      z,
      rows.map((row) => (2 * row + 1) * g),
      theta,
      wn,
      nodes,
      rows.map((row) => row * width),
      g,
      width,
    );
    for (let b = 0; b < count; b++) {
      for (let i = 0; i < 3; i++) {
        asSource[i] = asTarget[i] = 0; // the bias of the score cancels in the softmax
        for (let k = 0, at = (3 * b + i) * 2 * g; k < 2 * g; k++) {
          asSource[i] += theta[edge + k] * z[at + k];
          asTarget[i] += theta[edge + 2 * g + k] * z[at + k];
        }
      }
      let top = -Infinity,
        total = 0;
      for (let k = 0; k < 6; k++) top = Math.max(top, asSource[SOURCES[k]] + asTarget[TARGETS[k]]);
      for (let k = 0; k < 6; k++)
        total += learned[9 * b + CELLS[k]] = Math.exp(asSource[SOURCES[k]] + asTarget[TARGETS[k]] - top);
      for (let k = 0; k < 6; k++) learned[9 * b + CELLS[k]] /= total;
    }
  }

  prior(settings) {
    return settings.prior
      ? this.data.priors[this.space]
      : [
          [0, 0, 0],
          [0, 0, 0],
          [0, 0, 0],
        ];
  }

  // w[b, i, j] without the prior, and the strength of the lesson: learned edges plus prior, set edges as they are.
  edge(b, i, j, held) {
    return Number.isNaN(held[i][j]) ? this.learned[9 * b + 3 * i + j] : held[i][j];
  }

  strength(b, i, j, held, prior) {
    return Number.isNaN(held[i][j]) ? this.learned[9 * b + 3 * i + j] + prior[i][j] : held[i][j];
  }

  // One step of Adam on the next batch; labels as from `trainingLabels`.
  learn(settings, world, labels) {
    const clips = batchAt(this.step, this.order),
      features = world.features[this.space];
    this.forward(features, clips, this.taught);
    this.gradient.fill(0);
    const dLogits = new Float64Array(3 * clips.length),
      losses = { total: 0 };
    MODALITIES.forEach((m, i) => {
      const known = clips.flatMap((clip, b) => (Number.isNaN(labels[i][clip]) ? [] : [b]));
      losses[m] = 0;
      for (const b of known) {
        const off = this.logits[3 * b + i] - labels[i][clips[b]];
        losses[m] += Math.abs(off) / known.length;
        dLogits[3 * b + i] += Math.sign(off) / known.length;
      }
      losses.total += losses[m];
    });
    const dEdges = this.taught ? this.distil(settings, clips.length, dLogits, losses) : null;
    clips.forEach((clip, b) => this.backward(features, clip, b, dLogits, dEdges));
    this.losses = losses;
    this.step += 1;
    adam(this, this.step);
  }

  // Eq. (9) and the prior's penalty; adds to dLogits and returns the gradient of every learned edge.
  distil(settings, count, dLogits, losses) {
    const held = settings.edges[this.space],
      prior = this.prior(settings),
      { lessons } = settings;
    const dEdges = new Float64Array(9 * count),
      pull = new Float64Array(9);
    losses.logit = losses.prior_penalty = 0;
    if (settings.prior)
      for (const [i, j] of PAIRS) {
        let away = -prior[i][j];
        for (let b = 0; b < count; b++) away += this.edge(b, i, j, held) / count;
        losses.prior_penalty += PENALTY * away * away;
        pull[3 * i + j] = (2 * PENALTY * away) / count;
      }
    for (let b = 0; b < count; b++)
      for (const [i, j] of PAIRS) {
        const difference = this.logits[3 * b + j] - this.logits[3 * b + i],
          epsilon = Math.abs(difference);
        const strength = this.strength(b, i, j, held, prior);
        losses.logit += (strength * epsilon) / count; // Eqs. (7) and (9); the teacher i is held fixed
        dLogits[3 * b + j] += (lessons * strength * Math.sign(difference)) / count;
        if (Number.isNaN(held[i][j])) dEdges[9 * b + 3 * i + j] = lessons * (epsilon / count + pull[3 * i + j]);
      }
    losses.total += lessons * (losses.logit + losses.prior_penalty);
    return dEdges;
  }

  backward(features, clip, b, dLogits, dEdges) {
    const { theta, gradient, width, dNode, dFeatures, dHidden } = this,
      commonSpace = this.space === "homogeneous";
    dNode.fill(0);
    if (dEdges) this.backEdges(b, dLogits, dEdges);
    MODALITIES.forEach((m, i) => {
      const row = 3 * b + i,
        at = row * width,
        d = dLogits[row],
        [w1, b1, w2, b2, wr, br] = this.headPlaces[i];
      gradient[br] += d;
      for (let r = 0; r < width; r++) {
        gradient[wr + r] += d * this.features[at + r];
        dFeatures[r] = d * theta[wr + r] + (commonSpace ? 0 : dNode[i * width + r]);
        dHidden[r] = commonSpace ? dNode[i * width + r] : 0;
      }
      backProduct(dFeatures, 0, theta, gradient, w2, b2, this.hidden, at, width, width, dHidden, 0);
      for (let r = 0; r < width; r++) if (this.hidden[at + r] <= 0) dHidden[r] = 0;
      backProduct(dHidden, 0, theta, gradient, w1, b1, features[m], clip * width, width, width, null, 0);
    });
  }

  // Back through the softmax and the linear maps of Eq. (8), into logits and nodes: edges are not detached.
  backEdges(b, dLogits, dEdges) {
    const { theta, gradient, width, graphWidth: g, z, dz } = this,
      [wl, bl, wn, bn, edge] = this.unitPlaces;
    let mean = 0;
    for (const [i, j] of PAIRS) mean += this.learned[9 * b + 3 * i + j] * dEdges[9 * b + 3 * i + j];
    const asSource = [0, 0, 0],
      asTarget = [0, 0, 0];
    for (const [i, j] of PAIRS) {
      const d = this.learned[9 * b + 3 * i + j] * (dEdges[9 * b + 3 * i + j] - mean);
      asSource[i] += d;
      asTarget[j] += d;
    }
    for (let i = 0; i < 3; i++) {
      const row = 3 * b + i,
        at = row * 2 * g;
      for (let k = 0; k < 2 * g; k++) {
        gradient[edge + k] += asSource[i] * z[at + k];
        gradient[edge + 2 * g + k] += asTarget[i] * z[at + k];
        dz[k] = asSource[i] * theta[edge + k] + asTarget[i] * theta[edge + 2 * g + k];
      }
      for (let k = 0; k < g; k++) {
        gradient[wl + k] += dz[k] * this.logits[row];
        gradient[bl + k] += dz[k];
        dLogits[row] += dz[k] * theta[wl + k];
      }
      backProduct(dz, g, theta, gradient, wn, bn, this.nodes, row * width, g, width, this.dNode, i * width);
    }
  }

  // On the validation clips: mean absolute errors of the heads, in points; mean strengths in force; mean |ŷ_j − ŷ_i|.
  look(settings, world) {
    this.forward(world.features[this.space], VALID_CLIPS, this.taught);
    const errors = [0, 0, 0],
      zeros = () => [
        [0, 0, 0],
        [0, 0, 0],
        [0, 0, 0],
      ],
      edges = zeros(),
      apart = zeros();
    const held = settings.edges[this.space],
      prior = this.prior(settings),
      share = 1 / CLIPS.valid;
    for (let b = 0; b < CLIPS.valid; b++) {
      for (let i = 0; i < 3; i++) errors[i] += share * Math.abs(this.logits[3 * b + i] - world.labels[VALID_CLIPS[b]]);
      if (this.taught)
        for (const [i, j] of PAIRS) {
          edges[i][j] += share * this.strength(b, i, j, held, prior);
          apart[i][j] += share * Math.abs(this.logits[3 * b + j] - this.logits[3 * b + i]);
        }
    }
    return { errors, edges, apart };
  }
}

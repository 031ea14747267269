// Linear maps, their gradients, and Adam, on flat arrays.

const RATE = 5e-3; // of Adam
const CLIP = 0.6; // largest absolute value of one gradient entry

// y = y + W x for the rows of y that begin at `ys` and those of x at `xs`: four at a time, so that each weight is read
// once for all four.
export function addProducts(y, ys, weights, at, x, xs, rows, columns) {
  for (let n = 0; n < ys.length; n += 4) {
    const [y0, y1, y2, y3] = [ys[n], ys[n + 1], ys[n + 2], ys[n + 3]],
      [x0, x1, x2, x3] = [xs[n], xs[n + 1], xs[n + 2], xs[n + 3]];
    for (let r = 0; r < rows; r++) {
      let p0 = y[y0 + r],
        p1 = y[y1 + r],
        p2 = y[y2 + r],
        p3 = y[y3 + r];
      for (let c = 0, k = at + r * columns; c < columns; c++) {
        const w = weights[k + c];
        p0 += w * x[x0 + c];
        p1 += w * x[x1 + c];
        p2 += w * x[x2 + c];
        p3 += w * x[x3 + c];
      }
      y[y0 + r] = p0;
      y[y1 + r] = p1;
      y[y2 + r] = p2;
      y[y3 + r] = p3;
    }
  }
}

// The gradients of y = W x + b: of W, of b, and, if dx is given, of x.
export function backProduct(dy, dyAt, theta, gradient, at, biasAt, x, xAt, rows, columns, dx, dxAt) {
  for (let r = 0; r < rows; r++) {
    const d = dy[dyAt + r];
    if (d === 0) continue;
    gradient[biasAt + r] += d;
    const k = at + r * columns;
    for (let c = 0; c < columns; c++) gradient[k + c] += d * x[xAt + c];
    if (dx) for (let c = 0; c < columns; c++) dx[dxAt + c] += d * theta[k + c];
  }
}

// Step `step`, counted from 1, of torch.optim.Adam with its defaults, after clipping each entry of the gradient.
export function adam({ theta, gradient, mean, square }, step) {
  const rate = RATE / (1 - 0.9 ** step);
  const scale = Math.sqrt(1 - 0.999 ** step);
  for (let k = 0; k < theta.length; k++) {
    const d = Math.min(CLIP, Math.max(-CLIP, gradient[k]));
    mean[k] += 0.1 * (d - mean[k]);
    square[k] += 0.001 * (d * d - square[k]);
    theta[k] -= (rate * mean[k]) / (Math.sqrt(square[k]) / scale + 1e-8);
  }
}

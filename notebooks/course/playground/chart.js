// The error of one student over the steps, beside its control; bands from the lowest to the highest order of batches.

const SHORTEST = 150; // steps along the axis

export class Chart {
  constructor(canvas, modality, last) {
    Object.assign(this, { canvas, modality, last, context: canvas.getContext("2d") });
  }

  // Colours and size of the moment; called when either may have changed.
  fit() {
    const style = getComputedStyle(this.canvas),
      dense = window.devicePixelRatio || 1;
    this.colours = Object.fromEntries(
      ["ink", "quiet", "line", this.modality].map((name) => [name, style.getPropertyValue(`--${name}`).trim()]),
    );
    const size = Math.round(0.95 * parseFloat(style.fontSize));
    this.font = `${size}px ${style.fontFamily}`;
    this.margin = { left: 2.5 * size, right: 0.8 * size, top: 10, bottom: 1.7 * size };
    [this.wide, this.high] = [this.canvas.clientWidth, this.canvas.clientHeight];
    [this.canvas.width, this.canvas.height] = [Math.round(this.wide * dense), Math.round(this.high * dense)];
    this.context.setTransform(dense, 0, 0, dense, 0, 0);
  }

  // history: all steps; shown: the step that is looked at; top: of the axis, in points.
  draw(history, index, shown, top) {
    const { context, wide, high, colours, margin } = this,
      end = Math.max(SHORTEST, history.length - 1);
    const x = (step) => margin.left + (step / end) * (wide - margin.left - margin.right);
    const y = (error) => high - margin.bottom - (error / top) * (high - margin.top - margin.bottom);
    context.clearRect(0, 0, wide, high);
    context.font = this.font;
    this.axes(x, y, end, top);
    const every = Math.max(1, Math.floor(history.length / 400)),
      steps = [];
    for (let step = 0; step < history.length; step += every) steps.push(step);
    if (steps.at(-1) !== history.length - 1) steps.push(history.length - 1);
    for (const [name, colour, dash, width] of [
      ["control", colours.quiet, [5, 4], 1.75],
      ["errors", colours[this.modality], [], 2.75],
    ]) {
      const at = (step, part) => y(Math.min(top, history[step][name][index][part]));
      context.beginPath();
      for (const step of steps) context.lineTo(x(step), at(step, "high"));
      for (let k = steps.length - 1; k >= 0; k--) context.lineTo(x(steps[k]), at(steps[k], "low"));
      context.globalAlpha = 0.18;
      context.fillStyle = colour;
      context.fill();
      context.globalAlpha = 1;
      context.beginPath();
      for (const step of steps) context.lineTo(x(step), at(step, "mean"));
      context.setLineDash(dash);
      context.strokeStyle = colour;
      context.lineWidth = width;
      context.lineJoin = "round";
      context.stroke();
      context.setLineDash([]);
    }
    context.fillStyle = colours.quiet;
    context.fillRect(Math.round(x(shown)), margin.top, 1, high - margin.top - margin.bottom);
    context.beginPath();
    context.arc(x(shown), y(Math.min(top, history[shown].errors[index].mean)), 4, 0, 7);
    context.fillStyle = colours[this.modality];
    context.fill();
  }

  axes(x, y, end, top) {
    const { context, wide, high, colours, margin } = this;
    context.strokeStyle = colours.line;
    context.fillStyle = colours.quiet;
    context.lineWidth = 1;
    context.textBaseline = "middle";
    context.textAlign = "right";
    for (let error = 0; error <= top + 1e-9; error += top > 2 ? 1 : 0.5) {
      context.beginPath();
      context.moveTo(margin.left, y(error));
      context.lineTo(wide - margin.right, y(error));
      context.stroke();
      context.fillText(error.toFixed(1), margin.left - 6, y(error));
    }
    context.textBaseline = "alphabetic";
    const every = end <= 200 ? 50 : end <= 500 ? 100 : 500;
    for (let step = 0; step <= end; step += every) {
      context.textAlign = step === 0 ? "left" : step === end ? "right" : "center";
      context.fillText(step === 0 ? "0 steps" : String(step), x(step), high - 5);
    }
  }
}

// Figures that are looked into: hover shows a point with its interval, the wheel or a drag zooms, a
// double click shows all again. Drawn as SVG, so that it is sharp at any size and follows the colors
// of the page.

const SVG = "http://www.w3.org/2000/svg";
const MARGIN = { left: 68, right: 16, top: 12, bottom: 40 };
const LABEL = 48; // pixels behind the lines for what they are called
const FEW_DECADES = 2.6; // of an axis, between which 2 and 5 are labeled too
const NEAR = 30; // pixels within which a point is meant

function make(name, attributes, parent, text) {
  const element = document.createElementNS(SVG, name);
  for (const [key, value] of Object.entries(attributes)) element.setAttribute(key, value);
  if (text !== undefined) element.textContent = text;
  parent?.append(element);
  return element;
}

function superscript(exponent) {
  return String(exponent).replace(/[-0-9]/g, (digit) => "⁻⁰¹²³⁴⁵⁶⁷⁸⁹"["-0123456789".indexOf(digit)]);
}

function decimal(part, exponent) {
  if (exponent >= -2 && exponent <= 3) return String(Number((part * 10 ** exponent).toPrecision(2)));
  return part === 1 ? `10${superscript(exponent)}` : `${part}×10${superscript(exponent)}`;
}

class Axis {
  // Values between two ends, linear or logarithmic; `low` and `high` are of the scale.
  constructor(isLog) {
    this.isLog = isLog;
    this.whole = [Infinity, -Infinity];
  }

  scaled(value) {
    return this.isLog ? Math.log10(value) : value;
  }

  cover(value) {
    const scaled = this.scaled(value);
    if (!Number.isFinite(scaled)) return;
    this.whole = [Math.min(this.whole[0], scaled), Math.max(this.whole[1], scaled)];
  }

  fit() {
    const [low, high] = Number.isFinite(this.whole[0]) ? this.whole : [0, 1];
    const room = 0.08 * (high - low) || 0.5;
    [this.low, this.high] = [low - room, high + room];
  }

  share(value) {
    return (this.scaled(value) - this.low) / (this.high - this.low);
  }

  ticks() {
    const span = this.high - this.low;
    if (this.isLog && span > 1.2) {
      const step = Math.max(1, Math.ceil(span / 6));
      const parts = span < FEW_DECADES ? [1, 2, 5] : [1];
      const found = [];
      for (let e = Math.floor(this.low / step) * step; e <= this.high; e += step)
        for (const part of parts) {
          const [value, place] = [part * 10 ** e, e + Math.log10(part)];
          if (place >= this.low && place <= this.high) found.push([value, decimal(part, e)]);
        }
      return found;
    }
    const [low, high] = this.isLog ? [10 ** this.low, 10 ** this.high] : [this.low, this.high];
    const rough = (high - low) / 5;
    const unit = 10 ** Math.floor(Math.log10(rough));
    const step = [1, 2, 5, 10].map((m) => m * unit).find((s) => s >= rough);
    const found = [];
    for (let k = Math.ceil(low / step); k * step <= high; k++)
      found.push([k * step, String(Number((k * step).toPrecision(6)))]);
    return found;
  }
}

export class Plot {
  // series: {points: [{x, y, lower, upper, kind, said, href, used}], line: [[x, y]], band, color, dash,
  // width, label}; axes: {label, log}; marks: values of x with a dashed line.
  constructor(place, { x, y, series, marks = [] }) {
    // What was drawn here before looks at nothing any more, or it would draw itself again.
    place.plot?.end();
    place.plot = this;
    place.replaceChildren();
    this.place = place;
    this.marks = marks;
    this.labels = { x: x.label, y: y.label };
    this.series = series;
    this.right = MARGIN.right + (series.some((one) => one.label) ? LABEL : 0);
    this.x = new Axis(x.log);
    this.y = new Axis(y.log);
    for (const one of series) {
      for (const [a, b] of one.line ?? []) this.cover(a, b);
      for (const point of one.points ?? []) this.cover(point.x, point.y, point.lower, point.upper);
    }
    for (const mark of marks) this.x.cover(mark);
    this.x.fit();
    this.y.fit();
    this.tip = document.createElement("div");
    this.tip.className = "tip";
    this.tip.hidden = true;
    this.draw();
    this.watch();
    this.sizes = new ResizeObserver(() => this.draw());
    this.sizes.observe(place);
  }

  end() {
    this.sizes.disconnect();
    this.events.abort();
  }

  cover(x, ...ys) {
    this.x.cover(x);
    for (const y of ys) if (y !== null && y !== undefined) this.y.cover(y);
  }

  at(x, y) {
    return [
      MARGIN.left + this.x.share(x) * this.inner.width,
      MARGIN.top + (1 - this.y.share(y)) * this.inner.height,
    ];
  }

  draw() {
    const width = Math.max(260, this.place.clientWidth);
    const height = Math.round(Math.min(380, Math.max(240, 0.66 * width)));
    this.inner = { width: width - MARGIN.left - this.right, height: height - MARGIN.top - MARGIN.bottom };
    const root = make("svg", { viewBox: `0 0 ${width} ${height}`, width, height, class: "plot", role: "img" });
    make("title", {}, root, `${this.labels.y} against ${this.labels.x}`);
    const clip = `clip-${Math.random().toString(36).slice(2)}`;
    make("rect", { x: MARGIN.left, y: MARGIN.top, ...this.inner }, make("clipPath", { id: clip }, root));
    this.drawAxes(root, width, height);
    const inside = make("g", { "clip-path": `url(#${clip})` }, root);
    for (const mark of this.marks) {
      const x = MARGIN.left + this.x.share(mark) * this.inner.width;
      make("line", { class: "mark", x1: x, x2: x, y1: MARGIN.top, y2: MARGIN.top + this.inner.height }, inside);
    }
    this.shown = [];
    for (const one of this.series) this.drawSeries(inside, one);
    this.drawLabels(root);
    this.root?.remove();
    this.root = root;
    this.place.append(root, this.tip);
  }

  drawAxes(root, width, height) {
    const [left, bottom] = [MARGIN.left, height - MARGIN.bottom];
    for (const [value, text] of this.x.ticks()) {
      const x = left + this.x.share(value) * this.inner.width;
      make("line", { class: "grid", x1: x, x2: x, y1: MARGIN.top, y2: bottom }, root);
      make("text", { x, y: bottom + 16, "text-anchor": "middle" }, root, text);
    }
    for (const [value, text] of this.y.ticks()) {
      const y = MARGIN.top + (1 - this.y.share(value)) * this.inner.height;
      make("line", { class: "grid", x1: left, x2: width - this.right, y1: y, y2: y }, root);
      make("text", { x: left - 6, y: y + 4, "text-anchor": "end" }, root, text);
    }
    make("text", { class: "label", x: left + this.inner.width / 2, y: height - 6, "text-anchor": "middle" }, root, this.labels.x);
    const middle = MARGIN.top + this.inner.height / 2;
    make("text", { class: "label", x: 12, y: middle, "text-anchor": "middle", transform: `rotate(-90 12 ${middle})` }, root, this.labels.y);
  }

  drawSeries(inside, one) {
    const color = one.color ?? "currentColor";
    const path = (points) => points.map(([x, y], k) => `${k ? "L" : "M"}${this.at(x, y).map((v) => v.toFixed(1))}`).join("");
    if (one.band?.length) {
      const [upper, lower] = [one.band.map(([x, , high]) => [x, high]), one.band.map(([x, low]) => [x, low]).reverse()];
      make("path", { d: `${path([...upper, ...lower])}Z`, fill: color, opacity: 0.16 }, inside);
    }
    if (one.line?.length)
      make("path", { d: path(one.line), fill: "none", stroke: color, "stroke-width": one.width ?? 1.5, "stroke-dasharray": one.dash ?? "none" }, inside);
    for (const point of one.points ?? []) {
      const [x, y] = this.at(point.x, point.y);
      if (point.kind === "value" && point.lower > 0) {
        const [, low] = this.at(point.x, point.lower);
        const [, high] = this.at(point.x, point.upper);
        make("line", { x1: x, x2: x, y1: low, y2: high, stroke: color, opacity: one.faint ? 0.25 : 0.8 }, inside);
      }
      if (point.kind === "upper_bound" || point.kind === "lower_bound") {
        const way = point.kind === "upper_bound" ? 1 : -1;
        make("path", { d: `M${x - 5} ${y}h10M${x} ${y}v${14 * way}m-3 ${-4 * way}l3 ${4 * way}l3 ${-4 * way}`, fill: "none", stroke: point.color ?? color, "stroke-width": 1.5 }, inside);
      } else {
        make("circle", { cx: x, cy: y, r: one.radius ?? 4.5, fill: point.used === false ? "none" : (point.color ?? color), stroke: point.color ?? color }, inside);
      }
      this.shown.push([x, y, point]);
    }
    for (const [x, y] of one.said ? one.line : []) this.shown.push([...this.at(x, y), { said: `${one.label}: ${one.said}` }]);
  }

  drawLabels(root) {
    // At the ends of the lines, from the top down, none upon another.
    const ends = this.series
      .filter((one) => one.label && (one.line?.length || one.points?.length))
      .map((one) => {
        const { x, y } = one.points?.[one.points.length - 1] ?? {};
        return [one, ...(one.points?.length ? this.at(x, y) : this.at(...one.line[one.line.length - 1]))];
      })
      .sort((a, b) => a[2] - b[2]);
    let last = -Infinity;
    for (const [one, x, y] of ends) {
      const place = Math.max(y, last + 13);
      last = place;
      make("text", { class: "end", x: Math.min(x, MARGIN.left + this.inner.width) + 5, y: place + 4, fill: one.color }, root, one.label);
    }
  }

  watch() {
    this.events = new AbortController();
    const { signal } = this.events;
    const where = (event) => {
      const box = this.root.getBoundingClientRect();
      return [event.clientX - box.left, event.clientY - box.top];
    };
    this.place.addEventListener("pointermove", (event) => {
      const [x, y] = where(event);
      if (this.grip) return this.drag(x, y);
      this.point(x, y);
    }, { signal });
    this.place.addEventListener("pointerleave", () => (this.tip.hidden = true), { signal });
    this.place.addEventListener("pointerdown", (event) => {
      if (event.pointerType === "touch") return;
      this.grip = { from: where(event), x: [this.x.low, this.x.high], y: [this.y.low, this.y.high] };
    }, { signal });
    addEventListener("pointerup", () => (this.grip = null), { signal });
    this.place.addEventListener("click", () => {
      if (this.meant?.href && !this.moved) location.href = this.meant.href;
      this.moved = false;
    }, { signal });
    this.place.addEventListener("dblclick", () => {
      this.x.fit();
      this.y.fit();
      this.draw();
    }, { signal });
    this.place.addEventListener(
      "wheel",
      (event) => {
        if (!event.ctrlKey && !event.shiftKey && !event.altKey) return; // the page is scrolled
        event.preventDefault();
        const [x, y] = where(event);
        const factor = Math.exp(0.002 * (event.deltaY || event.deltaX));
        const zoom = (axis, share) => {
          const middle = axis.low + share * (axis.high - axis.low);
          [axis.low, axis.high] = [middle + factor * (axis.low - middle), middle + factor * (axis.high - middle)];
        };
        zoom(this.x, (x - MARGIN.left) / this.inner.width);
        zoom(this.y, 1 - (y - MARGIN.top) / this.inner.height);
        this.draw();
      },
      { passive: false, signal },
    );
  }

  drag(x, y) {
    const [dx, dy] = [x - this.grip.from[0], y - this.grip.from[1]];
    if (Math.hypot(dx, dy) < 4) return;
    this.moved = true;
    const shift = (axis, [low, high], share) => {
      [axis.low, axis.high] = [low - share * (high - low), high - share * (high - low)];
    };
    shift(this.x, this.grip.x, dx / this.inner.width);
    shift(this.y, this.grip.y, -dy / this.inner.height);
    this.draw();
  }

  point(x, y) {
    let best = NEAR;
    this.meant = null;
    for (const [px, py, point] of this.shown) {
      const apart = Math.hypot(px - x, py - y);
      if (apart < best && point.said) [best, this.meant] = [apart, point];
    }
    this.tip.hidden = !this.meant;
    if (!this.meant) return;
    this.tip.textContent = this.meant.said;
    // Set through the object model, which the policy against inline styles allows.
    this.tip.style.left = `${Math.min(x + 12, this.place.clientWidth - this.tip.offsetWidth - 4)}px`;
    this.tip.style.top = `${Math.max(0, y - this.tip.offsetHeight - 10)}px`;
    this.root.classList.toggle("points", Boolean(this.meant.href));
  }
}

const BLUE_TO_RED = [[23, 65, 156], [43, 143, 206], [126, 87, 176], [208, 70, 107], [165, 15, 21]]; // as in reports
const [COLD, HOT] = [300, 1500]; // K

export function temperatureColor(kelvin) {
  const share = Math.min(1, Math.max(0, (kelvin - COLD) / (HOT - COLD))) * (BLUE_TO_RED.length - 1);
  const k = Math.min(BLUE_TO_RED.length - 2, Math.floor(share));
  const light = matchMedia("(prefers-color-scheme: dark)").matches ? 0.35 : 0;
  const parts = BLUE_TO_RED[k].map((low, i) => {
    const value = low + (share - k) * (BLUE_TO_RED[k + 1][i] - low);
    return Math.round(value + light * (255 - value));
  });
  return `rgb(${parts.join(" ")})`;
}

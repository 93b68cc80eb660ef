// A crystal to turn: atoms as shaded balls, bonds, the cell, and the path of a trajectory. A canvas and
// an orthographic view; drag turns, the wheel with Ctrl or two fingers zoom, a double click turns back.

const COLORS = {
  H: "#f2f2f2", Li: "#a06ae8", Be: "#b5d40a", B: "#eba48f", C: "#6b6b6b", N: "#3f5df0", O: "#e5261f", F: "#6fcf4b",
  Na: "#8f55d8", Mg: "#6ec800", Al: "#b3a0a0", Si: "#d8b888", P: "#f08a1d", S: "#e6c92b", Cl: "#2fc42f", K: "#7b3fc2",
  Ca: "#48c400", Ti: "#a8abb0", Fe: "#d8622f", Co: "#e07f93", Ni: "#4fc04f", Cu: "#c17a38", Zn: "#7a7dae", Ga: "#bf8b8b",
  Ge: "#6a9090", As: "#b67fd6", Se: "#e39b12", Br: "#a3342c", Sr: "#20e020", Y: "#7fe0e0", Zr: "#7fd0d0", Nb: "#6fb5bb",
  In: "#a37270", Sn: "#688080", Sb: "#9a60b0", Te: "#c87300", I: "#8a138f", Ba: "#17b517", La: "#66b8e8", Ta: "#4aa0e8",
  Au: "#e6b81e",
};
const BALL = 0.42; // of the atomic radius
const PER_SECOND = 20; // frames

class Viewer {
  constructor(canvas) {
    this.canvas = canvas;
    this.pen = canvas.getContext("2d");
    this.home();
    this.gestures();
    new ResizeObserver(() => this.draw()).observe(canvas);
  }

  home() {
    this.turn = [1, 0, 0, 0, 1, 0, 0, 0, 1];
    this.rotate(-0.35, 0);
    this.rotate(0, -0.3);
    this.zoom = 1;
    this.draw();
  }

  show(crystal) {
    this.crystal = crystal;
    const middle = [0, 1, 2].map((k) => crystal.cell.reduce((sum, row) => sum + row[k], 0) / 2);
    this.middle = middle;
    this.corners = [];
    for (let c = 0; c < 8; c++)
      this.corners.push([0, 1, 2].map((k) => crystal.cell.reduce((sum, row, n) => sum + ((c >> n) & 1) * row[k], -middle[k])));
    this.reach = Math.max(...this.corners.map((corner) => Math.hypot(...corner))) + 1;
    this.atoms = crystal.positions;
    this.draw();
  }

  frame(number) {
    const flat = this.crystal.frames[number];
    const inverse = this.inverse ?? (this.inverse = invert(this.crystal.cell));
    // Paths go on through the walls of the cell; each atom is drawn within.
    this.atoms = this.crystal.atoms.map((_, k) => {
      const at = [flat[3 * k] / 100, flat[3 * k + 1] / 100, flat[3 * k + 2] / 100];
      const share = times(at, inverse).map((value) => value - Math.floor(value));
      return times(share, this.crystal.cell);
    });
    this.moves = true;
    this.draw();
  }

  rotate(up, side) {
    const [c, s, d, t] = [Math.cos(up), Math.sin(up), Math.cos(side), Math.sin(side)];
    const m = [d, 0, t, s * t, c, -s * d, -c * t, s, c * d];
    const old = this.turn;
    this.turn = [0, 1, 2].flatMap((i) => [0, 1, 2].map((j) => m[3 * i] * old[j] + m[3 * i + 1] * old[3 + j] + m[3 * i + 2] * old[6 + j]));
  }

  project(at) {
    const t = this.turn;
    return [0, 3, 6].map((k) => t[k] * at[0] + t[k + 1] * at[1] + t[k + 2] * at[2]);
  }

  draw() {
    if (!this.crystal) return;
    const ratio = devicePixelRatio || 1;
    const [width, height] = [this.canvas.clientWidth, this.canvas.clientHeight];
    this.canvas.width = width * ratio;
    this.canvas.height = height * ratio;
    const pen = this.pen;
    pen.setTransform(ratio, 0, 0, ratio, 0, 0);
    pen.clearRect(0, 0, width, height);
    const scale = (this.zoom * Math.min(width, height)) / (2 * this.reach);
    const place = (at) => {
      const [x, y, z] = this.project(at);
      return [width / 2 + scale * x, height / 2 - scale * y, z];
    };
    const style = getComputedStyle(this.canvas);
    pen.strokeStyle = style.color;
    pen.globalAlpha = 0.5;
    pen.lineWidth = 1;
    for (let a = 0; a < 8; a++)
      for (let n = 0; n < 3; n++)
        if (!((a >> n) & 1)) this.stroke(place(this.corners[a]), place(this.corners[a | (1 << n)]));
    pen.globalAlpha = 1;
    const seen = this.atoms.map((at) => place(at.map((value, k) => value - this.middle[k])));
    const things = seen.map((at, k) => ({ z: at[2], ball: k }));
    if (!this.moves) for (const [a, b] of this.crystal.bonds) things.push({ z: (seen[a][2] + seen[b][2]) / 2 - 0.1, bond: [a, b] });
    things.sort((a, b) => a.z - b.z);
    for (const thing of things) {
      if (thing.bond) {
        pen.lineWidth = Math.max(1, 0.16 * scale);
        pen.strokeStyle = "#98a2b3";
        this.stroke(seen[thing.bond[0]], seen[thing.bond[1]]);
      } else this.ball(seen[thing.ball], this.crystal.atoms[thing.ball], scale);
    }
  }

  stroke([x1, y1], [x2, y2]) {
    this.pen.beginPath();
    this.pen.moveTo(x1, y1);
    this.pen.lineTo(x2, y2);
    this.pen.stroke();
  }

  ball([x, y], kind, scale) {
    const pen = this.pen;
    const radius = Math.max(2, BALL * this.crystal.radii[kind] * scale);
    const shade = pen.createRadialGradient(x - 0.35 * radius, y - 0.35 * radius, 0.1 * radius, x, y, radius);
    const color = COLORS[this.crystal.kinds[kind]] ?? "#b0b8c4";
    shade.addColorStop(0, "#fff");
    shade.addColorStop(0.25, color);
    shade.addColorStop(1, color);
    pen.fillStyle = shade;
    pen.strokeStyle = "rgb(0 0 0 / .45)";
    pen.lineWidth = 0.8;
    pen.beginPath();
    pen.arc(x, y, radius, 0, 2 * Math.PI);
    pen.fill();
    pen.stroke();
  }

  gestures() {
    const fingers = new Map();
    this.canvas.addEventListener("pointerdown", (event) => {
      this.canvas.setPointerCapture(event.pointerId);
      fingers.set(event.pointerId, [event.clientX, event.clientY]);
    });
    const apart = () => {
      const [a, b] = [...fingers.values()];
      return Math.hypot(a[0] - b[0], a[1] - b[1]);
    };
    this.canvas.addEventListener("pointermove", (event) => {
      const before = fingers.get(event.pointerId);
      if (!before) return;
      const was = fingers.size === 2 ? apart() : 0;
      fingers.set(event.pointerId, [event.clientX, event.clientY]);
      if (was) this.zoom *= apart() / was;
      else this.rotate((event.clientY - before[1]) / 120, (event.clientX - before[0]) / 120);
      this.draw();
    });
    for (const name of ["pointerup", "pointercancel"]) this.canvas.addEventListener(name, (event) => fingers.delete(event.pointerId));
    this.canvas.addEventListener("dblclick", () => this.home());
    this.canvas.addEventListener("keydown", (event) => {
      const ways = { ArrowLeft: [0, -0.1], ArrowRight: [0, 0.1], ArrowUp: [-0.1, 0], ArrowDown: [0.1, 0] };
      if (ways[event.key]) this.rotate(...ways[event.key]);
      else if (event.key === "+") this.zoom *= 1.1;
      else if (event.key === "-") this.zoom /= 1.1;
      else return;
      event.preventDefault();
      this.draw();
    });
    this.canvas.addEventListener(
      "wheel",
      (event) => {
        if (!event.ctrlKey && !event.shiftKey) return; // the page is scrolled
        event.preventDefault();
        this.zoom *= Math.exp(-0.002 * (event.deltaY || event.deltaX));
        this.draw();
      },
      { passive: false },
    );
  }
}

function times(row, matrix) {
  return [0, 1, 2].map((k) => row[0] * matrix[0][k] + row[1] * matrix[1][k] + row[2] * matrix[2][k]);
}

function invert([a, b, c]) {
  const cross = (u, v) => [u[1] * v[2] - u[2] * v[1], u[2] * v[0] - u[0] * v[2], u[0] * v[1] - u[1] * v[0]];
  const [x, y, z] = [cross(b, c), cross(c, a), cross(a, b)];
  const volume = a[0] * x[0] + a[1] * x[1] + a[2] * x[2];
  return [0, 1, 2].map((k) => [x[k] / volume, y[k] / volume, z[k] / volume]);
}

const canvas = document.getElementById("crystal");

if (canvas) {
  const viewer = new Viewer(canvas);
  const choice = document.getElementById("shown");
  const play = document.getElementById("play");
  const slider = document.getElementById("frame");
  const said = document.getElementById("moment");
  let timer = 0;

  const legend = (crystal) => {
    const place = document.getElementById("elements");
    place.replaceChildren(
      ...crystal.kinds.map((kind) => {
        const item = document.createElement("span");
        const dot = document.createElement("i");
        dot.style.background = COLORS[kind] ?? "#b0b8c4"; // through the object model: allowed
        item.append(dot, kind);
        return item;
      }),
    );
  };
  const show = (number) => {
    viewer.frame(number);
    slider.value = number;
    const time = number * viewer.crystal.between_ps;
    said.textContent = `${time.toPrecision(3)} ps at ${viewer.crystal.temperature} K`;
  };
  const stop = () => {
    clearInterval(timer);
    timer = 0;
    play.textContent = "Play";
  };
  const load = async () => {
    stop();
    const answer = await fetch(choice.value);
    if (!answer.ok) return;
    const crystal = await answer.json();
    viewer.moves = false;
    viewer.inverse = null;
    viewer.show(crystal);
    legend(crystal);
    const isMoving = Boolean(crystal.frames);
    for (const part of [play, slider]) part.hidden = !isMoving;
    said.textContent = "";
    if (isMoving) {
      slider.max = crystal.frames.length - 1;
      show(0);
    }
  };
  choice.addEventListener("change", () => load().catch(() => {}));
  slider.addEventListener("input", () => show(Number(slider.value)));
  play.addEventListener("click", () => {
    if (timer) return stop();
    play.textContent = "Stop";
    timer = setInterval(() => show((Number(slider.value) + 1) % viewer.crystal.frames.length), 1000 / PER_SECOND);
  });
  load().catch(() => {});
}

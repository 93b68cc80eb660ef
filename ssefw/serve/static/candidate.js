// The figures of a candidate, drawn again when its campaign has changed.
import { Plot, temperatureColor } from "/static/plot.js";

const places = document.getElementById("figures");

function msd(place, runs) {
  const series = [];
  for (const run of runs) {
    const color = temperatureColor(run.temperature);
    const pairs = (values) => run.x.map((x, k) => [x, values[k]]).filter(([x, y]) => x > 0 && y > 0);
    const line = pairs(run.y);
    if (!line.length) continue;
    series.push({ line, color, label: run.label, said: run.said });
    if (run.framework.length === run.x.length) series.push({ line: pairs(run.framework), color, dash: "2 3", width: 1 });
    if (run.fit) series.push({ line: line.filter(([x]) => x >= run.fit[0] && x <= run.fit[1]), color, width: 4 });
  }
  if (!series.length) return false;
  new Plot(place, { x: { label: "time lag (ps)", log: true }, y: { label: "mean squared displacement (Å²)", log: true }, series });
  return true;
}

function growth(place, runs) {
  // Values with their intervals, joined; bounds as arrows. Dashed, the length that is aimed at.
  const series = runs
    .filter((run) => run.points.length)
    .map((run) => ({
      points: run.points,
      line: run.points.filter((point) => point.kind === "value").map(({ x, y }) => [x, y]),
      color: temperatureColor(run.temperature),
      label: run.label,
      radius: 3.5,
    }));
  if (!series.length) return false;
  const targets = [...new Set(runs.map((run) => run.target).filter(Boolean))];
  new Plot(place, { x: { label: "simulated time (ps)", log: true }, y: { label: "D* (cm²/s)", log: true }, series, marks: targets });
  return true;
}

function arrhenius(place, found) {
  if (!found || !(found.points.length || found.target)) return false;
  const color = "#2e90fa";
  // Of a disordered crystal, one line for each of its arrangements.
  const series = found.lines.map((line) => ({ points: [], color, line: line.map(([x, y]) => [x, y]), band: line.map(([x, , low, high]) => [x, low, high]) }));
  series.push({ points: found.points, color });
  if (found.target) series.push({ points: [found.target], color: "#f79009", radius: 6 });
  new Plot(place, { x: { label: "1000 K / T" }, y: { label: "conductivity (S/cm)", log: true }, series });
  return true;
}

let last = "";

async function asked(name) {
  const answer = await fetch(`${places.dataset.source}/${name}.json`);
  return answer.ok ? answer.text() : "null";
}

async function draw() {
  // Curves of what is stored come at once, those of runs that go on when they are computed.
  const curves = await asked("curves");
  show(curves, last ? last.split("\n")[1] : "null");
  show(curves, await asked("growth"));
}

function show(curves, grown) {
  const text = `${curves}\n${grown}`;
  if (text === last) return;
  last = text;
  const [found, runs] = [JSON.parse(curves), JSON.parse(grown) ?? []];
  if (!found) return;
  // Of runs that go on, and of those that nobody has analyzed yet.
  const isKnown = (run) => found.msd.some((one) => one.temperature === run.temperature);
  const live = runs
    .filter((run) => run.msd && (run.now || !isKnown(run)))
    .map((run) => ({ ...run.msd, label: `${run.label}…`, said: [run.now, run.msd.said].filter(Boolean).join("; ") }));
  const stored = found.msd.filter((one) => !live.some((run) => run.temperature === one.temperature));
  const shown = [
    ["msd", msd(document.getElementById("msd"), [...stored, ...live])],
    ["growth", growth(document.getElementById("growth"), runs)],
    ["arrhenius", arrhenius(document.getElementById("arrhenius"), found.arrhenius)],
  ];
  for (const [name, isShown] of shown) document.getElementById(name).closest("figure").hidden = !isShown;
  places.hidden = !shown.some(([, isShown]) => isShown);
}

if (places) {
  draw().catch(() => {});
  document.addEventListener("fresh", () => draw().catch(() => {}));
}

// The conductivities of the results over their activation energies.
import { Plot } from "/static/plot.js";

const map = document.getElementById("map");

async function draw() {
  const answer = await fetch(map.dataset.source);
  const points = answer.ok ? await answer.json() : [];
  map.hidden = points.length < 2;
  if (map.hidden) return;
  const many = points.length > 200;
  new Plot(document.getElementById("points"), {
    x: { label: "activation energy (eV)" },
    y: { label: "conductivity (S/cm)", log: true },
    series: [{ points, color: "#2e90fa", radius: many ? 2.5 : 4.5, faint: many }],
  });
}

if (map) draw().catch(() => {});

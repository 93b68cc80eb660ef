// Conductivities of outcomes over what is chosen: an energy, a composition, a score.
import { Plot } from "/static/plot.js";

const map = document.getElementById("map");
const across = document.getElementById("across");
const element = document.getElementById("element");
const few = document.getElementById("few");
const MANY = 200;

async function draw() {
  const asked = new URL(map.dataset.source, location.href);
  let label = map.dataset.x;
  if (across) {
    element.hidden = across.value !== "share";
    asked.searchParams.set("x", across.value);
    asked.searchParams.set("element", element.value);
    label = across.selectedOptions[0].textContent + (element.hidden ? "" : ` ${element.value}`);
  }
  const answer = await fetch(asked, { headers: { accept: "application/json" } });
  const points = answer.ok ? await answer.json() : [];
  const place = document.getElementById("points");
  // Who has chosen sees that there is nothing; who has not is shown no empty figure.
  if (few) few.hidden = points.length > 0;
  map.hidden = points.length < 1 && map.hidden;
  place.hidden = !points.length;
  if (!points.length) return;
  map.hidden = false;
  const many = points.length > MANY;
  new Plot(place, {
    x: { label },
    y: { label: "conductivity (S/cm)", log: true },
    series: [{ points, color: "#2e90fa", radius: many ? 2.5 : 4.5, faint: many }],
  });
}

if (map) {
  const again = () => draw().catch(() => {});
  again();
  across?.addEventListener("change", again);
  element?.addEventListener("change", again);
  document.addEventListener("fresh", again);
}

// Makes the ranking searchable and sortable; without it the page is all there.
const table = document.getElementById("ranking-table");
const body = table.tBodies[0];
const rows = [...body.rows].filter((row) => row.dataset.status);
const groups = [...body.rows].filter((row) => !row.dataset.status);
const order = [...body.rows];
const [search, state, count] = ["search", "state", "count"].map((id) => document.getElementById(id));
let sorted = "";
let way = 1;

function show() {
  const words = search.value.toLowerCase().split(/\s+/).filter(Boolean);
  let left = 0;
  for (const row of rows) {
    const fits = (!state.value || row.dataset.status === state.value) && words.every((word) => row.dataset.search.includes(word));
    row.hidden = !fits;
    left += fits;
  }
  for (const group of groups) group.hidden = Boolean(sorted || state.value || words.length);
  count.textContent = left < rows.length ? `${left} of ${rows.length}` : "";
}

function compare(a, b) {
  const [x, y] = [a.dataset[sorted] ?? "", b.dataset[sorted] ?? ""];
  if (!x || !y) return Boolean(y) - Boolean(x); // what has no number comes last
  return way * (Number.isNaN(Number(x)) || Number.isNaN(Number(y)) ? x.localeCompare(y) : Number(x) - Number(y));
}

for (const head of table.tHead.querySelectorAll("button")) {
  head.addEventListener("click", () => {
    const first = Number(head.dataset.first ?? 1);
    if (sorted === head.dataset.sort && way === -first) sorted = ""; // the third time as it was
    else if (sorted === head.dataset.sort) way = -way;
    else [sorted, way] = [head.dataset.sort, first];
    for (const cell of table.tHead.querySelectorAll("th")) cell.removeAttribute("aria-sort");
    if (sorted) head.closest("th").setAttribute("aria-sort", way > 0 ? "ascending" : "descending");
    body.append(...(sorted ? [...rows].sort(compare) : order));
    show();
  });
}
search.addEventListener("input", show);
state.addEventListener("change", show);
document.getElementById("tools").hidden = false;

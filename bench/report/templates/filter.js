// Filters hide rows, columns, drawings and lines, and compute nothing anew. What was chosen stands in the address:
// #section&strategy=a&strategy=b&hide.leaderboard=Mean+rank&sort.leaderboard=-Mean+score+%25&open=costs/More

const form = document.getElementById("filter");
const boxes = [...form.querySelectorAll("input")];
const marked = [...document.querySelectorAll("[data-f]")].filter((item) => !item.matches("th"));
const folds = [...document.querySelectorAll("main section details:not(.columns)")];
const foldName = (fold) => `${fold.closest("section").id}/${fold.querySelector("summary").textContent.trim()}`;
let wanted = new Map(); // the letter of a kind -> the marks that are ticked
let anchor = "";

// Wanted is what has no mark of a kind that is filtered, or one that is ticked.
function isWanted(item) {
  const marks = (item.dataset.f || "").split(" ");
  return [...wanted].every(([letter, ticked]) => {
    const mine = marks.filter((mark) => mark[0] === letter);
    return !mine.length || mine.some((mark) => ticked.has(mark));
  });
}

function plural(count, word) {
  return count ? [`${count} ${word}${count === 1 ? "" : "s"}`] : [];
}

// Tables and figures that compare strategies over everything stay as they are, and say so.
function noteOf(item) {
  const rows = [...item.querySelectorAll("tbody tr")];
  const left = rows.filter((row) => row.hidden).length;
  const notes = left ? [`${left} of ${rows.length} rows hidden by the filter`] : [];
  const own = [...item.querySelectorAll("[data-f]"), item.closest("[data-f]")].filter(Boolean);
  const letters = new Set(own.flatMap((one) => one.dataset.f.split(" ").map((mark) => mark[0])));
  const others = [...form.querySelectorAll("details")].filter((kind) => {
    const [letter] = kind.querySelector("input").dataset.mark;
    return wanted.has(letter) && !letters.has(letter);
  });
  if (letters.has("s") && others.length) {
    const kinds = others.map((kind) => kind.querySelector("summary").firstChild.textContent.trim().toLowerCase());
    notes.push(`not filtered by ${kinds.join(" or ")}: means are over all of them`);
  }
  const note = notes.join("; ");
  return note && `${note[0].toUpperCase()}${note.slice(1)}.`;
}

function tell() {
  const counted = (selector) => [...document.querySelectorAll(selector)].filter((item) => item.closest("[hidden]")).length;
  const columns = document.querySelectorAll("thead th[hidden]").length;
  const hidden = [...plural(counted("tbody tr"), "row"), ...plural(columns, "column"), ...plural(counted(".panel"), "drawing")];
  const words = hidden.length ? `Hidden: ${hidden.join(", ")}.` : wanted.size ? "No row is hidden." : "";
  const status = form.querySelector("[role=status]");
  status.textContent = wanted.size ? `${words} Filters only hide: every mean and interval stays as it is.` : words;
  form.querySelector(".all").hidden = !words;
  form.hidden = !words && !boxes.length;
  for (const kind of form.querySelectorAll("details")) {
    const all = [...kind.querySelectorAll("input")];
    const ticked = all.filter((box) => box.checked).length;
    kind.querySelector(".count").textContent = ticked ? `${ticked} of ${all.length}` : "all";
  }
  for (const item of document.querySelectorAll("figure.table, figure.plots")) {
    const note = noteOf(item);
    if (note) item.dataset.note = note;
    else delete item.dataset.note;
  }
}

function refresh() {
  wanted = new Map();
  for (const box of boxes.filter((one) => one.checked)) {
    const [letter] = box.dataset.mark;
    wanted.set(letter, (wanted.get(letter) || new Set()).add(box.dataset.mark));
  }
  marked.forEach((item) => item.toggleAttribute("hidden", !isWanted(item)));
  tables.forEach(showColumns);
  requestAnimationFrame(() => markEdges(tables.map((table) => table.parentElement)));
  tell();
  remember();
}

function remember() {
  const state = new URLSearchParams();
  boxes.filter((box) => box.checked).forEach((box) => state.append(box.name, box.value));
  for (const table of tables) {
    for (const head of headsOf(table)) {
      const way = head.getAttribute("aria-sort");
      if (way) state.append(`sort.${table.dataset.name}`, (way === "descending" ? "-" : "+") + titleOf(head));
      if ("off" in head.dataset) state.append(`hide.${table.dataset.name}`, titleOf(head));
    }
  }
  folds.filter((fold) => fold.open).forEach((fold) => state.append("open", foldName(fold)));
  const hash = [anchor, state.toString()].filter(Boolean).join("&");
  if (hash !== location.hash.slice(1)) history.replaceState(null, "", hash ? `#${hash}` : location.pathname + location.search);
}

// An address without a state (a link within the page) keeps what was chosen.
function recall() {
  const [first, ...rest] = location.hash.slice(1).split("&");
  anchor = first.includes("=") ? "" : first;
  const text = (anchor ? rest : [first, ...rest]).join("&");
  if (text) {
    const state = new URLSearchParams(text);
    boxes.forEach((box) => { box.checked = state.getAll(box.name).includes(box.value); });
    for (const table of tables) {
      const hidden = state.getAll(`hide.${table.dataset.name}`);
      const sorted = state.get(`sort.${table.dataset.name}`) || "";
      headsOf(table).forEach((head, index) => {
        head.toggleAttribute("data-off", Boolean(head.box) && hidden.includes(titleOf(head)));
        if (head.box) head.box.checked = !("off" in head.dataset);
        if (sorted.slice(1) === titleOf(head)) sort(table, index, sorted[0] === "-" ? "descending" : "ascending");
      });
    }
    folds.forEach((fold) => { fold.open = state.getAll("open").includes(foldName(fold)); });
  }
  refresh();
  if (text && anchor) document.getElementById(anchor)?.scrollIntoView({ behavior: "instant" });
}

form.addEventListener("change", refresh);
form.addEventListener("submit", (event) => event.preventDefault());
form.querySelector(".all").addEventListener("click", () => {
  boxes.forEach((box) => { box.checked = false; });
  tables.flatMap(headsOf).forEach((head) => {
    delete head.dataset.off;
    if (head.box) head.box.checked = true;
  });
  refresh();
  form.querySelector("summary")?.focus(); // the button is gone
});
// A list of choices closes with Escape, and when something else is used.
const lists = [...document.querySelectorAll(".filter details, .columns")];
document.addEventListener("keydown", (event) => {
  const open = event.key === "Escape" && lists.find((list) => list.open);
  if (!open) return;
  open.open = false;
  open.querySelector("summary").focus();
});
for (const kind of ["click", "focusin"]) {
  document.addEventListener(kind, (event) => {
    lists.forEach((list) => { if (list.open && !list.contains(event.target)) list.open = false; });
  });
}
folds.forEach((fold) => fold.addEventListener("toggle", remember));
addEventListener("hashchange", recall);
recall();

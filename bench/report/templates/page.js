"use strict";
// The page can be read without this: it adds sorting, a choice of columns and CSV downloads to tables that are already
// there, and says of a mark what it stands for. filter.js, which follows, filters and keeps all that was chosen in the
// address.

const value = (cell) => (cell.dataset.v === undefined ? cell.textContent.trim() : cell.dataset.v);
const number = (text) => (text !== "" && Number.isFinite(Number(text)) ? Number(text) : null);
const headsOf = (table) => [...table.tHead.rows[0].cells];
const titleOf = (head) => [...head.querySelectorAll("span, .sort, small")].map((e) => e.textContent).join(" ").trim();

function make(tag, properties, ...children) {
  const element = Object.assign(document.createElement(tag), properties);
  element.append(...children);
  return element;
}

// Gaps go last whatever the direction; equal rows keep the suite's order.
function sort(table, index, direction) {
  const body = table.tBodies[0];
  const numeric = headsOf(table)[index].classList.contains("num");
  const rows = [...body.rows].map((row, place) => ({ row, place, key: value(row.cells[index]) }));
  rows.sort((a, b) => {
    const [x, y] = numeric ? [number(a.key), number(b.key)] : [a.key || null, b.key || null];
    if (x === null || y === null) return (x === null) - (y === null) || a.place - b.place;
    const order = numeric ? x - y : x < y ? -1 : x > y ? 1 : 0;
    return (direction === "ascending" ? order : -order) || a.place - b.place;
  });
  body.append(...rows.map((item) => item.row));
  headsOf(table).forEach((head) => head.removeAttribute("aria-sort"));
  headsOf(table)[index].setAttribute("aria-sort", direction);
}

function addSorting(table) {
  headsOf(table).forEach((head, index) => {
    const label = head.querySelector("span");
    if (!label || !label.textContent || table.tBodies[0].rows.length < 2) return;
    if ([...table.tBodies[0].rows].every((row) => value(row.cells[index]) === "")) return;
    const button = make("button", { type: "button", className: "sort", textContent: label.textContent });
    label.replaceWith(button);
    button.addEventListener("click", () => {
      const [first, second] = head.classList.contains("num") ? ["descending", "ascending"] : ["ascending", "descending"];
      sort(table, index, head.getAttribute("aria-sort") === first ? second : first);
      remember();
    });
  });
}

// A column is hidden where its box is not ticked, and where a filter hides what it speaks of.
function showColumns(table) {
  headsOf(table).forEach((head, index) => {
    const isHidden = "off" in head.dataset || !isWanted(head);
    for (const row of table.rows) row.cells[index].hidden = isHidden;
  });
}

function addColumns(table, tools) {
  const heads = headsOf(table).slice(1); // the first says what a row is
  if (heads.length < 2) return;
  const boxes = heads.map((head) => {
    const box = make("input", { type: "checkbox", checked: true, autocomplete: "off" });
    box.addEventListener("change", () => {
      head.toggleAttribute("data-off", !box.checked);
      refresh();
    });
    head.box = box;
    return make("label", {}, box, ` ${titleOf(head)}`);
  });
  tools.append(make("details", { className: "columns" }, make("summary", { textContent: "Columns" }),
    make("fieldset", {}, make("legend", { textContent: "Show" }), ...boxes)));
}

// A text that a spreadsheet would take for a formula gets an apostrophe in front; numbers do not.
function field(text) {
  const safe = number(text) === null && /^[=+\-@\t\r]/.test(text) ? `'${text}` : text;
  return /[",\r\n]/.test(safe) ? `"${safe.replaceAll('"', '""')}"` : safe;
}

// Of what is shown: hidden rows and columns are left out, and columns of drawings.
function csv(table) {
  const heads = headsOf(table);
  const kept = heads.map((head, i) => !head.hidden && [...table.tBodies[0].rows].some((row) => value(row.cells[i]) !== ""));
  const lines = [heads.flatMap((head, i) => {
    const title = titleOf(head);
    if (!kept[i]) return [];
    return "interval" in head.dataset ? [title, `${title} low`, `${title} high`, `${title} n`] : [title];
  })];
  for (const row of table.tBodies[0].rows) {
    if (row.hidden) continue;
    lines.push([...row.cells].flatMap((cell, i) => {
      if (!kept[i]) return [];
      return "interval" in heads[i].dataset ? [value(cell), ...(cell.dataset.b || "  ").split(" ")] : [value(cell)];
    }));
  }
  return lines.map((line) => line.map(field).join(",")).join("\r\n") + "\r\n";
}

function addDownload(table, tools) {
  const button = make("button", { type: "button", className: "csv", textContent: "Download CSV" });
  button.addEventListener("click", () => {
    const link = make("a", { href: URL.createObjectURL(new Blob(["\ufeff", csv(table)], { type: "text/csv" })) });
    link.download = `${table.dataset.name}.csv`;
    link.click();
    setTimeout(() => URL.revokeObjectURL(link.href), 1000);
  });
  tools.append(button);
}

// Whether more of a table lies beyond the right or the left edge of its box. All are measured before any is marked.
function markEdges(boxes) {
  const rests = boxes.map((box) => [box, box.scrollLeft, box.scrollWidth - box.clientWidth - box.scrollLeft]);
  for (const [box, left, right] of rests) {
    box.parentElement.classList.toggle("more-right", right > 2);
    box.parentElement.classList.toggle("more-left", left > 2);
  }
}

const FINGER = 16; // pixels around a mark's middle that count as a touch of it

function touched(marks, event) {
  const hit = marks.findIndex((mark) => mark.contains(event.target));
  if (hit >= 0) return hit;
  const far = marks.map((mark) => {
    const box = mark.getBoundingClientRect();
    return Math.hypot(event.clientX - box.x - box.width / 2, event.clientY - box.y - box.height / 2);
  });
  const least = Math.min(...far);
  return least < FINGER ? far.indexOf(least) : -1;
}

// What a mark says appears to a pointer by itself. Here the arrow keys, and a finger, show it below the drawing.
function addReading(plot) {
  const marks = [...plot.querySelectorAll("title")].map((title) => title.parentNode);
  if (!marks.length) return;
  const said = document.createElement("p");
  said.className = "said";
  said.setAttribute("role", "status");
  let place = -1;
  const show = (next) => {
    marks[place]?.classList.remove("pointed");
    place = next;
    marks[place]?.classList.add("pointed");
    said.textContent = marks[place]?.querySelector("title").textContent ?? "";
  };
  plot.tabIndex = 0;
  plot.after(said);
  plot.addEventListener("focus", () => { if (place < 0) show(0); });
  plot.addEventListener("blur", () => show(-1));
  plot.addEventListener("click", (event) => show(touched(marks, event)));
  plot.addEventListener("keydown", (event) => {
    const step = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
    if (!step) return;
    event.preventDefault();
    show((place + step + marks.length) % marks.length);
  });
}

const tables = [...document.querySelectorAll("table")];
document.documentElement.classList.add("js");
document.querySelectorAll(".plot").forEach(addReading);
const edges = new ResizeObserver((entries) => markEdges(entries.map((entry) => entry.target)));
for (const table of tables) {
  const tools = make("div", { className: "tools" });
  addSorting(table);
  addDownload(table, tools);
  addColumns(table, tools);
  table.closest("figure").append(tools);
  table.parentElement.addEventListener("scroll", (event) => markEdges([event.target]), { passive: true });
  edges.observe(table.parentElement);
}
// What is folded prints unfolded, but for lists of choices.
addEventListener("beforeprint", () => {
  document.querySelectorAll("details:not(.filter details, .columns)").forEach((item) => { item.open = true; });
});

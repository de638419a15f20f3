"use strict";
// The page can be read without this: it adds sorting and CSV downloads to tables that are already there, and says of a
// mark what it stands for.
(() => {
  const value = (cell) => (cell.dataset.v === undefined ? cell.textContent.trim() : cell.dataset.v);
  const number = (text) => (text !== "" && Number.isFinite(Number(text)) ? Number(text) : null);

  // Gaps go last whatever the direction; equal rows keep the suite's order.
  function sort(table, index, direction) {
    const body = table.tBodies[0];
    const numeric = table.tHead.rows[0].cells[index].classList.contains("num");
    const rows = [...body.rows].map((row, place) => ({ row, place, key: value(row.cells[index]) }));
    rows.sort((a, b) => {
      const [x, y] = numeric ? [number(a.key), number(b.key)] : [a.key || null, b.key || null];
      if (x === null || y === null) return (x === null) - (y === null) || a.place - b.place;
      const order = numeric ? x - y : x < y ? -1 : x > y ? 1 : 0;
      return direction * order || a.place - b.place;
    });
    body.append(...rows.map((item) => item.row));
  }

  function addSorting(table) {
    const heads = [...table.tHead.rows[0].cells];
    heads.forEach((head, index) => {
      const label = head.querySelector("span");
      if (!label || !label.textContent || table.tBodies[0].rows.length < 2) return;
      if ([...table.tBodies[0].rows].every((row) => value(row.cells[index]) === "")) return;
      const button = document.createElement("button");
      button.type = "button";
      button.className = "sort";
      button.textContent = label.textContent;
      label.replaceWith(button);
      button.addEventListener("click", () => {
        const first = head.classList.contains("num") ? "descending" : "ascending";
        const second = first === "ascending" ? "descending" : "ascending";
        const next = head.getAttribute("aria-sort") === first ? second : first;
        heads.forEach((other) => other.removeAttribute("aria-sort"));
        head.setAttribute("aria-sort", next);
        sort(table, index, next === "ascending" ? 1 : -1);
      });
    });
  }

  // A text that a spreadsheet would take for a formula gets an apostrophe in front; numbers do not.
  function field(text) {
    const safe = number(text) === null && /^[=+\-@\t\r]/.test(text) ? `'${text}` : text;
    return /[",\r\n]/.test(safe) ? `"${safe.replaceAll('"', '""')}"` : safe;
  }

  function csv(table) {
    const heads = [...table.tHead.rows[0].cells];
    const titles = heads.map((head) => [...head.querySelectorAll("span, .sort, small")].map((e) => e.textContent).join(" ").trim());
    const drawn = heads.map((_, i) => [...table.tBodies[0].rows].some((row) => value(row.cells[i]) !== ""));
    const lines = [heads.flatMap((head, i) => {
      if (!drawn[i]) return [];
      return "interval" in head.dataset ? [titles[i], `${titles[i]} low`, `${titles[i]} high`, `${titles[i]} n`] : [titles[i]];
    })];
    for (const row of table.tBodies[0].rows) {
      lines.push([...row.cells].flatMap((cell, i) => {
        if (!drawn[i]) return [];
        if (!("interval" in heads[i].dataset)) return [value(cell)];
        const bounds = (cell.dataset.b || "  ").split(" ");
        return [value(cell), ...bounds];
      }));
    }
    return lines.map((line) => line.map(field).join(",")).join("\r\n") + "\r\n";
  }

  function addDownload(table) {
    const button = document.createElement("button");
    button.type = "button";
    button.className = "csv";
    button.textContent = "Download CSV";
    button.addEventListener("click", () => {
      const link = document.createElement("a");
      link.href = URL.createObjectURL(new Blob(["\ufeff", csv(table)], { type: "text/csv" }));
      link.download = `${table.dataset.name}.csv`;
      link.click();
      setTimeout(() => URL.revokeObjectURL(link.href), 1000);
    });
    table.closest("figure").append(button);
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
    plot.addEventListener("click", (event) => show(marks.findIndex((mark) => mark.contains(event.target))));
    plot.addEventListener("keydown", (event) => {
      const step = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
      if (!step) return;
      event.preventDefault();
      show((place + step + marks.length) % marks.length);
    });
  }

  document.querySelectorAll(".plot").forEach(addReading);
  for (const table of document.querySelectorAll("table")) {
    addSorting(table);
    addDownload(table);
  }
  // A folded table prints unfolded.
  addEventListener("beforeprint", () => document.querySelectorAll("details").forEach((item) => { item.open = true; }));
})();

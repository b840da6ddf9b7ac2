"use strict";
// The motifs' table is sorted by a click on a column's heading; without this script it stands strongest first.
for (const table of document.querySelectorAll("table.sortable")) {
  const body = table.tBodies[0];
  const headings = Array.from(table.tHead.rows[0].cells);
  const valueOf = (row, column) => {
    const cell = row.cells[column];
    const text = cell.dataset.value ?? cell.textContent.trim();
    if (!headings[column].classList.contains("number")) return text.toLowerCase();
    const number = Number(text);
    return Number.isNaN(number) ? Infinity : number;
  };
  headings.forEach((heading, column) => {
    const button = document.createElement("button");
    button.type = "button";
    button.append(...heading.childNodes);
    heading.append(button);
    button.addEventListener("click", () => {
      const descending = heading.getAttribute("aria-sort") === "ascending";
      for (const other of headings) other.removeAttribute("aria-sort");
      heading.setAttribute("aria-sort", descending ? "descending" : "ascending");
      const compare = (a, b) => (a < b ? -1 : a > b ? 1 : 0);
      const rows = Array.from(body.rows);
      rows.sort((a, b) => compare(valueOf(a, column), valueOf(b, column)) * (descending ? -1 : 1));
      body.append(...rows);
    });
  });
}

// Where a sequence's logo is wider than the screen, its strongest stretch is shown first.
for (const image of document.querySelectorAll(".logo.wide img")) {
  const centre = () => {
    const box = image.parentElement;
    box.scrollLeft = Number(image.dataset.focus) * image.offsetWidth - box.clientWidth / 2;
  };
  if (image.complete) centre();
  else image.addEventListener("load", centre);
}

// Follow a run, hide labels, sort tables. The state of the page is on <body>; style.css does the rest.
"use strict";

const byRun = (root) => root.querySelectorAll("[data-run]");
const say = (text) => { document.getElementById("said").textContent = text; };

// Following: everything of one run, in every table, chart and picture, stands out.
const choice = document.getElementById("follow");

function follow(name) {
  const known = [...choice.options].some((option) => option.value === name);
  const run = known ? name : "";
  choice.value = run;
  document.body.classList.toggle("following", run !== "");
  for (const one of byRun(document)) {
    one.classList.toggle("followed", run !== "" && one.dataset.run === run);
  }
  for (const button of document.querySelectorAll("[data-follow]")) {
    button.setAttribute("aria-pressed", String(run !== "" && button.dataset.follow === run));
  }
  for (const details of document.querySelectorAll("details[data-run].followed")) {
    details.open = true;
  }
  say(run ? `Following ${choice.selectedOptions[0].text}` : "Following no run");
}

choice.addEventListener("change", () => follow(choice.value));
document.addEventListener("click", (event) => {
  const button = event.target.closest("[data-follow]");
  const mark = event.target.closest(".chart [data-run]");
  const name = button ? button.dataset.follow : mark && mark.dataset.run;
  if (name) follow(name === choice.value ? "" : name);
});

// A line in a chart says whose it is when the mouse rests on it.
for (const mark of document.querySelectorAll(".chart [data-run]")) {
  const title = document.createElementNS("http://www.w3.org/2000/svg", "title");
  title.textContent = mark.dataset.run;
  mark.append(title);
}

// A blinded look: no text and no order that gives a label away, for screen readers neither.
const blind = document.getElementById("blind");
blind.addEventListener("click", () => {
  const hidden = document.body.classList.toggle("blinded");
  blind.setAttribute("aria-pressed", String(hidden));
  blind.textContent = hidden ? "Show labels" : "Hide labels";
  for (const crop of document.querySelectorAll(".crop")) {
    [crop.ariaLabel, crop.dataset.blind] = [crop.dataset.blind, crop.ariaLabel];
  }
  say(hidden ? "Labels are hidden" : "Labels are shown");
});

// Sorting: numbers by size, names by letter, empty cells last in both directions.
function compare(one, other) {
  const numbers = [Number(one), Number(other)];
  if (one === "" || other === "") return (one === "") - (other === "");
  return numbers.some(Number.isNaN) ? one.localeCompare(other) : numbers[0] - numbers[1];
}

function sort(table, column, descending) {
  const rows = [...table.tBodies[0].rows];
  const value = (row) => {
    const cell = row.cells[column];
    return cell.dataset.value ?? cell.textContent;
  };
  rows.sort((one, other) => {
    const empty = value(one) === "" || value(other) === "";
    return compare(value(one), value(other)) * (descending && !empty ? -1 : 1);
  });
  table.tBodies[0].append(...rows);
}

for (const table of document.querySelectorAll("table.sortable")) {
  const headings = [...table.tHead.rows[0].cells];
  headings.forEach((heading, column) => {
    heading.querySelector("button").addEventListener("click", () => {
      const descending = heading.getAttribute("aria-sort") === "ascending";
      for (const other of headings) other.setAttribute("aria-sort", "none");
      heading.setAttribute("aria-sort", descending ? "descending" : "ascending");
      sort(table, column, descending);
      say(`Sorted by ${heading.textContent}, ${descending ? "descending" : "ascending"}`);
    });
  });
}

// On paper everything is open.
window.addEventListener("beforeprint", () => {
  for (const details of document.querySelectorAll("details")) details.open = true;
});

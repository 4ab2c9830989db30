// A row opens what its link does; arrow keys lead from row to row.
document.addEventListener("dblclick", (event) => {
  const row = event.target.closest("tr[data-open]");
  if (row) location.assign(row.dataset.open);
});

document.addEventListener("keydown", (event) => {
  const row = event.target.closest("tr[data-open]");
  if (!row || (event.key !== "ArrowDown" && event.key !== "ArrowUp")) return;
  const next = event.key === "ArrowDown" ? row.nextElementSibling : row.previousElementSibling;
  const link = next?.querySelector("a");
  if (!link) return;
  event.preventDefault();
  link.focus();
});

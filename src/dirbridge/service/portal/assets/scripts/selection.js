// Lists in which rows are ticked: all of a page at once, and how many are.
function tell(form) {
  const boxes = [...form.querySelectorAll('input[type="checkbox"][name]')];
  const ticked = boxes.filter((box) => box.checked).length;
  const all = form.querySelector("[data-select-all]");
  if (all) {
    all.hidden = boxes.length === 0;
    all.checked = ticked > 0 && ticked === boxes.length;
    all.indeterminate = ticked > 0 && ticked < boxes.length;
  }
  const said = form.querySelector("[data-selected]");
  if (said) said.textContent = ticked ? `${ticked.toLocaleString("en")} selected` : "";
}

document.addEventListener("change", (event) => {
  const form = event.target.closest("form[data-selection]");
  if (!form) return;
  if (event.target.matches("[data-select-all]")) {
    for (const box of form.querySelectorAll('input[type="checkbox"][name]')) box.checked = event.target.checked;
  }
  tell(form);
});

// Boxes may be ticked already where the browser goes back to a page.
addEventListener("pageshow", () => document.querySelectorAll("form[data-selection]").forEach(tell));

// Scope: one container or group is one choice, wherever on the page its box stands. What is found and ticked moves to
// the list of what is chosen, so that the next search does not lose it.
const anchorOf = (input) => input.value.split(" ")[0];

function twins(form, kind, anchor, but) {
  const all = form.querySelectorAll(`input[type=checkbox][name=${kind}], .tree input[data-twin]`);
  return [...all].filter((input) => input !== but && (input.dataset.twin || anchorOf(input)) === anchor);
}

// Of two boxes for the same container only the one in the list above is sent; the one in the tree follows it.
function pair(form) {
  for (const box of form.querySelectorAll("#picked-container input[type=checkbox]")) {
    for (const item of form.querySelectorAll(`.tree li[data-anchor="${CSS.escape(anchorOf(box))}"]`)) {
      const other = item.querySelector(":scope > .row input");
      other.dataset.twin = anchorOf(box);
      other.removeAttribute("name");
      other.disabled = false;
      other.removeAttribute("title");
      other.checked = box.checked;
      other.closest(".row").setAttribute("aria-checked", String(box.checked));
    }
  }
}

function count(form) {
  for (const place of form.querySelectorAll("[data-count]")) {
    const kind = place.dataset.count;
    const ticked = new Set([...form.querySelectorAll(`input[name=${kind}]:checked`)].map(anchorOf));
    const said = ticked.size ? `${ticked.size.toLocaleString("en")} chosen` : "";
    if (place.textContent !== said) place.textContent = said;
  }
}

function keep(form, input) {
  const list = form.querySelector(`#picked-${input.name}`);
  const row = input.closest("li");
  input.removeAttribute("data-pick");
  list.querySelector("li.faint")?.remove();
  const mark = document.createElement("span");
  mark.className = "state warn";
  mark.textContent = "Not saved";
  row.append(" ", mark);
  list.append(row);
  input.focus();
}

document.addEventListener("change", (event) => {
  const form = event.target.closest?.("form.scope");
  const input = event.target;
  if (!form || input.type !== "checkbox") return;
  const anchor = input.dataset.twin || anchorOf(input);
  if (input.matches("[data-pick]")) {
    const there = twins(form, input.name, anchor, input).find((other) => other.closest(".picked"));
    if (there) {
      there.checked = true;
      input.closest("li").remove();
    } else keep(form, input);
  }
  for (const other of twins(form, input.name || "container", anchor, input)) {
    other.checked = input.checked;
    other.closest("[role=treeitem]")?.setAttribute("aria-checked", String(input.checked));
  }
  pair(form);
  count(form);
});

document.addEventListener("htmx:afterSwap", (event) => {
  const form = event.target.closest?.("form.scope");
  if (form) {
    pair(form);
    count(form);
  }
});

// Enter in a search looks for it; it does not send the form.
document.addEventListener("keydown", (event) => {
  if (event.key !== "Enter" || !("htmx" in window) || !event.target.matches?.("form.scope [data-search]")) return;
  event.preventDefault();
  event.target.dispatchEvent(new Event("search"));
});

for (const form of document.querySelectorAll("form.scope")) count(form);

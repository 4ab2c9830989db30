// The tree of containers: lists with a button each become a tree that the keyboard walks, as ARIA's pattern has it.
// Levels come when they are opened. Without htmx the buttons send the form instead.
const scripted = "htmx" in window;
document.documentElement.classList.toggle("scripted", scripted);

// An item is the row; the line around it holds the row and what is inside.
const line = (item) => item.parentElement;
const items = (tree) => [...tree.querySelectorAll("[role=treeitem]")].filter((item) => !item.closest(".closed > .inside"));
const parentOf = (item) => line(item).parentElement.closest("li")?.querySelector(":scope > .row");
const inside = (item) => line(item).querySelector(":scope > .inside");
const box = (item) => item.querySelector("input");
const twist = (item) => item.querySelector(".twist");
let made = 0;

function tell(item) {
  item.setAttribute("aria-checked", String(box(item).checked));
  const there = inside(item);
  const isLeaf = there.childElementCount > 0 && !there.querySelector("li, [data-fault]");
  line(item).classList.toggle("leaf", isLeaf);
  if (isLeaf) return item.removeAttribute("aria-expanded");
  const isOpen = there.querySelector("li") !== null && !line(item).classList.contains("closed");
  item.setAttribute("aria-expanded", String(isOpen));
  twist(item).toggleAttribute("data-open", isOpen);
}

function enrol(item) {
  item.role = "treeitem";
  item.tabIndex = -1;
  line(item).role = "none";
  item.setAttribute("aria-level", parentOf(item) ? Number(parentOf(item).getAttribute("aria-level")) + 1 : 1);
  for (const inner of item.querySelectorAll("input, button")) inner.tabIndex = -1;
  twist(item).setAttribute("aria-hidden", "true");
}

function dress(tree) {
  const root = tree.querySelector(":scope > ul");
  if (!root) return;
  root.role = "tree";
  root.setAttribute("aria-multiselectable", "true");
  root.setAttribute("aria-label", tree.dataset.label);
  for (const item of root.querySelectorAll(".row:not([role])")) enrol(item);
  for (const item of root.querySelectorAll(".row")) {
    const list = inside(item).querySelector(":scope > ul");
    if (list) {
      list.role = "group";
      list.id ||= `level-${++made}`;
      item.setAttribute("aria-owns", list.id);
    }
    const none = inside(item).querySelector(":scope > .nothing");
    if (none) none.hidden = true;
    tell(item);
  }
  if (!root.querySelector("[role=treeitem][tabindex='0']")) root.querySelector("[role=treeitem]").tabIndex = 0;
}

function focus(item) {
  for (const other of item.closest("[role=tree]").querySelectorAll("[tabindex='0'][role=treeitem]")) other.tabIndex = -1;
  item.tabIndex = 0;
  item.focus();
}

function open(item) {
  const button = twist(item);
  if (inside(item).querySelector("li")) line(item).classList.remove("closed");
  else if (!line(item).matches(".busy, .leaf")) {
    line(item).classList.add("busy");
    button.dispatchEvent(new CustomEvent("open"));
  }
  tell(item);
}

function close(item) {
  if (inside(item).querySelector("li")) line(item).classList.add("closed");
  tell(item);
}

function check(item) {
  const input = box(item);
  input.checked = !input.checked;
  input.dispatchEvent(new Event("change", { bubbles: true }));
}

function pass(tree, from, typed) {
  const all = items(tree);
  const at = all.indexOf(from);
  const next = [...all.slice(at + 1), ...all.slice(0, at + 1)];
  return next.find((item) => line(item).dataset.name.toLowerCase().startsWith(typed.toLowerCase()));
}

function step(item, key) {
  const tree = item.closest("[role=tree]");
  const all = items(tree);
  const isOpen = item.getAttribute("aria-expanded") === "true";
  switch (key) {
    case "ArrowDown": return all[all.indexOf(item) + 1];
    case "ArrowUp": return all[all.indexOf(item) - 1];
    case "Home": return all[0];
    case "End": return all.at(-1);
    case "ArrowRight": return isOpen ? inside(item).querySelector("[role=treeitem]") : void open(item);
    case "ArrowLeft": return isOpen ? void close(item) : parentOf(item);
    case "Enter": case " ": return void check(item);
  }
  return key.length === 1 ? pass(tree, item, key) : undefined;
}

if (scripted) {
  document.addEventListener("keydown", (event) => {
    const item = event.target;
    if (!item.matches?.("[role=treeitem]") || event.ctrlKey || event.altKey || event.metaKey || event.key === "Tab") return;
    const next = step(item, event.key);
    if (next || /^(Arrow|Home|End|Enter| )/.test(event.key)) event.preventDefault();
    if (next) focus(next);
  });

  document.addEventListener("click", (event) => {
    const item = event.target.closest("[role=treeitem]");
    if (!item) return;
    if (event.target.closest(".twist") === twist(item)) {
      event.preventDefault();
      if (item.getAttribute("aria-expanded") === "true") close(item);
      else open(item);
    }
    focus(item);
  });

  document.addEventListener("change", (event) => {
    const item = event.target.closest("[role=treeitem]");
    if (item) tell(item);
  });

  document.addEventListener("htmx:afterSwap", (event) => {
    const tree = event.target.closest?.(".tree");
    if (tree) dress(tree);
  });
  document.addEventListener("htmx:afterRequest", (event) => event.target.closest?.(".busy")?.classList.remove("busy"));
  for (const tree of document.querySelectorAll(".tree")) dress(tree);
}

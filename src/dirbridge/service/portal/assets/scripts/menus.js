// Menus: from their button, by right-click and by the keyboard's menu key on what they belong to. Where the open one
// stands is said in a sheet of its own, since pieces of the page are renewed while it is open.
const standing = new CSSStyleSheet();
document.adoptedStyleSheets.push(standing);
let pointed = null;

function place(menu, x, y) {
  const left = Math.max(0, Math.min(x, innerWidth - menu.offsetWidth - 8));
  const top = Math.max(0, Math.min(y, innerHeight - menu.offsetHeight - 8));
  standing.replaceSync(`.menu { left: ${left}px; top: ${top}px; }`);
}

document.addEventListener("contextmenu", (event) => {
  const owner = event.target.closest("[data-menu]");
  const menu = owner && document.getElementById(owner.dataset.menu);
  if (!menu) return;
  event.preventDefault();
  const box = owner.getBoundingClientRect();
  pointed = { x: event.clientX || box.left, y: event.clientY || box.bottom };
  menu.showPopover();
});

document.addEventListener("toggle", (event) => {
  const menu = event.target;
  if (event.newState !== "open" || !menu.matches(".menu")) return;
  const box = document.querySelector(`[popovertarget="${menu.id}"]`).getBoundingClientRect();
  place(menu, pointed?.x ?? box.left, pointed?.y ?? box.bottom + 4);
  pointed = null;
  menu.querySelector("a, button")?.focus();
}, true);

document.addEventListener("keydown", (event) => {
  const menu = document.activeElement?.closest(".menu");
  if (!menu || (event.key !== "ArrowDown" && event.key !== "ArrowUp")) return;
  event.preventDefault();
  const items = [...menu.querySelectorAll("a, button")];
  const step = event.key === "ArrowDown" ? 1 : items.length - 1;
  items[(items.indexOf(document.activeElement) + step) % items.length].focus();
});


// What a menu does in place closes it.
document.addEventListener("submit", (event) => event.target.closest(".menu")?.hidePopover());

// Buttons that copy what stands beside them; they are hidden where no script runs.
function show(root) {
  for (const button of root.querySelectorAll("[data-copy][hidden]")) button.hidden = false;
}

document.addEventListener("click", async (event) => {
  const button = event.target.closest("[data-copy]");
  if (!button) return;
  try {
    await navigator.clipboard.writeText(document.getElementById(button.dataset.copy).textContent.trim());
    button.textContent = "Copied";
  } catch {
    getSelection().selectAllChildren(document.getElementById(button.dataset.copy));
    button.textContent = "Marked";
  }
  setTimeout(() => { button.textContent = "Copy"; }, 2000);
});

document.addEventListener("DOMContentLoaded", () => show(document));
document.addEventListener("htmx:afterSwap", (event) => show(event.target));

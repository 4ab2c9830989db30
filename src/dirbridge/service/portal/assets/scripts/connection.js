// What moves has stopped: it is said above the page until it goes on, so that nobody takes old words for new ones.
const PATIENCE = 5000;
const told = document.createElement("p");
told.className = "note warn";
told.setAttribute("role", "status");
let lost = null;

function stopped(text) {
  told.textContent = text;
  document.getElementById("notices")?.before(told);
}

function goes() {
  clearTimeout(lost);
  lost = null;
  told.remove();
}

document.addEventListener("htmx:sseOpen", (event) => {
  goes();
  const source = event.detail.source;
  source.addEventListener("trouble", (said) => stopped(`${said.data} What is shown is older than that.`));
  source.addEventListener("well", goes);
  source.addEventListener("ended", () => location.reload());
});

document.addEventListener("htmx:sseError", () => {
  const since = new Date().toLocaleTimeString();
  lost ??= setTimeout(() => stopped(`The service has not answered since ${since}. What is shown is as it was then.`), PATIENCE);
});

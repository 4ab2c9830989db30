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

// Browsers keep six connections to a service at most, for all tabs together: a page that nobody sees gives its own back
// and opens another when it is seen again, which brings all that moves at once.
const opened = new Map();
const resting = new Set();

function rest() {
  for (const [place, source] of opened) {
    source.close();
    resting.add(place);
  }
  opened.clear();
}

function resume() {
  for (const place of resting) {
    if (!place.isConnected) continue;
    for (const each of [place, ...place.querySelectorAll("[sse-swap]")]) htmx.trigger(each, "htmx:afterProcessNode");
  }
  resting.clear();
}

document.addEventListener("htmx:sseOpen", (event) => {
  opened.set(event.target, event.detail.source);
  if (document.visibilityState === "hidden") rest();
});
document.addEventListener("htmx:sseClose", (event) => opened.delete(event.target));
document.addEventListener("visibilitychange", () => (document.visibilityState === "hidden" ? rest() : resume()));

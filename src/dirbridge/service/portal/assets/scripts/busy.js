// What takes long is said beside its button while it lasts, to a screen reader as well, and then what came of it.
function tell(event, said) {
  const place = event.target.querySelector?.("[data-busy]");
  if (place) place.textContent = said(place);
}

document.addEventListener("htmx:beforeRequest", (event) => tell(event, (place) => place.dataset.busy));
document.addEventListener("htmx:afterRequest", (event) => {
  const answer = event.detail.target?.querySelector("[data-said]");
  const heard = event.detail.xhr.status > 0;
  tell(event, () => (heard ? (answer?.dataset.said ?? "") : "The service did not answer. Try again."));
});

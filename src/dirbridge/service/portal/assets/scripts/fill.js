// What was found is put into the field that it was looked for in; without this its link does the same.
document.addEventListener("click", (event) => {
  const choice = event.target.closest("[data-fill]");
  const field = choice && document.getElementById(choice.dataset.fill);
  if (!field || event.ctrlKey || event.metaKey || event.shiftKey) return;
  event.preventDefault();
  field.value = choice.dataset.value;
  field.focus();
  choice.closest(".found").replaceChildren();
});

// The expression builder: functions and attributes go in where the caret is, lists are narrowed, and the place of a
// fault is underlined in what is being written: on a copy of the text that lies behind it.
const editor = () => document.getElementById("expression");

function echo(offset = -1, length = 0) {
  const text = editor()?.value;
  const copy = document.querySelector(".echo");
  if (text === undefined || !copy) return;
  const mark = document.createElement("mark");
  mark.textContent = text.slice(offset, offset + length) || " ";
  copy.replaceChildren(...(offset < 0 ? [text] : [text.slice(0, offset), mark, text.slice(offset + length)]), "\n");
}

function underline() {
  const told = document.querySelector("#result [data-offset]");
  if (told) echo(Number(told.dataset.offset), Number(told.dataset.length));
  else echo();
}

function narrow(field) {
  const wanted = field.value.trim().toLowerCase();
  const list = document.querySelector(field.dataset.narrows);
  for (const one of list.querySelectorAll("[data-words]")) {
    one.hidden = !one.dataset.words.toLowerCase().includes(wanted);
  }
  for (const group of list.querySelectorAll("details")) {
    group.hidden = !group.querySelector("[data-words]:not([hidden])");
    if (wanted) group.open = !group.hidden;
  }
}

document.addEventListener("click", (event) => {
  const button = event.target.closest("[data-insert]");
  const field = button && editor();
  if (!field) return;
  field.setRangeText(button.dataset.insert, field.selectionStart, field.selectionEnd, "end");
  const caret = field.selectionEnd + Number(button.dataset.caret ?? 0);
  field.focus();
  field.setSelectionRange(caret, caret);
  field.dispatchEvent(new Event("input", { bubbles: true }));
});

document.addEventListener("keydown", (event) => {
  const button = event.key === "Enter" && event.target.dataset?.enter;
  if (!button) return;
  event.preventDefault();
  document.querySelector(button).click();
});

document.addEventListener("input", (event) => {
  if (event.target === editor()) echo();
  if (event.target.dataset.narrows) narrow(event.target);
});

document.addEventListener("htmx:afterSwap", (event) => {
  if (event.target.id === "result") underline();
});

document.addEventListener("DOMContentLoaded", underline);

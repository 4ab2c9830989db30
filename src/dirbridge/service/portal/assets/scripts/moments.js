// Times in fields: shown in the viewer's own zone, sent in UTC.
const pad = (number) => String(number).padStart(2, "0");

function local(at) {
  const day = `${at.getFullYear()}-${pad(at.getMonth() + 1)}-${pad(at.getDate())}`;
  return `${day}T${pad(at.getHours())}:${pad(at.getMinutes())}:${pad(at.getSeconds())}`;
}

document.addEventListener("DOMContentLoaded", () => {
  for (const field of document.querySelectorAll("input[data-moment]")) {
    const written = field.getAttribute("value");
    const at = new Date(`${written}Z`);
    if (written && !Number.isNaN(at.getTime())) field.value = local(at);
  }
  for (const zone of document.querySelectorAll("[data-zone]")) zone.textContent = "your time";
});

document.addEventListener("formdata", (event) => {
  for (const field of event.target.querySelectorAll("input[data-moment]")) {
    if (field.value) event.formData.set(field.name, new Date(field.value).toISOString().replace(".000Z", "Z"));
  }
});

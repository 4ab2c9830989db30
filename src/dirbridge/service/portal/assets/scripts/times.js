// Times in the viewer's own zone: how long ago, with the exact time on hover; within [data-exact] the other way round.
const brief = new Intl.DateTimeFormat(undefined, { dateStyle: "short", timeStyle: "medium" });
const exact = new Intl.DateTimeFormat(undefined, { dateStyle: "medium", timeStyle: "long" });
const relative = new Intl.RelativeTimeFormat("en", { numeric: "auto" });
const units = [["day", 86400], ["hour", 3600], ["minute", 60], ["second", 1]];

function ago(at) {
  const gap = (at - Date.now()) / 1000;
  const [unit, size] = units.find(([, seconds]) => Math.abs(gap) >= seconds) ?? units[3];
  return relative.format(Math.trunc(gap / size), unit);
}

// At a chart: the hour in the viewer's zone; days are those of UTC.
const places = {
  hour: new Intl.DateTimeFormat(undefined, { hour: "numeric", minute: "2-digit" }),
  day: new Intl.DateTimeFormat(undefined, { day: "numeric", month: "short", timeZone: "UTC" }),
};

function tell(root) {
  for (const time of root.querySelectorAll("time[datetime]")) {
    const at = new Date(time.dateTime);
    const reversed = time.closest("[data-exact]");
    const said = places[time.dataset.at]?.format(at) ?? (reversed ? brief.format(at) : ago(at));
    if (time.textContent !== said) time.textContent = said;
    time.title = reversed ? `${exact.format(at)}, ${ago(at)}` : exact.format(at);
  }
}

document.addEventListener("DOMContentLoaded", () => tell(document));
document.addEventListener("htmx:afterSwap", (event) => tell(event.target));
setInterval(() => tell(document), 1000);


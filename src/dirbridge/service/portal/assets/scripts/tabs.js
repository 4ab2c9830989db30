// Where pages of a thing do not fit side by side, the one that is shown is in view.
document.querySelector(".tabs [aria-current]")?.scrollIntoView({ block: "nearest", inline: "center" });

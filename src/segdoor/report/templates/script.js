"use strict";
// Without this script everything is there: all scenes one below the other.
document.documentElement.classList.add("alive");

for (const list of document.querySelectorAll("[role=tablist]")) {
  const tabs = [...list.querySelectorAll("[role=tab]")];
  const choose = (tab, focus) => {
    for (const other of tabs) {
      const chosen = other === tab;
      other.setAttribute("aria-selected", String(chosen));
      other.tabIndex = chosen ? 0 : -1;
      document.getElementById(other.getAttribute("aria-controls")).toggleAttribute("data-waiting", !chosen);
    }
    if (focus) tab.focus();
  };
  list.addEventListener("click", (event) => {
    const tab = event.target.closest("[role=tab]");
    if (tab) choose(tab, false);
  });
  list.addEventListener("keydown", (event) => {
    const place = tabs.indexOf(document.activeElement);
    const places = { ArrowRight: place + 1, ArrowLeft: place - 1, Home: 0, End: tabs.length - 1 };
    if (place < 0 || !(event.key in places)) return;
    event.preventDefault();
    choose(tabs[(places[event.key] + tabs.length) % tabs.length], true);
  });
}

for (const slider of document.querySelectorAll("input[type=range]")) {
  const compare = slider.previousElementSibling;
  const show = () => {
    compare.style.setProperty("--split", `${slider.value}%`);
    slider.setAttribute("aria-valuetext", `${slider.value} %`);
  };
  slider.addEventListener("input", show);
  show();
}

// Paper shows what is folded away on the screen.
let folded = [];
addEventListener("beforeprint", () => {
  folded = [...document.querySelectorAll("details:not([open])")];
  for (const part of folded) part.open = true;
});
addEventListener("afterprint", () => {
  for (const part of folded) part.open = false;
});

"use strict";
(() => {
  const root = document.documentElement;
  const pairs = Object.entries(JSON.parse(document.getElementById("pairs").textContent));
  const night = window.matchMedia("(prefers-color-scheme: dark)");
  let chosen = null;
  let printing = false;

  const isDark = () => !printing && (chosen ?? (night.matches ? "dark" : "light")) === "dark";

  const all = (selector, within = document) => [...within.querySelectorAll(selector)];
  const isShown = (plot) => plot.closest("[hidden]") === null;

  const isTable = (value) => value !== null && typeof value === "object" && !Array.isArray(value);

  function merge(base, over) {
    if (!isTable(base) || !isTable(over)) return over;
    const both = { ...base };
    for (const [key, value] of Object.entries(over)) both[key] = merge(base[key], value);
    return both;
  }

  function figureOf(plot) {
    let text = document.getElementById(`${plot.id}-figure`).textContent;
    if (isDark()) {
      for (const [light, dark] of pairs) text = text.replaceAll(light, dark);
    }
    return JSON.parse(text);
  }

  function draw(plot) {
    const figure = figureOf(plot);
    const frame = (figure.frames ?? [])[Number(plot.dataset.shown)];
    const data = frame ? figure.data.map((trace, i) => merge(trace, frame.data[i])) : figure.data;
    const layout = merge(figure.layout, frame?.layout ?? {});
    if (frame) document.getElementById(`${plot.id}-heading`).value = frame.layout.meta;
    const filename = plot.dataset.title.replace(/[^\w-]+/g, "-");
    const drawn = Plotly.react(plot, data, layout, {
      responsive: true,
      displaylogo: false,
      showSendToCloud: false,
      plotlyServerURL: "",
      modeBarButtonsToRemove: ["lasso2d", "select2d", "autoScale2d"],
      toImageButtonOptions: { format: "svg", filename },
    });
    if (!plot.dataset.drawn) plot.on("plotly_click", (event) => openRound(plot, event));
    plot.dataset.drawn = isDark() ? "dark" : "light";
    return drawn;
  }

  const drawShown = async (stale = () => true) => {
    for (const plot of all(".plot")) {
      if (isShown(plot) && stale(plot)) await draw(plot);
    }
  };
  const isStale = (plot) => plot.dataset.drawn !== (isDark() ? "dark" : "light");

  function selectRun(run) {
    for (const tab of all("[role=tab]")) {
      const chosenTab = tab.dataset.run === run;
      tab.setAttribute("aria-selected", String(chosenTab));
      tab.tabIndex = chosenTab ? 0 : -1;
    }
    for (const panel of all(".panel")) panel.hidden = panel.dataset.run !== run;
    for (const plot of all(".plot[data-drawn]")) {
      if (isShown(plot)) Plotly.Plots.resize(plot);
    }
    return drawShown(isStale);
  }

  function showFrame(walk, index) {
    const range = walk.querySelector("input");
    const rounds = range.dataset.rounds.split(" ");
    const place = Math.min(Math.max(index, 0), rounds.length - 1);
    range.value = String(place);
    range.setAttribute("aria-valuetext", rounds[place]);
    const plot = document.getElementById(walk.dataset.chart);
    plot.dataset.shown = String(place);
    return draw(plot);
  }

  function openRound(plot, event) {
    const panel = plot.closest("#verdicts .panel");
    if (!panel) return;
    const walk = document.querySelector(`#reachability .panel[data-run="${panel.dataset.run}"] .walk`);
    const rounds = walk?.querySelector("input").dataset.rounds.split(" ") ?? [];
    const index = rounds.indexOf(String(event.points[0].x));
    if (index < 0) return;
    showFrame(walk, index);
    document.getElementById("reachability").scrollIntoView();
  }

  for (const tab of all("[role=tab]")) {
    tab.addEventListener("click", () => selectRun(tab.dataset.run));
    tab.addEventListener("keydown", (event) => {
      const step = { ArrowLeft: -1, ArrowRight: 1 }[event.key];
      if (!step) return;
      const tabs = all("[role=tab]", tab.parentElement);
      const next = tabs[(tabs.indexOf(tab) + step + tabs.length) % tabs.length];
      next.focus();
      selectRun(next.dataset.run);
    });
  }
  for (const link of all("a[data-run]")) {
    link.addEventListener("click", () => selectRun(link.dataset.run));
  }
  for (const walk of all(".walk")) {
    const range = walk.querySelector("input");
    range.addEventListener("input", () => showFrame(walk, Number(range.value)));
    for (const button of all("button", walk)) {
      button.addEventListener("click", () =>
        showFrame(walk, Number(range.value) + Number(button.dataset.step)));
    }
  }

  document.getElementById("theme").addEventListener("click", () => {
    chosen = isDark() ? "light" : "dark";
    root.style.colorScheme = chosen;
    drawShown(isStale);
  });
  night.addEventListener("change", () => drawShown(isStale));
  window.addEventListener("beforeprint", () => { printing = true; drawShown(isStale); });
  window.addEventListener("afterprint", () => { printing = false; drawShown(isStale); });
  drawShown();
})();

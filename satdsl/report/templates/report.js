"use strict";
{
  const root = document.documentElement;
  const say = (text) => { document.getElementById("said").textContent = text; };
  const kept = (store, name, value) => {
    try {
      if (value === undefined) return store.getItem(name);
      store.setItem(name, value);
    } catch {}
    return null;
  };

  // --- light and dark
  const theme = document.getElementById("theme");
  const system = matchMedia("(prefers-color-scheme: dark)");
  const dark = () => (root.dataset.theme ? root.dataset.theme === "dark" : system.matches);
  const named = () => { theme.textContent = dark() ? "Light theme" : "Dark theme"; };
  theme.hidden = false;
  theme.addEventListener("click", () => {
    root.dataset.theme = dark() ? "light" : "dark";
    kept(localStorage, "satdsl-theme", root.dataset.theme);
    named();
  });
  system.addEventListener("change", named);
  named();

  // --- sorting: ascending, descending, as it was
  const number = (cell) => (cell.dataset.key === undefined ? NaN : Number(cell.dataset.key));
  const compared = (a, b) => {
    const [x, y] = [number(a), number(b)];
    if (!isNaN(x) && !isNaN(y)) return x - y;
    return a.textContent.localeCompare(b.textContent, "en", { numeric: true });
  };
  const empty = (cell) => isNaN(number(cell)) && (cell.textContent === "" || cell.textContent === "not run");
  const sort = (table, column, direction) => {
    const body = table.tBodies[0];
    table.original ??= [...body.rows];
    const sign = direction === "descending" ? -1 : 1;
    const rows = [...table.original];
    if (direction !== "none") {
      rows.sort((one, other) => {
        const [a, b] = [one.cells[column], other.cells[column]];
        return empty(a) - empty(b) || sign * compared(a, b);
      });
    }
    body.append(...rows);
    table.querySelectorAll("thead th").forEach((head) => {
      head.setAttribute("aria-sort", head.cellIndex === column ? direction : "none");
    });
  };
  const following = { none: "ascending", ascending: "descending", descending: "none" };
  const sorted = {};
  document.querySelectorAll("table.sortable").forEach((table, t) => {
    table.querySelectorAll("thead th").forEach((head) => {
      const column = head.cellIndex;
      const button = document.createElement("button");
      button.type = "button";
      button.append(...head.childNodes);
      head.append(button);
      head.setAttribute("aria-sort", "none");
      button.addEventListener("click", () => {
        const direction = following[head.getAttribute("aria-sort")];
        sort(table, column, direction);
        sorted[t] = [column, direction];
        say(direction === "none" ? "original order" : `sorted by ${button.textContent}, ${direction}`);
      });
    });
  });

  // --- a box that has nothing to scroll is no stop for the Tab key, and no landmark
  const boxes = document.querySelectorAll(".box, .listing");
  const stops = () => boxes.forEach((box) => {
    if (box.scrollWidth > box.clientWidth) {
      box.tabIndex = 0;
      box.setAttribute("role", "region");
    } else {
      box.removeAttribute("tabindex");
      box.removeAttribute("role");
    }
  });
  addEventListener("resize", stops);
  document.addEventListener("toggle", stops, true);
  stops();

  // --- the numbers of a figure: on hover, and with the arrow keys
  const tip = document.getElementById("tip");
  const show = (mark) => {
    tip.textContent = mark.getAttribute("aria-label");
    tip.hidden = false;
    const at = mark.getBoundingClientRect(), own = tip.getBoundingClientRect();
    const left = Math.min(Math.max(at.left + at.width / 2 - own.width / 2, 4), innerWidth - own.width - 4);
    tip.style.left = `${left}px`;
    tip.style.top = `${at.top > own.height + 8 ? at.top - own.height - 6 : at.bottom + 6}px`;
  };
  const hide = () => { tip.hidden = true; };
  document.querySelectorAll(".figure svg").forEach((svg) => {
    const marks = [...svg.querySelectorAll("g[tabindex]")].filter((mark) => mark.querySelector(":scope > title"));
    if (!marks.length) return;
    svg.setAttribute("role", "group");
    marks.forEach((mark, i) => {
      const title = mark.querySelector(":scope > title");
      mark.setAttribute("role", "img");
      mark.setAttribute("aria-label", title.textContent);
      title.remove();
      mark.setAttribute("tabindex", i ? "-1" : "0");
      mark.addEventListener("pointerenter", () => show(mark));
      mark.addEventListener("pointerleave", hide);
      mark.addEventListener("focus", () => show(mark));
      mark.addEventListener("blur", hide);
      mark.addEventListener("keydown", (event) => {
        const shown = marks.filter((one) => one.style.display !== "none"), at = shown.indexOf(mark);
        const to = { ArrowRight: at + 1, ArrowDown: at + 1, ArrowLeft: at - 1, ArrowUp: at - 1, Home: 0, End: shown.length - 1 }[event.key];
        if (to === undefined || !shown[to]) return;
        event.preventDefault();
        mark.setAttribute("tabindex", "-1");
        shown[to].setAttribute("tabindex", "0");
        shown[to].focus();
      });
    });
  });
  addEventListener("keydown", (event) => { if (event.key === "Escape") hide(); });
  addEventListener("scroll", hide, { passive: true });

  // --- learning curves: the reader chooses whose lines are shown
  document.querySelectorAll(".compared fieldset").forEach((choices) => {
    choices.hidden = false;
    const figure = choices.closest(".compared").querySelector(".figure");
    const marks = [...figure.querySelectorAll("g[tabindex]")];
    const chosen = (box) => {
      figure.querySelectorAll(`[id^="${box.dataset.lines}-"], [data-series="${box.dataset.series}"]`)
        .forEach((one) => { one.style.display = box.checked ? "" : "none"; });
      const shown = marks.filter((one) => one.style.display !== "none");
      if (shown.some((one) => one.getAttribute("tabindex") === "0")) return;
      marks.forEach((one) => one.setAttribute("tabindex", "-1"));
      shown[0]?.setAttribute("tabindex", "0");
    };
    choices.querySelectorAll("input").forEach((box) => {
      chosen(box);
      box.addEventListener("change", () => chosen(box));
    });
  });

  // --- where in the contents the reader is; on a narrow screen the contents are folded
  const contents = document.querySelector("nav > details");
  if (!matchMedia("(min-width: 70rem)").matches) contents.open = false;
  const places = new Map([...document.querySelectorAll("nav a[href^='#']")].map((link) => [link.hash.slice(1), link]));
  const seen = new IntersectionObserver((entries) => {
    const entry = entries.find((one) => one.isIntersecting);
    if (!entry) return;
    places.forEach((link, id) => link.toggleAttribute("aria-current", false));
    places.get(entry.target.id).setAttribute("aria-current", "location");
  }, { rootMargin: "0px 0px -70% 0px" });
  places.forEach((_, id) => seen.observe(document.getElementById(id)));

  // --- while the run goes on: load the page anew, and find it again as it was
  const every = Number(document.body.dataset.refresh);
  const folds = [...document.querySelectorAll("details")];
  const name = `satdsl-view ${location.pathname}`;
  const before = JSON.parse(kept(sessionStorage, name) || "null");
  const pause = document.getElementById("pause");
  if (before && before.title === document.title) {
    const called = (fold) => fold.querySelector("summary").textContent;
    folds.forEach((fold) => { if (called(fold) in before.folds) fold.open = before.folds[called(fold)]; });
    document.querySelectorAll("table.sortable").forEach((table, t) => {
      const [column, direction] = before.sorted[t] ?? [];
      if (column !== undefined && table.tHead?.rows[0].cells[column]) {
        sort(table, column, direction);
        sorted[t] = before.sorted[t];
      }
    });
    scrollTo({ top: before.top, behavior: "instant" });
    pause?.setAttribute("aria-pressed", String(before.paused));
  }
  try { sessionStorage.removeItem(name); } catch {}
  if (every) {
    let busy = 0;
    ["pointermove", "pointerdown", "keydown", "wheel", "touchstart"].forEach((kind) =>
      addEventListener(kind, () => { busy = Date.now(); }, { passive: true }));
    const paused = () => pause.getAttribute("aria-pressed") === "true";
    pause.hidden = false;
    pause.addEventListener("click", () => pause.setAttribute("aria-pressed", String(!paused())));
    let due = Date.now() + 1000 * every;
    setInterval(() => {
      if (paused() || document.hidden || Date.now() < due || Date.now() - busy < 2000) return;
      const open = Object.fromEntries(folds.map((fold) => [fold.querySelector("summary").textContent, fold.open]));
      kept(sessionStorage, name, JSON.stringify({ title: document.title, folds: open, sorted, top: scrollY, paused: paused() }));
      location.reload();
    }, 500);
  }
}

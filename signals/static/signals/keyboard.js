// Shortcuts of all pages: one key each, which the dialog behind "?" lists and turns off.
"use strict";

(() => {
  const OFF = "signals.keyboard.off";
  const KEYS = [
    ["/", "search"],
    ["f", "filters"],
    ["j", "next row"],
    ["k", "previous row"],
    ["o", "open the row"],
    ["?", "this list"],
  ];

  function isOff() {
    return localStorage.getItem(OFF) !== null;
  }

  function isTyping(target) {
    return target.isContentEditable || /^(INPUT|SELECT|TEXTAREA)$/.test(target.tagName);
  }

  // The link that opens each row.
  function links() {
    const rows = document.querySelectorAll("#result_list tbody tr");
    return [...rows].map((row) => row.querySelector("th a, td a, summary")).filter(Boolean);
  }

  function currentRow(all) {
    const row = document.activeElement.closest("#result_list tbody tr");
    return all.findIndex((link) => row !== null && row.contains(link));
  }

  function move(step) {
    const all = links();
    const current = currentRow(all);
    const next = current < 0 ? (step > 0 ? 0 : all.length - 1) : current + step;
    all[next]?.focus();
  }

  function open() {
    const all = links();
    all[currentRow(all)]?.click();
  }

  // Open the filters of the list, and go to the first one.
  function filter(place) {
    place.open = true;
    place.querySelector("select, input:not([type=hidden])")?.focus();
  }

  function element(name, parent, text = "") {
    const made = document.createElement(name);
    made.textContent = text;
    parent.append(made);
    return made;
  }

  function makeDialog() {
    const dialog = element("dialog", document.body);
    dialog.id = "keyboard-dialog";
    dialog.setAttribute("aria-labelledby", "keyboard-title");
    element("h2", dialog, "Keyboard shortcuts").id = "keyboard-title";
    const list = element("dl", dialog);
    for (const [key, what] of KEYS) {
      element("kbd", element("dt", list), key);
      element("dd", list, what);
    }
    const label = element("label", element("p", dialog));
    const box = element("input", label);
    box.type = "checkbox";
    box.checked = !isOff();
    label.append(" Shortcuts are on in this browser");
    box.addEventListener("change", () => {
      if (box.checked) {
        localStorage.removeItem(OFF);
      } else {
        localStorage.setItem(OFF, "1");
      }
    });
    const form = element("form", dialog);
    form.method = "dialog";
    element("button", form, "Close").className = "button";
    return dialog;
  }

  function help() {
    (document.getElementById("keyboard-dialog") ?? makeDialog()).showModal();
  }

  function press(event) {
    const isChord = event.ctrlKey || event.altKey || event.metaKey;
    if (isChord || isTyping(event.target) || isOff() || document.querySelector("dialog[open]")) {
      return;
    }
    const search = document.getElementById("searchbar");
    const filters = document.querySelector("details#changelist-filter");
    const actions = {
      "/": search && (() => search.focus()),
      f: filters && (() => filter(filters)),
      j: () => move(1),
      k: () => move(-1),
      o: open,
      "?": help,
    };
    const action = Object.hasOwn(actions, event.key) && actions[event.key];
    if (action) {
      event.preventDefault();
      action();
    }
  }

  document.addEventListener("keydown", press);
  const button = document.getElementById("keyboard-help");
  if (button !== null) {
    button.hidden = false;
    button.addEventListener("click", help);
  }
})();

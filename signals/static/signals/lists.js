"use strict";

// What the lists do besides with scripts: addresses are copied, and forms send no empty values.
{
  const said = document.createElement("div");
  said.className = "visually-hidden";
  said.setAttribute("role", "status");
  document.body.append(said);

  for (const button of document.querySelectorAll("button[data-copy]")) {
    button.hidden = false;
  }

  document.addEventListener("click", async (event) => {
    const button = event.target.closest("button[data-copy]");
    if (!button) {
      return;
    }
    let isCopied = true;
    try {
      await navigator.clipboard.writeText(button.dataset.copy);
    } catch {
      isCopied = copyBySelection(button.dataset.copy);
    }
    const outcome = isCopied ? "is-done" : "is-refused";
    button.classList.add(outcome);
    said.textContent = isCopied ? "Copied" : "The browser does not allow to copy";
    setTimeout(() => button.classList.remove(outcome), 1500);
  });

  // Where the clipboard is closed to scripts, as on a site without TLS.
  function copyBySelection(text) {
    const area = document.createElement("textarea");
    area.value = text;
    area.className = "visually-hidden";
    document.body.append(area);
    area.select();
    const isCopied = document.execCommand("copy");
    area.remove();
    return isCopied;
  }

  for (const form of document.querySelectorAll("#changelist-filter form, form.jump")) {
    form.addEventListener("submit", () => {
      for (const field of form.querySelectorAll("input, select")) {
        field.disabled = field.value === "";
      }
    });
  }
  // Back from the next page, the browser may show the form as it was left.
  addEventListener("pageshow", () => {
    for (const field of document.querySelectorAll("#changelist-filter [disabled], form.jump [disabled]")) {
      field.disabled = false;
    }
  });
}

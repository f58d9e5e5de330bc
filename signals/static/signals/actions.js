"use strict";
// Continues an action batch by batch, and shows how far it is. Without this file, the button does the same.
{
  const form = document.getElementById("action-continue");
  const status = document.getElementById("action-status");

  const post = async () => {
    const body = new FormData(form);
    body.append("continue", "yes");
    const response = await fetch(window.location.href, {
      method: "POST",
      body,
      headers: { Accept: "application/json" },
    });
    const answer = await response.json();
    if (!response.ok) {
      throw new Error(answer.error);
    }
    return answer;
  };

  const carryOn = async () => {
    const button = form.querySelector("[name=continue]");
    const bar = document.getElementById("action-progress");
    const number = Number(form.dataset.number).toLocaleString("en-US");
    button.disabled = true;
    try {
      for (let finished = false; !finished; ) {
        const answer = await post();
        finished = answer.finished;
        bar.value = answer.done;
        status.textContent = `${answer.done.toLocaleString("en-US")} of ${number} signals are done.`;
      }
      window.location.reload();
    } catch {
      status.textContent += " It stopped: press Continue to go on.";
      button.disabled = false;
      button.focus();
    }
  };

  if (form) {
    carryOn();
  } else if (status) {
    status.focus();
  }
}

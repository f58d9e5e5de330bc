// Renews the figures of the front page each half minute while the page is seen.
"use strict";

(() => {
  const PERIOD = 30000;
  let since = Date.now();

  async function renew() {
    const old = document.getElementById("front-page");
    const response = await fetch(location.href, {credentials: "same-origin", redirect: "manual"});
    if (!response.ok) {
      throw new Error("the site answered " + (response.status || "with the page of the login"));
    }
    const text = await response.text();
    const page = new DOMParser().parseFromString(text, "text/html").getElementById("front-page");
    if (page === null) {
      throw new Error("the answer has no figures");
    }
    const opened = [...old.querySelectorAll("details[open]")].map((each) => each.id);
    for (const id of opened) {
      page.querySelector("#" + id)?.setAttribute("open", "");
    }
    if (!old.contains(document.activeElement)) {
      old.replaceWith(page);
    }
  }

  async function tick() {
    if (document.hidden || Date.now() - since < PERIOD) {
      return;
    }
    since = Date.now();
    try {
      await renew();
    } catch (error) {
      const place = document.getElementById("front-page-refresh");
      if (place !== null) {
        place.textContent = "· not renewed: " + error.message + "; reload the page.";
      }
    }
  }

  setInterval(tick, 1000);
  document.addEventListener("visibilitychange", tick);
})();

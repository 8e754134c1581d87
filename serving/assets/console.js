// What the pages can do beyond what they do without a script: completion and live counts of the segment text
// box, and the slider of a plan. Nothing is fetched from elsewhere, and every page works without this file.
"use strict";

function segmentBox(box) {
  const list = document.getElementById("suggestions");
  const count = document.getElementById("count");
  let timer = 0;
  let asked = 0;

  async function ask(path, body) {
    const answer = await fetch(path, {
      method: "POST",
      headers: { "content-type": "application/json" },
      body: JSON.stringify(body),
    });
    return answer.ok ? answer.json() : null;
  }

  function take(completion) {
    const text = box.value;
    const end = completion.offset + completion.length;
    box.value = text.slice(0, completion.offset) + completion.text + text.slice(end);
    const place = completion.offset + completion.text.length;
    box.setSelectionRange(place, place);
    box.focus();
    list.hidden = true;
    later();
  }

  function show(found) {
    list.replaceChildren();
    for (const completion of found.slice(0, 8)) {
      const button = document.createElement("button");
      button.type = "button";
      button.textContent = completion.text;
      button.title = completion.meaning || "";
      button.addEventListener("click", () => take(completion));
      list.append(button);
    }
    list.hidden = found.length === 0;
  }

  async function look() {
    const turn = ++asked;
    const text = box.value;
    const places = [...text.slice(0, box.selectionStart)].length;
    const found = await ask(box.dataset.looks, { text: text, cursor: places });
    if (turn !== asked) return;
    show(found && text.trim() ? found.completions : []);
    count.textContent = found && found.count !== null ? sentence(found) : "";
  }

  function sentence(found) {
    const number = new Intl.NumberFormat(document.documentElement.lang);
    const share = found.total ? found.count / found.total : 0;
    return box.dataset.says
      .replace("{count}", number.format(found.count))
      .replace("{total}", number.format(found.total))
      .replace("{share}", number.format(Math.round(1000 * share) / 10));
  }

  function later() {
    clearTimeout(timer);
    timer = setTimeout(look, 250);
  }

  function close() {
    clearTimeout(timer);
    asked += 1; // What is still on its way opens nothing any more.
    list.hidden = true;
    box.focus();
  }

  box.addEventListener("input", later);
  box.addEventListener("keydown", (event) => {
    if (event.key === "Escape") close();
    if (event.key === "ArrowDown" && !list.hidden && list.firstChild) {
      event.preventDefault();
      list.firstChild.focus();
    }
  });
  list.addEventListener("keydown", (event) => {
    const steps = { ArrowDown: 1, ArrowRight: 1, ArrowUp: -1, ArrowLeft: -1 };
    const buttons = [...list.children];
    if (event.key === "Escape") close();
    if (!(event.key in steps)) return;
    event.preventDefault();
    const place = buttons.indexOf(document.activeElement) + steps[event.key];
    if (place < 0) box.focus();
    else if (place < buttons.length) buttons[place].focus();
  });
}

function planSlider(slide) {
  const rows = [...document.querySelectorAll("[data-curve] tbody tr")];
  const heads = [...document.querySelectorAll("[data-curve] thead th")].map((each) => each.textContent);
  const range = slide.querySelector("input");
  const output = slide.querySelector("output");
  function show() {
    const cells = [...rows[range.valueAsNumber].children].map((each) => each.textContent);
    output.textContent = cells.map((cell, place) => heads[place] + ": " + cell).join(" · ");
    range.setAttribute("aria-valuetext", output.textContent);
  }
  range.addEventListener("input", show);
  slide.hidden = false;
  show();
}

const box = document.querySelector("[data-looks]");
if (box) segmentBox(box);
const slide = document.querySelector("[data-slider]");
if (slide) planSlider(slide);

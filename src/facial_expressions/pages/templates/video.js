"use strict";
// One time for the whole page: a pointer, a key or the player sets it, and every chart shows it.
const player = document.querySelector("video");
const readout = document.getElementById("readout");
const plots = [...document.querySelectorAll(".plot")];
const seconds = (time) => `${time.toFixed(2)} s`;
const limits = (plot) => [Number(plot.ariaValueMin), Number(plot.ariaValueMax)];

function place(track, time) {
  let low = 0, high = track.from.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (track.from[middle] <= time) low = middle + 1; else high = middle;
  }
  return low > 0 && time <= track.to[low - 1] ? low - 1 : -1;
}

function show(time) {
  for (const plot of plots) {
    const [from, to] = limits(plot), x = (time - from) / (to - from);
    const cursor = plot.querySelector(".cursor");
    cursor.hidden = x < 0 || x > 1;
    cursor.style.left = `${100 * x}%`;
    plot.ariaValueNow = Math.min(Math.max(time, from), to).toFixed(2);
    plot.ariaValueText = seconds(time);
  }
  const seen = [];
  for (const list of document.querySelectorAll(".values")) {
    const track = TRACKS[list.dataset.track], at = place(track, time);
    list.classList.toggle("doubtful", at >= 0 && track.uncertain[at] === 1);
    list.querySelector(".when").textContent =
      at < 0 ? "not seen" : seconds(time) + (track.uncertain[at] ? ", uncertain" : "");
    list.querySelectorAll("b").forEach((value, i) => {
      value.textContent = at < 0 ? "" : `${track.percent[at][i]}%`;
    });
    if (at >= 0) seen.push(list.closest(".track").querySelector("h2").textContent.toLowerCase());
  }
  if (readout) readout.textContent = `At ${seconds(time)}: ${seen.join(", ") || "no track"}.`;
}

function jump(time) {
  show(time);
  if (player) player.currentTime = time;
}

for (const plot of plots) {
  const timeAt = (event) => {
    const box = plot.getBoundingClientRect(), [from, to] = limits(plot);
    return from + (to - from) * Math.min(Math.max((event.clientX - box.left) / box.width, 0), 1);
  };
  plot.addEventListener("pointerdown", (event) => {
    plot.setPointerCapture(event.pointerId);
    jump(timeAt(event));
  });
  plot.addEventListener("pointermove", (event) => {
    if (event.buttons) jump(timeAt(event)); else show(timeAt(event));
  });
  plot.addEventListener("keydown", (event) => {
    const [from, to] = limits(plot), now = Number(plot.ariaValueNow), step = (to - from) / 100;
    const target = {
      ArrowLeft: now - step, ArrowDown: now - step, ArrowRight: now + step, ArrowUp: now + step,
      Home: from, End: to,
      PageUp: CUTS.filter((cut) => cut < now - 0.01).at(-1) ?? from,
      PageDown: CUTS.find((cut) => cut > now + 0.01) ?? to,
    }[event.key];
    if (target === undefined) return;
    event.preventDefault();
    jump(Math.min(Math.max(target, from), to));
  });
}
for (const button of document.querySelectorAll("button[data-time]")) {
  button.addEventListener("click", () => jump(Number(button.dataset.time)));
}
if (player) {
  player.addEventListener("timeupdate", () => show(player.currentTime));
  player.addEventListener("error", () => {
    player.parentElement.textContent = "The marked video is no longer beside this page.";
  });
}

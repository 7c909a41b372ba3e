"use strict";
for (const tool of document.querySelectorAll(".tools")) {
  const over = tool.previousElementSibling, slide = tool.querySelector("input"), button = tool.querySelector("button");
  const top = over.querySelector(".top");
  let timer = 0;
  const stop = () => { clearInterval(timer); timer = 0; over.classList.remove("whole", "under"); button.setAttribute("aria-pressed", "false"); };
  slide.addEventListener("input", () => { stop(); top.style.clipPath = `inset(0 0 0 ${slide.value}%)`; });
  button.addEventListener("click", () => {
    if (timer) { stop(); return; }
    button.setAttribute("aria-pressed", "true");
    over.classList.add("whole");
    top.style.removeProperty("clip-path");
    timer = setInterval(() => { over.classList.toggle("whole"); over.classList.toggle("under"); }, 600);
  });
}

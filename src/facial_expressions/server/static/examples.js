// Images to try, drawn here from one photograph: NASA's of the astronaut Eileen Collins, in the public domain.

import { make, toJpeg } from "./dom.js";

const HEAD = [62, 0, 210, 210]; // left, top, width, height

const EXAMPLES = [
  ["One face", [380, 380], (context, photo) => context.drawImage(photo, 0, 0)],
  ["A video call", [1000, 600], drawCall],
  ["Hard to see", [380, 380], (context, photo) => {
    context.filter = "blur(4px) brightness(35%)";
    context.drawImage(photo, 0, 0);
  }],
];

// Fifteen tiles of one head, each a little different.
function drawCall(context, photo) {
  const [left, top, width, height] = HEAD;
  for (let i = 0; i < 15; i += 1) {
    const shift = ((i * 7) % 5) * 5;
    context.save();
    context.filter = `brightness(${75 + ((i * 11) % 6) * 8}%) sepia(${(i % 4) * 12}%)`;
    context.translate((i % 5) * 200 + 100, Math.floor(i / 5) * 200);
    context.beginPath();
    context.rect(-100, 0, 200, 200);
    context.clip(); // or each filter would work on the whole canvas
    context.scale(i % 2 ? -1 : 1, 1);
    context.drawImage(photo, left + shift / 2, top, width - shift, height - shift, -96, 4, 192, 192);
    context.restore();
  }
}

// A button for each; `choose` gets the image as a file. Without the photograph there are none.
export async function offerExamples(parent, choose) {
  const response = await fetch("astronaut.jpg");
  if (!response.ok) return;
  const photo = await createImageBitmap(await response.blob());
  parent.replaceChildren(...EXAMPLES.map(([name, [width, height], paint]) => {
    const canvas = make("canvas", "");
    Object.assign(canvas, { width, height });
    canvas.setAttribute("aria-hidden", "true");
    paint(canvas.getContext("2d"), photo);
    const button = make("button", "");
    button.type = "button";
    button.append(canvas, make("span", "", name));
    button.addEventListener("click", async () => {
      choose(new File([await toJpeg(canvas, 0.9)], `${name}.jpg`, { type: "image/jpeg" }));
    });
    const item = make("li", "");
    item.append(button);
    return item;
  }));
}

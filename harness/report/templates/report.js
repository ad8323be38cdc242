// On a narrow screen the answer stands first, and what it is made of is one touch away.
if (matchMedia("(max-width: 52rem)").matches) {
  for (const each of document.querySelectorAll(".unfolded")) each.open = false;
}

// What a link leads to is unfolded first.
function unfold() {
  const target = document.getElementById(decodeURIComponent(location.hash.slice(1)));
  for (let each = target?.closest("details"); each; each = each.parentElement.closest("details")) each.open = true;
  target?.scrollIntoView();
}
addEventListener("hashchange", unfold);
if (location.hash) unfold();

for (const command of document.querySelectorAll(".command")) {
  const button = Object.assign(document.createElement("button"), {type: "button", className: "copy", textContent: "Copy"});
  button.setAttribute("aria-label", `Copy: ${command.textContent}`);
  button.addEventListener("click", async () => {
    await navigator.clipboard.writeText(command.textContent);
    button.textContent = "Copied";
  });
  command.after(" ", button);
}

// The table of verdicts: which cases it shows, and in which order. Without this all of them stand there.
(() => {
  const form = document.querySelector(".filters");
  if (!form) return;
  const table = document.querySelector(".verdicts.cases");
  const cases = [...table.tBodies];
  const counted = form.querySelector("output");
  cases.forEach((each, place) => { each.dataset.order = place; });

  function apply() {
    const wanted = Object.fromEntries(new FormData(form));
    const fits = (each) => ["headline", "verdict", "dataset"].every((key) => !wanted[key] || each.dataset[key] === wanted[key]);
    for (const each of cases) each.hidden = !fits(each);
    const by = (key) => (one, other) => one.dataset[key] - other.dataset[key];
    table.append(...cases.sort((one, other) => by(wanted.sort)(one, other) || by("order")(one, other)));
    counted.value = `${cases.filter((each) => !each.hidden).length} of ${cases.length} cases`;
  }

  form.hidden = false;
  form.addEventListener("input", apply);
  form.addEventListener("submit", (event) => event.preventDefault());
  apply();
})();

// Each panel as a file of its own, with its words: what colours it takes from the page are written into it.
(() => {
  const colours = getComputedStyle(document.documentElement);
  const resolved = (text) => text.replace(/var\((--[\w-]+)\)/g, (_, name) => colours.getPropertyValue(name).trim());

  function file(svg, caption) {
    const copy = svg.cloneNode(true);
    const [, , width, height] = copy.getAttribute("viewBox").split(" ");
    copy.setAttribute("xmlns", "http://www.w3.org/2000/svg");
    copy.setAttribute("width", width);
    copy.setAttribute("height", height);
    copy.style.background = "var(--page)";
    copy.prepend(Object.assign(document.createElementNS(copy.namespaceURI, "desc"), {textContent: caption}));
    return resolved(new XMLSerializer().serializeToString(copy));
  }

  function save(content, name) {
    const link = Object.assign(document.createElement("a"), {href: URL.createObjectURL(content), download: name});
    link.click();
    setTimeout(() => URL.revokeObjectURL(link.href), 10000);
  }

  async function pixels(text) {
    const image = new Image();
    image.src = `data:image/svg+xml;charset=utf-8,${encodeURIComponent(text)}`;
    await image.decode();
    const canvas = Object.assign(document.createElement("canvas"), {width: 3 * image.width, height: 3 * image.height});
    canvas.getContext("2d").drawImage(image, 0, 0, canvas.width, canvas.height);
    return new Promise((done) => canvas.toBlob(done));
  }

  for (const panel of document.querySelectorAll(".panel")) {
    const svg = panel.querySelector("svg"), words = panel.closest("figure")?.querySelector("figcaption");
    if (!svg || !words) continue;
    const place = panel.closest(".case")?.querySelector("h4")?.id ?? "figure";
    const name = `${place}-${words.querySelector("b").textContent}-${panel.querySelector("p")?.textContent ?? ""}`
      .replace(/[^\w]+/g, "-").replace(/-+$/, "");
    const caption = words.textContent.replace(/\s+/g, " ").trim();
    const buttons = document.createElement("div");
    buttons.className = "saving";
    for (const kind of ["SVG", "PNG"]) {
      const button = Object.assign(document.createElement("button"), {type: "button", textContent: kind});
      button.setAttribute("aria-label", `Save as ${kind}: ${words.querySelector("b").textContent} ${panel.querySelector("p")?.textContent ?? ""}`);
      button.addEventListener("click", async () => {
        const text = file(svg, caption);
        save(kind === "SVG" ? new Blob([text], {type: "image/svg+xml"}) : await pixels(text), `${name}.${kind.toLowerCase()}`);
      });
      buttons.append(button);
    }
    panel.append(buttons);
  }
})();

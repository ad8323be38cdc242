// On a narrow screen the answer stands first, and what it is made of is one touch away.
if (matchMedia("(max-width: 52rem)").matches) {
  for (const each of document.querySelectorAll(".unfolded")) each.open = false;
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

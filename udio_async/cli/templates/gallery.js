"use strict";
(() => {
  const byId = (id) => document.getElementById(id);
  const [form, words, provider, state, order] =
    ["find", "words", "provider", "state", "order"].map(byId);
  const [list, found, player, playing, audio] =
    ["songs", "found", "player", "playing", "audio"].map(byId);
  const cards = [...list.querySelectorAll(".card")];
  const size = Number(list.dataset.group);
  document.documentElement.classList.add("js");
  form.hidden = false;

  // Search: every word has to be somewhere, without regard to case and accents.
  const plain = (text) => text.normalize("NFKD").replace(/\p{M}/gu, "").toLowerCase();
  let texts = null;
  const text = (card) => {
    const parts = card.querySelectorAll("[data-s]");
    return plain(Array.from(parts, (part) => part.textContent).join("\n"));
  };
  const index = () => new Map(cards.map((card) => [card, text(card)]));

  const fits = (card, wanted) =>
    (!provider.value || card.dataset.provider === provider.value)
    && (!state.value || card.dataset.state === state.value)
    && wanted.every((word) => texts.get(card).includes(word));

  const title = (card) => card.querySelector("h3").textContent;
  const seconds = (card) => Number(card.dataset.seconds);
  const byTitle = () => {
    const collator = new Intl.Collator(undefined, { numeric: true });
    return cards.map((card) => [title(card), card])
      .sort((a, b) => collator.compare(a[0], b[0]))
      .map((pair) => pair[1]);
  };
  const sorted = {
    newest: () => cards,
    oldest: () => [...cards].reverse(),
    title: byTitle,
    longest: () => [...cards].sort((a, b) => seconds(b) - seconds(a)),
    shortest: () => [...cards].sort((a, b) => seconds(a) - seconds(b)),
  };

  // Cards are moved in groups, of which the browser lays out what is near the screen. Hiding
  // thousands of cards one by one would take minutes.
  const group = (members) => {
    const element = document.createElement("ul");
    element.className = "group";
    element.append(...members);
    return element;
  };
  let ordered = cards;
  const show = () => {
    const wanted = plain(words.value).split(/\s+/).filter(Boolean);
    if (wanted.length) texts ??= index();
    const shown = ordered.filter((card) => fits(card, wanted));
    const starts = Array.from({ length: Math.ceil(shown.length / size) }, (_, n) => n * size);
    list.replaceChildren(...starts.map((start) => group(shown.slice(start, start + size))));
    found.textContent = shown.length === cards.length
      ? `All ${cards.length} shown`
      : `${shown.length} of ${cards.length} found`;
  };

  form.addEventListener("submit", (event) => event.preventDefault());
  words.addEventListener("input", show);
  provider.addEventListener("change", show);
  state.addEventListener("change", show);
  order.addEventListener("change", () => {
    ordered = sorted[order.value]();
    show();
  });
  document.addEventListener("keydown", (event) => {
    const typing = /^(INPUT|SELECT|TEXTAREA)$/.test(event.target.tagName);
    if (event.key !== "/" || typing || event.ctrlKey || event.metaKey || event.altKey) return;
    event.preventDefault();
    words.focus();
    words.select();
  });

  // Play: one player, so never two songs at once.
  let current = null;
  const mark = (button, isOn) => {
    if (!button) return;
    const name = title(button.closest(".card"));
    button.setAttribute("aria-label", `${isOn ? "Pause" : "Play"} ${name}`);
    button.querySelector("use").setAttribute("href", isOn ? "#pause" : "#play");
    button.closest(".card").classList.toggle("on", isOn);
  };
  list.addEventListener("click", (event) => {
    const button = event.target.closest(".play");
    if (!button) return;
    if (button === current) {
      if (audio.paused) audio.play(); else audio.pause();
      return;
    }
    mark(current, false);
    current = button;
    playing.textContent = title(button.closest(".card"));
    player.hidden = false;
    audio.src = button.dataset.src;
    audio.play().catch(() => {}); // the error event tells why
  });
  audio.addEventListener("play", () => mark(current, true));
  audio.addEventListener("pause", () => mark(current, false));
  audio.addEventListener("error", () => {
    mark(current, false);
    playing.textContent = `Cannot play ${title(current.closest(".card"))}`;
  });
  found.textContent = `All ${cards.length} shown`;
})();

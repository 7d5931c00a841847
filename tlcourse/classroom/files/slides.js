// Without JavaScript, the slides stand below one another.
(() => {
  const slides = [...document.querySelectorAll("section")];
  const smallest = 0.6;
  let now = 0;

  function fit(slide) {
    // A slide that is too full gets smaller letters, down to what can still be read.
    const base = Math.min(innerWidth / 1280, innerHeight / 720) * 26;
    let scale = 1;
    do {
      slide.style.fontSize = `${base * scale}px`;
      scale -= 0.05;
    } while (slide.scrollHeight > slide.clientHeight && scale >= smallest);
  }

  function show(number) {
    now = Math.max(0, Math.min(slides.length - 1, number));
    slides.forEach((slide, index) => slide.classList.toggle("now", index === now));
    fit(slides[now]);
    slides[now].scrollTop = 0;
    document.getElementById("number").textContent = `${now + 1} / ${slides.length}`;
    document.getElementById("bar").style.width = `${(100 * (now + 1)) / slides.length}%`;
    document.getElementById("help").style.visibility = now === 0 ? "visible" : "hidden";
    history.replaceState(null, "", `#${now + 1}`);
  }

  function named() {
    return (parseInt(location.hash.slice(1), 10) || 1) - 1;
  }

  const keys = {
    ArrowRight: () => show(now + 1), ArrowDown: () => show(now + 1), PageDown: () => show(now + 1),
    " ": () => show(now + 1), ArrowLeft: () => show(now - 1), ArrowUp: () => show(now - 1),
    PageUp: () => show(now - 1), Home: () => show(0), End: () => show(slides.length - 1),
    c: () => {
      const folded = slides[now].querySelectorAll("details");
      const open = ![...folded].every((one) => one.open);
      folded.forEach((one) => { one.open = open; });
      fit(slides[now]);
    },
    f: () => {
      if (document.fullscreenElement) document.exitFullscreen();
      else document.documentElement.requestFullscreen();
    },
  };

  document.body.classList.add("deck");
  document.querySelector("footer").hidden = false;
  document.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey || !keys[event.key]) return;
    event.preventDefault();
    keys[event.key]();
  });
  let touched = null;
  document.addEventListener("touchstart", (event) => { touched = event.touches[0].clientX; });
  document.addEventListener("touchend", (event) => {
    const moved = event.changedTouches[0].clientX - touched;
    if (Math.abs(moved) > 60) show(now + (moved < 0 ? 1 : -1));
  });
  document.addEventListener("toggle", () => fit(slides[now]), true);
  addEventListener("resize", () => fit(slides[now]));
  addEventListener("hashchange", () => { if (named() !== now) show(named()); });
  show(named());
})();

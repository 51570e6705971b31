// Runs before the first paint when no theme was chosen: follow the system.
(() => {
  const dark = window.matchMedia("(prefers-color-scheme: dark)");
  const follow = () => {
    document.documentElement.dataset.bsTheme = dark.matches ? "dark" : "light";
  };
  follow();
  dark.addEventListener("change", () => {
    if ("themeAuto" in document.documentElement.dataset) follow();
  });
})();

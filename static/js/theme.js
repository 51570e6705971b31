// The theme switch. The choice is a cookie, so that the server renders the next page in it without a flash.
const root = document.documentElement;

document.getElementById("theme-switch")?.addEventListener("click", () => {
  const theme = root.dataset.bsTheme === "dark" ? "light" : "dark";
  root.dataset.bsTheme = theme;
  delete root.dataset.themeAuto;
  const secure = location.protocol === "https:" ? "; Secure" : "";
  document.cookie = `theme=${theme}; Path=/; Max-Age=31536000; SameSite=Lax${secure}`;
});

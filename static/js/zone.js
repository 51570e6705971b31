// Tells the server the browser's time zone, so that "today" in its filters is the admin's day.
const zone = Intl.DateTimeFormat().resolvedOptions().timeZone ?? "";
if (!document.cookie.split("; ").includes(`zone=${zone}`)) {
  const secure = location.protocol === "https:" ? "; Secure" : "";
  document.cookie = `zone=${zone}; Path=/; Max-Age=31536000; SameSite=Lax${secure}`;
}

"""The panel as a browser's requests see it, without a browser: for requests that must be many or fast."""

import http.client
import re
import ssl
import urllib.parse
from dataclasses import dataclass, field
from http.cookies import SimpleCookie

import lxml.html


@dataclass
class Answer:
    status: int
    headers: dict[str, str]
    text: str

    @property
    def words(self) -> str:
        """What a reader sees of it: of a page its main part, else what is in the dialog."""
        page = lxml.html.document_fromstring(self.text or "-")
        part = [*page.xpath("//main"), *page.xpath("//dialog"), page][0]
        return " ".join(part.text_content().split())

    @property
    def task(self) -> int:
        """The task to which the answer leads."""
        found = re.search(r"/tasks/(\d+)/|\"id\": (\d+)", str(self.headers))
        assert found, f"the answer names no task: {self.status} {self.words[:3000]}"
        return int(found[1] or found[2])


@dataclass
class Panel:
    """One signed-in session; `copy()` gives another connection with the same cookies."""

    port: int
    cookies: dict[str, str] = field(default_factory=dict)

    def request(
        self, method: str, path: str, form: dict[str, str] | None = None, timeout: float = 60, *, htmx: bool = False
    ) -> Answer:
        """One request on a connection of its own; POST carries the CSRF token and the Origin a browser would send."""
        context = ssl.create_default_context()
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        connection = http.client.HTTPSConnection("localhost", self.port, timeout=timeout, context=context)
        headers = {"Cookie": "; ".join(f"{name}={value}" for name, value in self.cookies.items())}
        headers |= {"HX-Request": "true"} if htmx else {}
        body = None
        if form is not None:
            body = urllib.parse.urlencode(form)
            origin = f"https://localhost:{self.port}"
            headers |= {"Content-Type": "application/x-www-form-urlencoded", "Origin": origin, "Referer": origin + "/"}
            headers["X-CSRFToken"] = next((v for k, v in self.cookies.items() if k.endswith("_csrf")), "")
        connection.request(method, path, body=body, headers=headers)
        response = connection.getresponse()
        text = response.read().decode(errors="replace")
        for header in response.headers.get_all("Set-Cookie") or []:
            self.cookies |= {name: morsel.value for name, morsel in SimpleCookie(header).items()}
        connection.close()
        return Answer(response.status, {name.lower(): value for name, value in response.headers.items()}, text)

    def get(self, path: str, timeout: float = 60) -> Answer:
        return self.request("GET", path, timeout=timeout)

    def post(self, path: str, *, timeout: float = 60, htmx: bool = False, **form: str) -> Answer:
        return self.request("POST", path, form, timeout, htmx=htmx)

    def form_of(self, path: str) -> dict[str, str]:
        """The fields of the dialog at this path, as they are when it is opened."""
        return self.fields(self.request("GET", path, htmx=True).text)

    @staticmethod
    def fields(page: str) -> dict[str, str]:
        """Name → value of every text and hidden field."""
        found = lxml.html.fragments_fromstring(f"<div>{page}</div>")[0].xpath(".//input[@name]")
        return {field.get("name"): field.get("value", "") for field in found}

    def sign_in(self, user: str, password: str) -> None:
        page = self.get("/account/login/")
        token = re.search(r'name="csrfmiddlewaretoken" value="([^"]+)"', page.text)
        assert token, "the login page has no form"
        answer = self.post("/account/login/", csrfmiddlewaretoken=token[1], login=user, password=password)
        assert answer.status == 302, f"sign-in was refused with {answer.status}"

    def copy(self) -> "Panel":
        return Panel(self.port, dict(self.cookies))

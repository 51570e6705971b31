"""Ask a panel on this machine how it is: prints the status, ends 0 when every part is ok."""

import http.client
import json
import ssl
import sys


def main(port: str, ca: str) -> int:
    """Read /healthz over HTTPS, trusting the panel's own CA alone."""
    try:
        context = ssl.create_default_context(cafile=ca)
        connection = http.client.HTTPSConnection("localhost", int(port), timeout=3, context=context)
        connection.request("GET", "/healthz")
        response = connection.getresponse()
        body = response.read()
        health = json.loads(body)
    except OSError as error:
        sys.stdout.write(f"no answer yet: {error}\n")
        return 1
    except ValueError:
        sys.stdout.write(f"/healthz answered {response.status}: {body[:200]!r}\n")
        return 1
    bad = [f"{name} {part['state']}" for name, part in health["parts"].items() if part["state"] != "ok"]
    sys.stdout.write(", ".join(bad) + "\n" if bad else "every part is ok\n")
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:3]))

"""Settings of the panel. This module alone reads the environment."""

import hashlib
from pathlib import Path

import environ

from panel import __version__

BASE_DIR = Path(__file__).resolve().parent.parent
env = environ.Env()

# Everything that is written at run time lies below one folder, so that several panels can live on one machine.
VAR = Path(env("MOORING_VAR", default=str(BASE_DIR / "var" / "main"))).resolve()
KEYS_DIR = VAR / "keys"
RRD_DIR = VAR / "rrd"
RUN_DIR = VAR / "run"
LOG_DIR = VAR / "log"
SSH_KEY_PATH = KEYS_DIR / "ssh" / "id_ed25519"
PKI_DIR = KEYS_DIR / "pki"

VERSION = __version__
INSTANCE = env("MOORING_INSTANCE", default="main")
DEBUG = env.bool("MOORING_DEBUG", default=False)
HOST = env("MOORING_HOST", default="127.0.0.1")
PORT = env.int("MOORING_PORT", default=8443)
HTTPS = env.bool("MOORING_HTTPS", default=True)


def _secret_key() -> str:
    """The key made by `manage.py prepare`; refuses to start without one rather than use a default."""
    path = KEYS_DIR / "secret_key"
    if env("MOORING_SECRET_KEY", default=""):
        return str(env("MOORING_SECRET_KEY"))
    return path.read_text().strip() if path.exists() else ""


SECRET_KEY = _secret_key() or "not-prepared"
ALLOWED_HOSTS: list[str] = env.list("MOORING_ALLOWED_HOSTS", default=["localhost", "127.0.0.1", "[::1]"])
_SCHEME = "https" if HTTPS else "http"
# Exact origins (scheme, host, port) that may open a websocket or post a form.
ALLOWED_ORIGINS: list[str] = env.list(
    "MOORING_ALLOWED_ORIGINS", default=[f"{_SCHEME}://{host}:{PORT}" for host in ALLOWED_HOSTS]
)
CSRF_TRUSTED_ORIGINS = ALLOWED_ORIGINS

INSTALLED_APPS = [
    "whitenoise.runserver_nostatic",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "django.contrib.staticfiles",
    "django.contrib.humanize",
    "channels",
    "django_htmx",
    "django_filters",
    "template_partials",
    "django_structlog",
    "allauth",
    "allauth.account",
    "allauth.mfa",
    "allauth.usersessions",
    "csp",
    "panel.accounts",
    "panel.audit",
    "panel.health",
    "panel.live",
    "panel.search",
    "panel.preferences",
    "panel.trust",
    "panel.ui",
    "panel.users",
    "tasks",
    "infrastructure",
    "storage",
    "iscsi",
    "collector",
]

MIDDLEWARE = [
    "django.middleware.security.SecurityMiddleware",
    "whitenoise.middleware.WhiteNoiseMiddleware",
    "csp.middleware.CSPMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
    "allauth.account.middleware.AccountMiddleware",
    "django_htmx.middleware.HtmxMiddleware",
    "django_structlog.middlewares.RequestMiddleware",
    "panel.accounts.middleware.DefaultDenyMiddleware",
]

ROOT_URLCONF = "panel.urls"
ASGI_APPLICATION = "panel.asgi.application"

TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "DIRS": [BASE_DIR / "templates"],
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
                "panel.ui.context.shell",
            ],
        },
    }
]


def _database_url() -> str:
    """What `bin/up --database` kept, for it may hold a password; SQLite when nothing was said."""
    path = KEYS_DIR / "database_url"
    return path.read_text().strip() if path.exists() else f"sqlite:///{VAR / 'db.sqlite3'}"


DATABASES = {"default": env.db("DATABASE_URL", default=_database_url())}
if DATABASES["default"]["ENGINE"] == "django.db.backends.sqlite3":
    # IMMEDIATE takes the write lock at BEGIN, so two writers wait for each other instead of failing at upgrade.
    DATABASES["default"]["OPTIONS"] = {
        "timeout": 20,
        "transaction_mode": "IMMEDIATE",
        "init_command": "PRAGMA journal_mode=WAL; PRAGMA synchronous=NORMAL; PRAGMA busy_timeout=20000;",
    }
else:
    # A database that does not answer is said within seconds, not after TCP's minutes.
    DATABASES["default"].setdefault("OPTIONS", {}).update(
        {"connect_timeout": 5, "keepalives_idle": 5, "keepalives_interval": 2, "keepalives_count": 3}
    )
DATABASES["default"]["CONN_MAX_AGE"] = 0
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"

REDIS_URL = env("MOORING_REDIS_URL", default=f"unix://{RUN_DIR / 'redis.sock'}")
CELERY_BROKER_URL = env("MOORING_BROKER_URL", default=REDIS_URL.replace("unix://", "redis+socket://", 1))
CHANNEL_LAYERS = {
    "default": {"BACKEND": "channels_redis.pubsub.RedisPubSubChannelLayer", "CONFIG": {"hosts": [REDIS_URL]}}
}
# What names of iSCSI targets begin with; those that are there keep theirs.
ISCSI_IQN_PREFIX = env("MOORING_IQN_PREFIX", default="iqn.2014-06.com.vstorage")
# Login and its rate limits must work while Redis is down: the cache is a table.
# The default of 300 entries would let a flood of names push the counters of earlier attempts out.
CACHES = {
    "default": {
        "BACKEND": "django.core.cache.backends.db.DatabaseCache",
        "LOCATION": "cache",
        "OPTIONS": {"MAX_ENTRIES": 100_000},
    }
}
# Seconds without a heartbeat after which the keeper takes a task over from its worker, which beats every 2 s.
TASK_REAP_AFTER = env.float("MOORING_TASK_REAP_AFTER", default=10.0)

AUTH_USER_MODEL = "accounts.User"
AUTHENTICATION_BACKENDS = ["django.contrib.auth.backends.ModelBackend"]
AUTH_PASSWORD_VALIDATORS = [
    {"NAME": "panel.accounts.passwords.LongEnough"},
    {"NAME": "panel.accounts.passwords.NotTheName"},
    {"NAME": "panel.accounts.passwords.NotCommon"},
    {"NAME": "panel.accounts.passwords.NotThePresentOne"},
]
ACCOUNT_ADAPTER = "panel.accounts.adapter.AccountAdapter"
ACCOUNT_LOGIN_METHODS = {"username"}
ACCOUNT_SIGNUP_FIELDS = ["username*", "password1*"]
ACCOUNT_EMAIL_VERIFICATION = "none"
ACCOUNT_LOGOUT_ON_GET = False
ACCOUNT_SESSION_REMEMBER = False
ACCOUNT_PREVENT_ENUMERATION = True
MFA_ADAPTER = "panel.accounts.second_factor.SecondFactorAdapter"
MFA_FORMS = {
    "activate_totp": "panel.accounts.second_factor.ActivateForm",
    "authenticate": "panel.accounts.second_factor.SignInForm",
    "reauthenticate": "panel.accounts.second_factor.ConfirmForm",
}
MFA_RECOVERY_CODES_SHOW_ONCE = True
MFA_TOTP_TOLERANCE = 1  # a phone's clock may be half a minute off
LOGIN_URL = "account_login"
LOGIN_REDIRECT_URL = "/"

SESSION_COOKIE_HTTPONLY = True
SESSION_COOKIE_SAMESITE = "Lax"
SESSION_COOKIE_AGE = 12 * 3600
# The port is not part of a cookie's scope: two panels on one host would sign each other's users out.
SESSION_COOKIE_NAME = f"mooring_{INSTANCE}_session"
CSRF_COOKIE_NAME = f"mooring_{INSTANCE}_csrf"
CSRF_COOKIE_SAMESITE = "Lax"
SESSION_COOKIE_SECURE = CSRF_COOKIE_SECURE = HTTPS
SECURE_HSTS_SECONDS = env.int("MOORING_HSTS_SECONDS", default=0)
SECURE_CONTENT_TYPE_NOSNIFF = True
SECURE_REFERRER_POLICY = "same-origin"
X_FRAME_OPTIONS = "DENY"
CONTENT_SECURITY_POLICY = {
    "DIRECTIVES": {
        "default-src": ["'self'"],
        "script-src": ["'self'"],
        "style-src": ["'self'"],
        "img-src": ["'self'", "data:"],
        "font-src": ["'self'"],
        "connect-src": ["'self'"],
        "object-src": ["'none'"],
        "base-uri": ["'none'"],
        "form-action": ["'self'"],
        "frame-ancestors": ["'none'"],
    }
}

LANGUAGE_CODE = "en"
USE_I18N = False
TIME_ZONE = "UTC"
USE_TZ = True


def _build() -> str:
    """A name that changes with the assets, so that browsers may keep each build's files for ever."""
    digest = hashlib.sha256(__version__.encode())
    others = [BASE_DIR / "package-lock.json", BASE_DIR / "panel" / "ui" / "stylesheet.py"]
    for path in [*sorted((BASE_DIR / "static").rglob("*")), *others]:
        if path.is_file():
            digest.update(path.read_bytes())
    return digest.hexdigest()[:12]


BUILD = _build()
STATIC_URL = f"/static/{BUILD}/"
STATIC_ROOT = VAR / "static"
_NPM = BASE_DIR / "node_modules"
STATICFILES_DIRS = [
    BASE_DIR / "static",
    *(
        (f"vendor/{name}", str(_NPM / path))
        for name, path in {
            "tabler/css": "@tabler/core/dist/css",
            "tabler/js": "@tabler/core/dist/js",
            "icons": "@tabler/icons-webfont/dist",
            "inter": "@fontsource-variable/inter",
            "jetbrains-mono": "@fontsource-variable/jetbrains-mono",
            "novnc": "@novnc/novnc",
            "idiomorph": "idiomorph/dist",
            "xterm": "@xterm/xterm",
            "xterm-fit": "@xterm/addon-fit/lib",
        }.items()
        if (_NPM / path).is_dir()
    ),
]
STATICFILES_FINDERS = [
    "django.contrib.staticfiles.finders.FileSystemFinder",
    "django.contrib.staticfiles.finders.AppDirectoriesFinder",
    "panel.ui.stylesheet.StylesheetFinder",
]
WHITENOISE_USE_FINDERS = env.bool("MOORING_STATIC_FROM_SOURCE", default=False)
WHITENOISE_MAX_AGE = 365 * 24 * 3600  # STATIC_URL carries the build

LOGGING_CONFIG = None  # panel.logs sets structlog and the standard library up together
from panel import logs  # noqa: E402

logs.configure(debug=DEBUG)

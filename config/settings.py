"""Django settings. Everything that differs between installations comes from config.env."""

from datetime import timedelta
from pathlib import Path
from urllib.parse import urlsplit

from config.env import load_or_exit
from config.logs import log_uncaught_errors, logging_config

BASE_DIR = Path(__file__).resolve().parent.parent
ENV = load_or_exit(BASE_DIR)

DEBUG = ENV.debug
SECRET_KEY = ENV.django_secret_key
ALLOWED_HOSTS = ENV.allowed_hosts
FRONTEND_URL = ENV.frontend_url
METRICS_TOKEN = ENV.metrics_token
CSRF_TRUSTED_ORIGINS = [FRONTEND_URL]

INSTALLED_APPS = [
    "accounts",
    "knowledge",
    "simulations",
    "config.apps.SitrepAdminConfig",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "axes",
    "django_otp",
    "django_otp.plugins.otp_totp",
    "whitenoise.runserver_nostatic",
    "django.contrib.staticfiles",
    "django.forms",
    "csp",
    "django_htmx",
    "drf_spectacular",
    "drf_spectacular_sidecar",
    "import_export",
    "knox",
    "rest_framework",
    "simple_history",
]

MIDDLEWARE = [
    "config.request_id.RequestIdMiddleware",
    "config.request_log.RequestLogMiddleware",
    "config.headers.HeadersMiddleware",
    "csp.middleware.CSPMiddleware",
    "django.middleware.security.SecurityMiddleware",
    "config.errors.ApiMiddleware",
    "config.refusals.RefusalMiddleware",
    "config.throttling.RateLimitMiddleware",
    "config.uploads.UploadLimitMiddleware",
    "whitenoise.middleware.WhiteNoiseMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
    "django_htmx.middleware.HtmxMiddleware",
    "simple_history.middleware.HistoryRequestMiddleware",
    "config.errors.AppErrorMiddleware",
    "axes.middleware.AxesMiddleware",
]

ROOT_URLCONF = "config.urls"
WSGI_APPLICATION = "config.wsgi.application"
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
            ],
        },
    },
]
FORM_RENDERER = "django.forms.renderers.TemplatesSetting"

# --- Database ---------------------------------------------------------------------------------

SQLITE_OPTIONS = {
    # Django's default BEGIN would let two writers deadlock on the upgrade of a read lock.
    "transaction_mode": "IMMEDIATE",
    "timeout": 20,
    "init_command": "PRAGMA journal_mode=WAL; PRAGMA synchronous=NORMAL;",
}
DATABASES = {"default": ENV.database}
if ENV.database["ENGINE"] == "django.db.backends.sqlite3":
    DATABASES["default"]["OPTIONS"] = SQLITE_OPTIONS | ENV.database.get("OPTIONS", {})
    if ENV.database["NAME"] != ":memory:":
        Path(ENV.database["NAME"]).parent.mkdir(parents=True, exist_ok=True)
else:
    DATABASES["default"] = {"CONN_MAX_AGE": 60, "CONN_HEALTH_CHECKS": True} | ENV.database
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"

# --- Accounts ---------------------------------------------------------------------------------

AUTH_USER_MODEL = "accounts.User"
SHORTEST_PASSWORD = 12
AUTH_PASSWORD_VALIDATORS = [
    {"NAME": "django.contrib.auth.password_validation.UserAttributeSimilarityValidator"},
    {
        "NAME": "django.contrib.auth.password_validation.MinimumLengthValidator",
        "OPTIONS": {"min_length": SHORTEST_PASSWORD},
    },
    {"NAME": "django.contrib.auth.password_validation.CommonPasswordValidator"},
    {
        "NAME": "accounts.passwords.ContextWordsValidator",
        "OPTIONS": {"site_url": FRONTEND_URL},
    },
]
LOGIN_URL = "login"
LOGIN_REDIRECT_URL = "simulations:list"
LOGOUT_REDIRECT_URL = "login"
KNOX_TOKEN_MODEL = "accounts.ApiToken"  # noqa: S105 - a model's name
MIGRATION_MODULES = {"knox": None}  # its only model is replaced by ours
REST_KNOX = {
    "AUTH_HEADER_PREFIX": "Bearer",
    "TOKEN_PREFIX": "sitrep_",
}
AUTHENTICATION_BACKENDS = [
    "axes.backends.AxesStandaloneBackend",
    "django.contrib.auth.backends.ModelBackend",
]
AXES_HANDLER = "accounts.lockout.LockoutHandler"
AXES_LOCKOUT_PARAMETERS = [["username", "ip_address"]]
AXES_FAILURE_LIMIT = ENV.sign_in_failures
AXES_COOLOFF_TIME = timedelta(minutes=ENV.sign_in_lockout_minutes)
AXES_RESET_ON_SUCCESS = True
# Else whoever knocks on would make a lockout last, and its row grow.
AXES_RESET_COOL_OFF_ON_FAILURE_DURING_LOCKOUT = False
AXES_CLIENT_IP_CALLABLE = "config.client_address.client_address"
AXES_LOCKOUT_CALLABLE = "accounts.lockout.mark_locked_out"
AXES_ENABLE_ADMIN = False  # accounts.admin shows what is of use
AXES_DISABLE_ACCESS_LOG = True  # who signed in when is nobody's business for ever
AXES_VERBOSE = False
SESSION_ENGINE = "accounts.sessions"
SESSION_LIFETIME = timedelta(hours=ENV.session_hours)
SESSION_IDLE = timedelta(minutes=ENV.session_idle_minutes)
# Of ADMINs; everybody may set one up.
SECOND_FACTOR_REQUIRED = ENV.is_production
OTP_TOTP_ISSUER = f"Sitrep at {urlsplit(FRONTEND_URL).hostname}"  # as the app lists it
MONTHLY_SIMULATION_LIMIT = ENV.monthly_simulation_limit

# --- Knowledge --------------------------------------------------------------------------------

GROUND_BY_SEARCH = ENV.ground_by_search

# --- Usage ------------------------------------------------------------------------------------

USAGE_CURRENCY = ENV.usage_currency

# --- The assistant ----------------------------------------------------------------------------

OPENAI_CONFIGURED = ENV.openai_configured
OPENAI_API_KEY = ENV.openai_api_key
OPENAI_BASE_URL = ENV.openai_base_url
OPENAI_PROTOCOL = ENV.openai_protocol
OPENAI_MODEL = ENV.openai_model
OPENAI_ASSISTANT_ID = ENV.openai_assistant_id
OPENAI_WEBHOOK_SECRET = ENV.openai_webhook_secret

RUN_TIMEOUT = timedelta(seconds=ENV.run_timeout_seconds)
START_TIMEOUT = timedelta(seconds=ENV.start_timeout_seconds)
POLLS_PER_SECOND = ENV.polls_per_second
CALL_SLOTS = ENV.call_slots
MAX_RUNS_IN_FLIGHT = ENV.max_runs_in_flight
MAX_RUNS_PER_USER = ENV.max_runs_per_user

# How long a claimed row is left alone. Most steps may be taken twice without harm, StartRun not:
# START_LEASE, which the money gate takes, outlasts the longest create call, so that nobody else
# takes a row whose call is still going.
STEP_LEASE = timedelta(seconds=16)
START_LEASE = timedelta(seconds=30)
# Between two looks for a run whose create call was never answered.
LOOK_DELAY = timedelta(seconds=2)
# How long a worker goes on with the keywords and articles it has read, before it asks for news.
CURATION_MAX_AGE = timedelta(seconds=1)

# In days; 0: for ever.
RETAIN_RAW_ANSWERS_DAYS = ENV.retain_raw_answers_days
RETAIN_PROMPTS_DAYS = ENV.retain_prompts_days
RETAIN_SIMULATIONS_DAYS = ENV.retain_simulations_days
RETAIN_AUDIT_DAYS = ENV.retain_audit_days

# --- Celery -----------------------------------------------------------------------------------

CELERY_BROKER_URL = ENV.celery_broker_url
EMBEDDED_BROKER = CELERY_BROKER_URL.startswith("memory:")
CELERY_BROKER_CONNECTION_RETRY_ON_STARTUP = True
CELERY_BROKER_CONNECTION_MAX_RETRIES = None  # for ever: a worker waits for its broker
CELERY_BROKER_TRANSPORT_OPTIONS = {"polling_interval": 0.05} if EMBEDDED_BROKER else {}
CELERY_TASK_IGNORE_RESULT = True
CELERY_WORKER_PREFETCH_MULTIPLIER = 1
CELERY_WORKER_HIJACK_ROOT_LOGGER = False
CELERY_BEAT_SCHEDULE = {
    "advance-due": {
        "task": "simulations.tasks.advance_due",
        "schedule": timedelta(seconds=0.5),
        "options": {"expires": 5},
    },
    "tend-data": {
        "task": "simulations.tasks.tend_data",
        "schedule": timedelta(minutes=1),
        "options": {"expires": 30},
    },
}

# --- Cache and throttles ------------------------------------------------------------------------

if ENV.cache_url.startswith("memory:"):
    CACHES = {
        "default": {
            "BACKEND": "django.core.cache.backends.locmem.LocMemCache",
            "OPTIONS": {"MAX_ENTRIES": 100_000},
        }
    }
else:
    CACHES = {
        "default": {
            "BACKEND": "django.core.cache.backends.redis.RedisCache",
            "LOCATION": ENV.cache_url,
            "KEY_PREFIX": "sitrep",
            "OPTIONS": {"socket_connect_timeout": 0.5, "socket_timeout": 0.5},
        }
    }
THROTTLE_USER = ENV.throttle_user
THROTTLE_TOKEN = ENV.throttle_token
THROTTLE_ADDRESS = ENV.throttle_address
THROTTLE_SUBMISSIONS = ENV.throttle_submissions
THROTTLE_REPLAYS = ENV.throttle_replays

# --- API --------------------------------------------------------------------------------------

REST_FRAMEWORK = {
    "DEFAULT_AUTHENTICATION_CLASSES": [
        "accounts.authentication.ApiTokenAuthentication",
        "rest_framework.authentication.SessionAuthentication",
    ],
    "DEFAULT_PERMISSION_CLASSES": ["accounts.permissions.IsSignedIn"],
    "DEFAULT_THROTTLE_CLASSES": ["accounts.throttles.RequestThrottle"],
    "DEFAULT_RENDERER_CLASSES": ["rest_framework.renderers.JSONRenderer"],
    "DEFAULT_PARSER_CLASSES": ["config.parsers.Utf8JsonParser"],
    "EXCEPTION_HANDLER": "config.errors.api_exception_handler",
    "DEFAULT_SCHEMA_CLASS": "config.openapi.ApiSchema",
}
SPECTACULAR_SETTINGS = {
    "TITLE": "Sitrep API",
    "DESCRIPTION": "Submit a question, ask how it stands, read the answer. "
    "docs/api.md is a client to copy.",
    "VERSION": "1",
    "OAS_VERSION": "3.1.0",
    "SCHEMA_PATH_PREFIX": "/api/v1",
    "COMPONENT_SPLIT_REQUEST": True,
    # They are for those who read the code: a view says in `extend_schema` what clients are to know.
    "DISABLE_DOCSTRING_DESCRIPTIONS": True,
    "PREPROCESSING_HOOKS": ["config.openapi.only_the_api"],
    "POSTPROCESSING_HOOKS": ["config.openapi.add_shared_components"],
}

# --- Security ---------------------------------------------------------------------------------

CONTENT_SECURITY_POLICY = {
    "DIRECTIVES": {
        "default-src": ["'none'"],
        "script-src": ["'self'"],
        "style-src": ["'self'"],
        "img-src": ["'self'", "data:"],
        "font-src": ["'self'"],
        "connect-src": ["'self'"],
        "form-action": ["'self'"],
        "base-uri": ["'none'"],
        "object-src": ["'none'"],
        "frame-ancestors": ["'none'"],
    }
}
CSRF_FAILURE_VIEW = "simulations.kept_questions.csrf_failure"
CSRF_COOKIE_HTTPONLY = True
# No cookie of its own.
MESSAGE_STORAGE = "django.contrib.messages.storage.session.SessionStorage"
if FRONTEND_URL.startswith("https://"):
    # No other host of the domain, and nobody without TLS, can plant a cookie of these names.
    SESSION_COOKIE_NAME = "__Host-sessionid"
    CSRF_COOKIE_NAME = "__Host-csrftoken"
    SESSION_COOKIE_SECURE = True
    CSRF_COOKIE_SECURE = True
    SECURE_SSL_REDIRECT = True
    # Probes are answered as they come, programs refused: see config.refusals.
    SECURE_REDIRECT_EXEMPT = [r"^healthz$", r"^readyz$", r"^api/", r"^webhooks/", r"^metrics$"]
    SECURE_HSTS_SECONDS = 31_536_000
    SECURE_HSTS_INCLUDE_SUBDOMAINS = True
    # Preloading binds the whole domain for years: its owner's decision, not an application's.
    SILENCED_SYSTEM_CHECKS = ["security.W021"]
TRUST_PROXY = ENV.trust_proxy
if TRUST_PROXY:
    SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https")

# 100,000 characters of a query, each of at most 12 bytes in a form.
DATA_UPLOAD_MAX_MEMORY_SIZE = 1_500_000
# An import of 20 MB, and what a form puts around it.
LARGEST_UPLOAD = 20_100_000

# --- The rest ---------------------------------------------------------------------------------

LANGUAGE_CODE = "en"
TIME_ZONE = "UTC"
USE_I18N = False

STATIC_URL = "static/"
STATIC_ROOT = BASE_DIR / "var" / "static"
STATICFILES_DIRS = [BASE_DIR / "static"]
WHITENOISE_ALLOW_ALL_ORIGINS = False  # no other site needs them
STORAGES = {
    "default": {"BACKEND": "django.core.files.storage.FileSystemStorage"},
    "staticfiles": {"BACKEND": "whitenoise.storage.CompressedManifestStaticFilesStorage"},
}

# What people wrote stays out of production's lines; a developer wants to see the messages.
LOGGING = logging_config(ENV.log_level, for_machines=ENV.is_production)
if ENV.is_production:
    log_uncaught_errors()

"""Secrets that no report, page, log or JSON may show: under forty names, and in every part of a URL."""

from __future__ import annotations

PLANTED = "s3cr3t-Pa55-0123456789"
NAMES = [
    *("PASSWORD", "DB_PASSWORD", "db_passwd", "PGPASSWORD", "passphrase", "MYSQL_PWD", "SECRET", "SECRET_KEY"),
    *("clientSecret", "API_KEY", "apiKey", "STRIPE_SK", "ACCESS_TOKEN", "GITHUB_TOKEN", "JWT", "SESSION_COOKIE"),
    *("SENTRY_DSN", "SALT", "PRIVATE_KEY", "SIGNING_KEY", "CREDENTIALS", "AWS_SECRET_ACCESS_KEY", "AUTH", "PIN"),
    *("WEBHOOK", "GREETING", "X", "MASTER", "LICENSE", "COMFYUI_EXTRA", "NOTE", "DOOR", "SEED_PHRASE", "HEADER"),
    *("PGPASS", "OTP", "SLACK_HOOK", "CONNECTION_STRING", "HINT", "ENCRYPTION_KEY"),
]
"""Secrets are called anything."""
URLS = [
    "redis://:{}@localhost:6379/0",
    "redis://default:{}@localhost:6379/0",
    "postgresql+psycopg://me:{}@db.example/genonaut?sslmode=require",
    "amqp://{}@broker.example//",
    "https://{}@sentry.example/42",
    "https://hooks.example.com/services/T0/B0/{}",
    "https://example.com/picture?token={}",
    "https://example.com/picture?size=1&sig={}#{}",
    "https://example.com/#{}",
    "sqlite:////data/jobs.db?password={}",
    "redis://:pa/{}@localhost:6379/0",
    "redis://:pa#{}@localhost:6379/0",
    "redis://:{}@localhost:port/0",
]
"""Each with one place or more for the secret."""

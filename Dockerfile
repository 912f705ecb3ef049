# One image for web, worker and beat; docker-compose.yml says which command each runs.
FROM python:3.13.7-slim-bookworm AS build
WORKDIR /app
COPY requirements.txt constraints.txt ./
RUN python -m venv /venv \
    && /venv/bin/pip install --no-cache-dir -r requirements.txt -c constraints.txt
COPY . .
# APP_ENV=test: collecting assets needs no secret, no database and no key.
RUN APP_ENV=test DJANGO_SECRET_KEY=only-to-collect-assets-nothing-is-signed \
    /venv/bin/python manage.py collectstatic --noinput

FROM python:3.13.7-slim-bookworm
ENV PATH=/venv/bin:$PATH PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1 APP_ENV=production
RUN useradd --system --uid 10001 --home /app sitrep
WORKDIR /app
COPY --from=build /venv /venv
COPY --from=build /app /app
USER 10001
EXPOSE 3001
# Docker decides who reaches a container's port.
ENV BIND=0.0.0.0
CMD ["gunicorn", "config.wsgi", "--workers", "2", "--threads", "4", "--no-control-socket"]

ARG PYTHON_IMAGE=python:3.11-slim-bookworm
ARG CADDY_IMAGE=caddy:2

FROM ${PYTHON_IMAGE} AS packages
COPY requirements.txt /requirements.txt
RUN python -m venv /packages \
    && /packages/bin/pip install --no-cache-dir --require-hashes --no-deps -r /requirements.txt

FROM ${CADDY_IMAGE} AS proxy
COPY --chmod=0644 deploy/Caddyfile /etc/caddy/Caddyfile

FROM ${PYTHON_IMAGE} AS service
RUN useradd --system --uid 10001 --no-create-home --shell /usr/sbin/nologin live
ENV PATH=/packages/bin:$PATH \
    PYTHONUNBUFFERED=1 \
    DJANGO_SETTINGS_MODULE=console.settings \
    DATA_DIR=/app/data
COPY --from=packages /packages /packages
WORKDIR /app
# Whatever the umask of the checkout was, the image's user reads the files.
COPY --chmod=0755 . .
# The values are for this one command, which talks to no engine.
RUN SECRET_KEY=only-while-building DATABASE_URL=postgresql:///none python manage.py collectstatic --noinput
USER 10001
EXPOSE 8000
HEALTHCHECK --interval=15s --timeout=5s --start-period=30s \
    CMD ["python", "-c", "import urllib.request as u; u.urlopen('http://127.0.0.1:8000/livez', timeout=4)"]
CMD ["python", "manage.py", "serve", "--host", "0.0.0.0", "--port", "8000"]

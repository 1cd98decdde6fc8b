"""Composition root and browser: settings, the ASGI application, the ingest lane, the live feed, the pages."""

from console.celery import app as celery_app

__all__ = ["celery_app"]

"""Settings of one check in .ci/run: each app's migrations form one line, its newest named in max_migration.txt."""

from console.settings import *  # noqa: F403

INSTALLED_APPS += ["django_linear_migrations"]  # noqa: F405

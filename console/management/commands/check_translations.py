"""No untranslated text in either language: fails when the catalogue and the sources differ."""

from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError

from console.text.translations import complaints


class Command(BaseCommand):
    help = "Fail if a text of ours is untranslated or fuzzy, or if makemessages would change the set of texts."

    def handle(self, *args: Any, **options: Any) -> None:
        """English is the language of the sources; every other has a catalogue."""
        wrong = [
            f"{language}: {complaint}"
            for language, _ in settings.LANGUAGES
            if language != settings.LANGUAGE_CODE
            for complaint in complaints(settings.BASE_DIR, language)
        ]
        if wrong:
            raise CommandError("\n".join(wrong))
        self.stdout.write("Every text is translated.")

"""An org's holidays: Indonesia's with collective leave, copied into a table that is its own."""

from datetime import date

import pytest
from django.core.management import CommandError, call_command
from django_scopes import scope

from orgs.models import Holiday
from orgs.public_holidays import copy_holidays, public_holidays, years_without_holidays
from tests.factories import OrgFactory


def test_indonesia_with_collective_leave_in_the_orgs_language():
    found = public_holidays([2026], "id")
    assert found[date(2026, 8, 17)] == "Hari Kemerdekaan Republik Indonesia"
    assert found[date(2026, 3, 23)].startswith("Cuti Bersama")
    assert public_holidays([2026], "en")[date(2026, 12, 25)] == "Christmas Day"


@pytest.mark.django_db
def test_what_the_org_changed_stays_and_copying_again_adds_nothing():
    org, other = OrgFactory(), OrgFactory()
    with scope(org=[org.pk, other.pk]):
        Holiday.objects.create(org=org, date=date(2026, 8, 17), name="We work")
        assert copy_holidays(org, [2026]) == len(public_holidays([2026], "en")) - 1
        assert copy_holidays(org, [2026]) == 0
        assert Holiday.objects.get(org=org, date=date(2026, 8, 17)).name == "We work"
        assert not Holiday.objects.filter(org=other)
        assert years_without_holidays(org, date(2026, 12, 1)) == [2027]
        assert years_without_holidays(other, date(2026, 12, 1)) == []


@pytest.mark.django_db
def test_the_shell_copies_them(capsys):
    org = OrgFactory()
    call_command("holidays", "copy", "--org", org.external_id, "--year", "2026")
    assert "holidays added" in capsys.readouterr().out
    with pytest.raises(CommandError):
        call_command("holidays", "copy", "--org", "nobody")
    with pytest.raises(CommandError):
        call_command("holidays", "copy", "--org", org.external_id, "--year", "1")

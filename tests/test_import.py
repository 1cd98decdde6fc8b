"""Assignments from CSV: what is read, what is refused and how it is said, all or nothing."""

from typing import Any

import pytest
from django_scopes import scope, scopes_disabled

from orgs import imports
from orgs.models import Assignment, Org, SupervisorRole, User
from tests.factories import AssignmentFactory, OrgFactory, UserFactory

HEADER = "org,role,tier,sso_id,external_user_id,name,locale\n"

pytestmark = pytest.mark.usefixtures("system")


@pytest.fixture
def melati(db: None) -> Org:
    return OrgFactory(external_id="melati")


def outcome(text: str | bytes, dry_run: bool = False) -> list[tuple[int, str]]:
    content = text if isinstance(text, bytes) else text.encode()
    return [(line.number, line.outcome) for line in imports.run(content, dry_run=dry_run).lines]


def refusal(text: str) -> str:
    lines = imports.run((HEADER + text).encode(), dry_run=False).lines
    refused = [line for line in lines if line.outcome == imports.REFUSED]
    assert len(refused) == 1
    return refused[0].said


def test_roles_people_and_assignments_are_made(melati: Org) -> None:
    assert outcome(HEADER + "melati,Leads,2,rina,77,Rina,id\n") == [(2, "added")]

    made = Assignment.objects.get()
    assert (made.org, made.role.name, made.role.tier) == (melati, "Leads", 2)
    assert (made.user.sso_id, made.user.name, made.user.locale, made.external_user_id) == ("rina", "Rina", "id", "77")
    assert not made.user.has_usable_password()


def test_the_same_file_again_changes_nothing(melati: Org) -> None:
    text = HEADER + "melati,Leads,2,rina,77,Rina,id\n"
    outcome(text)
    assert outcome(text) == [(2, "unchanged")]
    assert Assignment.objects.count() == SupervisorRole.objects.count() == User.objects.count() == 1


def test_tier_name_and_external_id_are_changed(melati: Org) -> None:
    outcome(HEADER + "melati,Leads,2,rina,77,Rina,id\n")
    result = imports.run((HEADER + "melati,Leads,1,rina,78,Rina W,en\n").encode(), dry_run=False)

    assert [line.outcome for line in result.lines] == ["changed"]
    made = Assignment.objects.get()
    assert (made.role.tier, made.user.name, made.user.locale, made.external_user_id) == (1, "Rina W", "en", "78")


def test_empty_cells_leave_what_is_there(melati: Org) -> None:
    outcome(HEADER + "melati,Leads,2,rina,77,Rina,id\n")
    assert outcome("org,role,tier,sso_id\nmelati,Leads,2,rina\n") == [(2, "unchanged")]


def test_a_dry_run_says_the_same_and_writes_nothing(melati: Org) -> None:
    assert outcome(HEADER + "melati,Leads,2,rina,,,\n", dry_run=True) == [(2, "added")]
    assert not Assignment.objects.exists() and not User.objects.exists()


def test_one_refused_line_refuses_all(melati: Org) -> None:
    text = HEADER + "melati,Leads,2,rina,,,\nnobody,Leads,2,bayu,,,\n"
    assert outcome(text) == [(2, "added"), (3, "refused")]
    assert not Assignment.objects.exists() and not User.objects.exists()


def test_bom_semicolons_and_crlf_are_read(melati: Org) -> None:
    text = "\ufefforg;role;tier;sso_id\r\nmelati;Leads;1;rina\r\n\r\nmelati;Leads;1;bayu\r\n"
    assert outcome(text) == [(2, "added"), (4, "added")]


def test_another_orgs_rows_stay_as_they_are(melati: Org) -> None:
    other = AssignmentFactory(role__name="Leads", role__tier=3)
    outcome(HEADER + f"melati,Leads,1,{other.user.sso_id},,,\n")
    other.role.refresh_from_db()
    assert other.role.tier == 3
    assert Assignment.objects.filter(org=other.org).count() == 1


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("nowhere,Leads,1,rina,,,\n", "There is no org nowhere."),
        ("melati,Leads,first,rina,,,\n", "tier 'first' is not a number from 1 to 99."),
        ("melati,Leads,0,rina,,,\n", "tier '0' is not a number from 1 to 99."),
        ("melati,Leads,1,,,,\n", "sso_id is empty."),
        ("melati,Leads,1,rina,,,fr\n", "locale 'fr' is not one of en, id."),
        (f"melati,Leads,1,{'x' * 201},,,\n", "sso_id is longer than 200 characters."),
        ("melati,Leads,1,ri\0na,,,\n", "sso_id contains a control character such as NUL or a line break."),
        ("mel\0ati,Leads,1,rina,,,\n", "org contains a control character such as NUL or a line break."),
        ("melati,Leads,1,rina,,,\nmelati,Leads,1,rina,,,\n", "It is the same as line 2."),
        ("melati,Leads,1,rina,,,\nmelati,Leads,2,bayu,,,\n", "tier of Leads is 1 in line 2."),
        ("melati,Leads,1,rina,7,,\nmelati,Leads,1,bayu,7,,\n", "sso_id of 7 is rina in line 2."),
        ("melati,A,1,rina,,Rina,\nmelati,B,1,rina,,Rita,\n", "name of rina is Rina in line 2."),
    ],
)
def test_a_line_is_refused_with_its_reason(melati: Org, line: str, said: str) -> None:
    assert refusal(line) == said


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "The file is empty."),
        (b"\xef\xbb\xbf  \n", "The file is empty."),
        (HEADER.encode(), "The file has a header and no lines."),
        ("org,role,tier,sso_id\nmélati,a,1,b\n".encode("latin-1"), "The file is not UTF-8"),
        ("org,role,tier,sso_id\nmelati,a,1,b\n".encode("utf-16"), "The file is not UTF-8"),
        (b"org,role,tier\na,b,1\n", "The column sso_id is missing."),
        (b"org,role,tier,sso_id,salary\na,b,1,c,9\n", "There is no column 'salary'"),
        (b"org,role,tier,sso_id,org\na,b,1,c,9\n", "The column org is there twice."),
        (b"org,role,tier,sso_id\na,b,1\n", "Line 2 has 3 cells, the header has 4."),
        (b'org,role,tier,sso_id\na,"b,1,c\n', "The file is not CSV"),
        (b"org,role,tier,sso_id\n" + b"x" * 200_000 + b",b,1,c\n", "The file is not CSV"),
        (b"x" * (imports.MOST_BYTES + 1), "The file is larger than 1 MiB"),
        (b"org,role,tier,sso_id\n" + b"a,b,1,c\n" * 5_001, "The file has more than 5000 lines"),
    ],
)
def test_a_file_is_refused_with_one_sentence(db: None, content: bytes, said: str) -> None:
    with pytest.raises(imports.Unreadable, match=said.replace("(", r"\(")):
        imports.run(content, dry_run=False)


def test_an_export_is_read_again_unchanged_and_holds_no_formula(melati: Org) -> None:
    person = UserFactory(sso_id="=cmd", name='+1;"x", y', locale="id")
    AssignmentFactory(org=melati, role__name="@Leads", user=person, external_user_id="-5")
    rows = Assignment.objects.select_related("org", "role", "user")

    text = "".join(imports.export_assignments(rows))

    assert text == f'{",".join(imports.COLUMNS)}\r\nmelati,\'@Leads,1,\'=cmd,\'-5,"\'+1;""x"", y",id,always,\r\n'
    assert outcome(text) == [(2, "unchanged")]


def test_the_digest_tells_another_outcome(melati: Org) -> None:
    content = (HEADER + "melati,Leads,2,rina,,,\n").encode()
    before = imports.run(content, dry_run=True).digest
    assert imports.run(content, dry_run=True).digest == before
    imports.run(content, dry_run=False)
    assert imports.run(content, dry_run=True).digest != before


def test_an_import_within_the_scope_of_a_specialist(melati: Org) -> None:
    with scope(org=None):
        assert outcome(HEADER + "melati,Leads,2,rina,,,\n") == [(2, "added")]
    with scopes_disabled():
        assert Assignment.objects.count() == 1


def test_many_lines_cost_few_queries(melati: Org, django_assert_max_num_queries: Any) -> None:
    lines = "".join(f"melati,Leads,1,person-{n},,,\n" for n in range(200))
    with django_assert_max_num_queries(20):
        imports.run((HEADER + lines).encode(), dry_run=False)
    assert Assignment.objects.count() == 200


def test_hours_and_absence_are_read_and_written_again(melati: Org) -> None:
    header = "org,role,tier,sso_id,duty,away_until\n"
    line = 'melati,Leads,1,rina,"{}",{}\n'
    hours = "1-5 08:00-17:00; 6,7 22:00-06:00 holidays off"
    typed = line.format("1,2-5 8-17.00;6,7 22:00\u201306:00  Holidays OFF", "2026-12-24T01:00:00Z")
    assert outcome(header + typed) == [(2, "added")]
    rows = Assignment.objects.select_related("org", "role", "user")
    exported = "".join(imports.export_assignments(rows))
    assert f'"{hours}",2026-12-24T01:00:00.000000Z' in exported
    assert outcome(exported) == [(2, "unchanged")]
    assert outcome(header + line.format("", "")) == [(2, "unchanged")]
    assert outcome(header + line.format("always", "none")) == [(2, "changed")]
    one = Assignment.objects.get()
    assert (one.duty, one.away_until) == ([], None)
    for cell, said in [
        ("24:00-08:00", "“24:00-08:00” is not written like 1-5 08:00-17:00."),
        ("1-5 08:00-24:00", "This is not a time from 00:00 to 23:59."),
        ("5-1 08:00-17:00", "“5-1” is no row of days."),
        ("1 08:00-08:00", "It ends when it begins. A day is 00:00 to 12:00 and 12:00 to 00:00."),
    ]:
        (refused,) = imports.run((header + line.format(cell, "")).encode(), dry_run=True).lines
        assert (refused.outcome, refused.said) == ("refused", said)
    (refused,) = imports.run((header + line.format("", "tomorrow")).encode(), dry_run=True).lines
    assert "away_until must be a time" in refused.said

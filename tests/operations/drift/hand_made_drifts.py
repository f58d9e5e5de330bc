"""Drifts of the stock project made by hand: what is found, and what puts it right."""

from dataclasses import dataclass

from django.db import connections

from tests.operations.projects.project import Project

Found = set[tuple[str, str, str]]

NOTE = ("column", "forsaken", "undeclared")  # taken out of the state alone
LONG = ("thing_" + "long_" * 13)[:63]


@dataclass(frozen=True, slots=True)
class Drift:
    """SQL done by hand, and what is then found beside the NOTE."""

    sql: str
    found: Found

    def __str__(self) -> str:
        return self.sql[:60]


INVALID = "UPDATE pg_index SET indisvalid = false WHERE indexrelid = '{}'::regclass"

# What --repair puts right, and what the printed SQL does.
REPAIRED = [
    Drift("DROP TABLE django_redirect", {("table", "django_redirect", "missing")}),
    Drift("DROP TABLE auth_user_groups", {("table", "auth_user_groups", "missing")}),
    Drift("ALTER TABLE auth_user DROP last_login", {("column", "last_login", "missing")}),
    Drift(
        "ALTER TABLE shop_things DROP loud",
        {("column", "loud", "missing")},
    ),
    Drift(
        "ALTER TABLE crate_crate DROP height",
        {
            ("column", "height", "missing"),
            ("unique", "crate_unique", "missing"),
            ("check", "crate_check", "missing"),
        },
    ),
    Drift(
        "ALTER TABLE auth_group_permissions DROP CONSTRAINT "
        "auth_group_permissions_group_id_b120cbf9_fk_auth_group_id",
        {("foreign key", "group_id", "missing")},
    ),
    Drift(
        "ALTER TABLE auth_permission DROP CONSTRAINT "
        "auth_permission_content_type_id_2f476e4b_fk_django_co, ADD CONSTRAINT by_hand FOREIGN KEY "
        "(content_type_id) REFERENCES django_content_type NOT VALID",
        {("foreign key", "by_hand", "unfinished")},
    ),
    Drift(
        "ALTER TABLE django_admin_log DROP CONSTRAINT django_admin_log_action_flag_check",
        {("check", "django_admin_log_action_flag_check", "missing")},
    ),
    Drift(
        f"ALTER TABLE shop_things DROP CONSTRAINT {LONG}",
        {("check", LONG, "missing")},
    ),
    Drift(
        "ALTER TABLE shop_things DROP CONSTRAINT thing_amount, ADD CONSTRAINT thing_amount "
        "CHECK (amount < 1000 OR kind IN ('big', 'huge')) NOT VALID",
        {("check", "thing_amount", "unfinished")},
    ),
    Drift(
        "DROP INDEX django_session_expire_date_a5c62663",
        {("index", "django_session_expire_date_a5c62663", "missing")},
    ),
    Drift(
        "DROP INDEX auth_user_username_6821ab7c_like",
        {("index", "auth_user_username_6821ab7c_like", "missing")},
    ),
    Drift("DROP INDEX thing_lower", {("index", "thing_lower", "missing")}),
    Drift(INVALID.format("thing_partial"), {("index", "thing_partial", "unfinished")}),
    Drift("DROP INDEX crate_weight", {("index", "crate_weight", "missing")}),
    Drift(
        "ALTER TABLE django_site DROP CONSTRAINT django_site_domain_a2e37b91_uniq",
        {("unique", "django_site_domain_a2e37b91_uniq", "missing")},
    ),
    Drift(
        "ALTER TABLE auth_permission DROP CONSTRAINT "
        "auth_permission_content_type_id_codename_01ab375a_uniq",
        {("unique", "auth_permission_content_type_id_codename_01ab375a_uniq", "missing")},
    ),
    Drift("DROP INDEX thing_one", {("unique", "thing_one", "missing")}),
    Drift(
        "ALTER TABLE shop_things DROP CONSTRAINT thing_deferred",
        {("unique", "thing_deferred", "missing")},
    ),
    Drift(
        "ALTER TABLE shop_things DROP CONSTRAINT thing_nulls;"
        "CREATE UNIQUE INDEX thing_nulls ON shop_things (tiny, born) NULLS NOT DISTINCT",
        {("unique", "thing_nulls", "unfinished")},
    ),
    Drift(
        "ALTER TABLE shop_things DROP CONSTRAINT thing_during",
        {("exclusion", "thing_during", "missing")},
    ),
    Drift("DROP TYPE crate_size", {("enum", "crate_size", "missing")}),
]

# What --repair --replace puts right.
REPLACED = [
    Drift("ALTER TABLE auth_user ALTER email DROP NOT NULL", {("column", "email", "different")}),
    Drift(
        "ALTER TABLE crate_crate DROP CONSTRAINT crate_check, "
        "ADD CONSTRAINT crate_check CHECK (height > 1)",
        {("check", "crate_check", "different")},
    ),
    Drift(
        "DROP INDEX thing_lower; CREATE INDEX thing_lower ON shop_things (amount)",
        {("index", "thing_lower", "different")},
    ),
    Drift(
        "DROP INDEX crate_weight; CREATE INDEX crate_weight ON crate_crate (weight DESC)",
        {("index", "crate_weight", "different")},
    ),
    Drift(
        "ALTER TABLE crate_crate DROP CONSTRAINT crate_unique, "
        "ADD CONSTRAINT crate_unique UNIQUE (height)",
        {("unique", "crate_unique", "different")},
    ),
]

# What a person decides.
LEFT_TO_A_PERSON = [
    Drift(
        "ALTER TABLE auth_user ALTER first_name TYPE varchar(100)",
        {("column", "first_name", "different")},
    ),
    Drift(
        "ALTER TABLE auth_user ALTER is_staff SET DEFAULT true",
        {("column", "is_staff", "different")},
    ),
    Drift(
        "ALTER TABLE django_flatpage_sites DROP CONSTRAINT django_flatpage_sites_pkey",
        {("table", "django_flatpage_sites", "different")},
    ),
    Drift(
        "DROP TABLE django_session; CREATE VIEW django_session AS SELECT 1 AS session_key",
        {("table", "django_session", "different")},
    ),
    Drift(
        "ALTER TABLE django_redirect DROP CONSTRAINT django_redirect_site_id_c3e37341_fk_django_site_id, "
        "ADD CONSTRAINT elsewhere FOREIGN KEY (site_id) REFERENCES auth_group",
        {("foreign key", "elsewhere", "different")},
    ),
    Drift(
        "ALTER TABLE shop_things DROP CONSTRAINT thing_during, "
        "ADD CONSTRAINT thing_during EXCLUDE USING gist (during WITH -|-)",
        {("exclusion", "thing_during", "different")},
    ),
    Drift(
        "DROP TYPE crate_size; CREATE TYPE crate_size AS ENUM ('large', 'small', 'huge')",
        {("enum", "crate_size", "different")},
    ),
    Drift("ALTER TABLE shop_things ADD obsolete integer", {("column", "obsolete", "leftover")}),
    Drift("CREATE INDEX thing_to_go ON shop_things (kind)", {("index", "thing_to_go", "leftover")}),
    Drift("CREATE TABLE shop_gone (id int)", {("table", "shop_gone", "leftover")}),
]

# Notes, which are no findings.
UNDECLARED = [
    Drift("ALTER TABLE auth_user ADD extra integer", {("column", "extra", "undeclared")}),
    Drift("ALTER TABLE crate_crate ADD later integer", {("column", "later", "undeclared")}),
    Drift("CREATE INDEX again ON django_session (expire_date)", {("index", "again", "undeclared")}),
    Drift(
        "ALTER TABLE auth_group ADD CONSTRAINT further CHECK (id > 0)",
        {("check", "further", "undeclared")},
    ),
    Drift(
        "ALTER TABLE auth_group ADD CONSTRAINT further UNIQUE (id, name)",
        {("unique", "further", "undeclared")},
    ),
    Drift(
        "ALTER TABLE auth_user ADD CONSTRAINT further FOREIGN KEY (id) REFERENCES auth_user",
        {("foreign key", "further", "undeclared")},
    ),
]


def apply_drifts(stock_project: Project, drifts: list[Drift]) -> Found:
    """Make all the drifts that the server knows in one database; return what is then found."""
    if connections[stock_project.database.alias].pg_version < 150000:  # type: ignore[attr-defined]
        drifts = [drift for drift in drifts if "NULLS NOT DISTINCT" not in drift.sql]
    for drift in drifts:
        stock_project.psql(drift.sql)
    return {found for drift in drifts for found in drift.found} | {NOTE}


def add_rows(stock_project: Project) -> None:
    """Insert rows, so that nothing is built in one transaction as in an empty table."""
    stock_project.psql(
        "INSERT INTO auth_user (username, password, first_name, last_name, email, is_superuser, is_staff,"
        " is_active, date_joined) VALUES ('u', '', '', '', '', false, false, true, now());"
        "INSERT INTO django_session VALUES ('k', '', now());"
        "INSERT INTO crate_crate (weight, height) VALUES (1, 2), (2, 3)"
    )


def without_conflicts(drifts: list[Drift]) -> list[Drift]:
    """Return the drifts that drop nothing on which another one works."""
    return [each for each in drifts if "DROP height" not in each.sql]

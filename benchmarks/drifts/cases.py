"""The drifts as data: what is done by hand to the migrated database of the project `shop`."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Drift:
    """A row of the table.

    what: of the table, in words. sql: what makes it. names: one of them stands in an answer that tells
    it: what drifted, or the column that it is on. since: the first major version of PostgreSQL that can
    do it. is_drift: False for a control, which is right as it is.
    """

    what: str
    sql: str
    names: tuple[str, ...]
    since: int = 15
    is_drift: bool = True


PRICE = "ALTER TABLE shop_product DROP CONSTRAINT product_price"
BRAND_KEY = "shop_product_brand_id_505fec11_fk_shop_brand_id"
TO_BRAND = (
    f"ALTER TABLE shop_product DROP CONSTRAINT {BRAND_KEY}, ADD CONSTRAINT {BRAND_KEY} FOREIGN KEY"
)
SKU = "ALTER TABLE shop_product DROP CONSTRAINT shop_product_sku_key"
BRAND_INDEX = "DROP INDEX product_brand_created; CREATE INDEX product_brand_created ON shop_product"
OFFER = "ALTER TABLE shop_product DROP CONSTRAINT product_offer, ADD CONSTRAINT product_offer"
TOGETHER = "shop_product_brand_id_name_af9b8333_uniq"
ACTIVE = "DROP INDEX product_active; CREATE INDEX product_active ON shop_product"
GIN = "DROP INDEX product_gin; CREATE INDEX product_gin ON shop_product"

DRIFTS = (
    # Tables.
    Drift("table missing", "DROP TABLE shop_voucher", ("shop_voucher",)),
    Drift(
        "table of a ManyToManyField missing", "DROP TABLE shop_product_tags", ("shop_product_tags",)
    ),
    Drift(
        "table of a third party's app missing",
        "DROP TABLE taggit_taggeditem",
        ("taggit_taggeditem",),
    ),
    Drift(
        "view in the place of the table",
        "ALTER TABLE shop_voucher RENAME TO vouchers; CREATE VIEW shop_voucher AS SELECT * FROM vouchers",
        ("shop_voucher",),
    ),
    Drift("table made UNLOGGED", "ALTER TABLE shop_voucher SET UNLOGGED", ("shop_voucher",)),
    Drift("comment of a table lost", "COMMENT ON TABLE shop_voucher IS NULL", ("shop_voucher",)),
    Drift(
        "comment of a column changed",
        "COMMENT ON COLUMN shop_voucher.note IS 'another'",
        ("note",),
    ),
    # Columns.
    Drift("column missing", "ALTER TABLE shop_product DROP is_active", ("is_active",)),
    Drift(
        "column renamed",
        "ALTER TABLE shop_product RENAME is_active TO active",
        ("is_active", "active"),
    ),
    Drift(
        "column of another type",
        "ALTER TABLE shop_order ALTER reference TYPE integer USING NULL",
        ("reference",),
    ),
    Drift(
        "varchar of another length",
        "ALTER TABLE auth_user ALTER first_name TYPE varchar(30)",
        ("first_name",),
    ),
    Drift(
        "varchar without a length",
        "ALTER TABLE shop_order ALTER reference TYPE varchar",
        ("reference",),
    ),
    Drift(
        "text in the place of varchar",
        "ALTER TABLE shop_order ALTER reference TYPE text",
        ("reference",),
    ),
    Drift(
        "numeric of another precision",
        "ALTER TABLE shop_product ALTER price TYPE numeric(8, 2)",
        ("price",),
    ),
    Drift(
        "numeric of another scale",
        "ALTER TABLE shop_product ALTER price TYPE numeric(10, 4)",
        ("price",),
    ),
    Drift(
        "integer in the place of bigint", "ALTER TABLE shop_brand ALTER id TYPE integer", ("id",)
    ),
    Drift(
        "timestamp without time zone",
        "ALTER TABLE auth_user ALTER last_login TYPE timestamp",
        ("last_login",),
    ),
    Drift(
        "json in the place of jsonb",
        ("DROP INDEX product_gin; ALTER TABLE shop_product ALTER attributes TYPE json;"),
        ("attributes",),
    ),
    Drift(
        "array of another type", "ALTER TABLE shop_product ALTER labels TYPE text[]", ("labels",)
    ),
    Drift("NOT NULL lost", "ALTER TABLE shop_product ALTER price DROP NOT NULL", ("price",)),
    Drift(
        "NOT NULL too much", "ALTER TABLE shop_order ALTER reference SET NOT NULL", ("reference",)
    ),
    Drift("default lost", "ALTER TABLE shop_product ALTER stock DROP DEFAULT", ("stock",)),
    Drift("default changed", "ALTER TABLE shop_product ALTER stock SET DEFAULT 1", ("stock",)),
    Drift(
        "default too much", "ALTER TABLE auth_user ALTER is_staff SET DEFAULT true", ("is_staff",)
    ),
    Drift(
        "declared collation lost",
        'ALTER TABLE shop_brand ALTER country TYPE varchar(2) COLLATE "default"',
        ("country",),
    ),
    Drift("identity lost", "ALTER TABLE shop_product ALTER id DROP IDENTITY", ("id",)),
    Drift(
        "identity of a bigint that ends as an integer",
        "ALTER SEQUENCE shop_product_id_seq AS integer",
        ("shop_product_id_seq",),
    ),
    Drift(
        "sequence of an old serial lost",
        "ALTER TABLE shop_brand ALTER id DROP IDENTITY; CREATE SEQUENCE numbers OWNED BY shop_brand.id;"
        "ALTER TABLE shop_brand ALTER id SET DEFAULT nextval('numbers'); DROP SEQUENCE numbers CASCADE",
        ("id",),
    ),
    Drift(
        "generated column a plain one",
        "ALTER TABLE shop_product ALTER label DROP EXPRESSION",
        ("label",),
    ),
    Drift(
        "generated by another expression",
        "ALTER TABLE shop_product DROP label, ADD label text GENERATED ALWAYS AS (lower(name)) STORED",
        ("label",),
    ),
    Drift("column too much", "ALTER TABLE shop_brand ADD hotfix integer", ("hotfix",)),
    # Primary keys.
    Drift(
        "primary key missing",
        "ALTER TABLE shop_order DROP CONSTRAINT shop_order_pkey",
        ("shop_order", "id"),
    ),
    Drift(
        "primary key on other columns",
        "ALTER TABLE shop_product_tags DROP CONSTRAINT shop_product_tags_pkey, "
        "ADD CONSTRAINT shop_product_tags_pkey PRIMARY KEY (product_id, tag_id)",
        ("shop_product_tags", "id"),
    ),
    # Foreign keys.
    Drift(
        "foreign key missing",
        f"ALTER TABLE shop_product DROP CONSTRAINT {BRAND_KEY}",
        (BRAND_KEY, "brand_id"),
    ),
    Drift(
        "foreign key to another table",
        f"{TO_BRAND} (brand_id) REFERENCES auth_user",
        (BRAND_KEY, "brand_id"),
    ),
    Drift(
        "foreign key NOT VALID",
        f"{TO_BRAND} (brand_id) REFERENCES shop_brand NOT VALID",
        (BRAND_KEY, "brand_id"),
    ),
    Drift(
        "foreign key NOT ENFORCED",
        f"{TO_BRAND} (brand_id) REFERENCES shop_brand NOT ENFORCED",
        (BRAND_KEY, "brand_id"),
        since=18,
    ),
    Drift(
        "foreign key whose triggers are disabled",
        "ALTER TABLE shop_product DISABLE TRIGGER ALL",
        (BRAND_KEY, "brand_id"),
    ),
    Drift(
        "foreign key of a third party's app missing",
        "ALTER TABLE taggit_taggeditem DROP CONSTRAINT taggit_taggeditem_tag_id_f4f5b767_fk_taggit_tag_id",
        ("tag_id",),
    ),
    Drift(
        "foreign key too much",
        "ALTER TABLE shop_order ADD CONSTRAINT hotfix FOREIGN KEY (reference) REFERENCES shop_brand (code)",
        ("hotfix", "reference"),
    ),
    # Checks.
    Drift("check missing", PRICE, ("product_price", "price")),
    Drift(
        "check of another condition",
        f"{PRICE}, ADD CONSTRAINT product_price CHECK (price > -1)",
        ("product_price", "price"),
    ),
    Drift(
        "check NOT VALID",
        f"{PRICE}, ADD CONSTRAINT product_price CHECK (price >= 0) NOT VALID",
        ("product_price", "price"),
    ),
    Drift(
        "check NOT ENFORCED",
        f"{PRICE}, ADD CONSTRAINT product_price CHECK (price >= 0) NOT ENFORCED",
        ("product_price", "price"),
        since=18,
    ),
    Drift(
        "check of a PositiveIntegerField missing",
        "ALTER TABLE shop_product DROP CONSTRAINT shop_product_stock_13f80a32_check",
        ("stock",),
    ),
    Drift(
        "check too much",
        "ALTER TABLE shop_brand ADD CONSTRAINT hotfix CHECK (country <> '')",
        ("hotfix",),
    ),
    # Uniqueness and exclusion.
    Drift("unique of a field missing", SKU, ("sku",)),
    Drift(
        "unique_together missing",
        f"ALTER TABLE shop_product DROP CONSTRAINT {TOGETHER}",
        (TOGETHER, "brand_id"),
    ),
    Drift(
        "UniqueConstraint missing",
        "ALTER TABLE shop_product DROP CONSTRAINT product_name_created",
        ("product_name_created", "created"),
    ),
    Drift(
        "unique of a part of the rows only",
        f"{SKU}; CREATE UNIQUE INDEX shop_product_sku_key ON shop_product (sku) WHERE is_active",
        ("sku",),
    ),
    Drift(
        "unique of all in the place of a part",
        "DROP INDEX product_one_sold_out; "
        "CREATE UNIQUE INDEX product_one_sold_out ON shop_product (brand_id)",
        ("product_one_sold_out", "brand_id"),
    ),
    Drift(
        "NULLS NOT DISTINCT lost",
        f"{OFFER} UNIQUE (brand_id, offered)",
        ("product_offer",),
    ),
    Drift(
        "unique made deferrable",
        f"{SKU}, ADD CONSTRAINT shop_product_sku_key UNIQUE (sku) DEFERRABLE INITIALLY DEFERRED",
        ("sku",),
    ),
    Drift(
        "unique too much",
        "ALTER TABLE shop_brand ADD CONSTRAINT hotfix UNIQUE (country)",
        ("hotfix", "country"),
    ),
    Drift(
        "exclusion missing",
        "ALTER TABLE shop_product DROP CONSTRAINT product_offered",
        ("product_offered", "offered"),
    ),
    Drift(
        "exclusion by another operator",
        "ALTER TABLE shop_product DROP CONSTRAINT product_offered, "
        "ADD CONSTRAINT product_offered EXCLUDE USING gist (offered WITH -|-)",
        ("product_offered", "offered"),
    ),
    # Indexes.
    Drift("index of db_index missing", "DROP INDEX shop_product_name_b8d5e94c", ("name",)),
    Drift(
        "index of a foreign key missing", "DROP INDEX shop_product_brand_id_505fec11", ("brand_id",)
    ),
    Drift("index for LIKE missing", "DROP INDEX shop_product_sku_20049d15_like", ("sku",)),
    Drift(
        "index missing", "DROP INDEX product_brand_created", ("product_brand_created", "created")
    ),
    Drift(
        "index on an expression missing", "DROP INDEX product_name_lower", ("product_name_lower",)
    ),
    Drift(
        "index of a failed build",
        "UPDATE pg_index SET indisvalid = false WHERE indexrelid = 'product_brand_created'::regclass",
        ("product_brand_created", "created"),
    ),
    Drift(
        "index on other columns",
        f"{BRAND_INDEX} (brand_id, sku)",
        ("product_brand_created", "created"),
    ),
    Drift(
        "index with its columns the other way round",
        f"{BRAND_INDEX} (created, brand_id)",
        ("product_brand_created", "created"),
    ),
    Drift(
        "index in another order",
        f"{BRAND_INDEX} (brand_id, created DESC)",
        ("product_brand_created", "created"),
    ),
    Drift(
        "index by another method",
        f"{BRAND_INDEX} USING brin (brand_id, created)",
        ("product_brand_created", "created"),
    ),
    Drift(
        "index of another operator class",
        f"{GIN} USING gin (attributes)",
        ("product_gin", "attributes"),
    ),
    Drift("index of all in the place of a part", f"{ACTIVE} (stock)", ("product_active",)),
    Drift("index of another part", f"{ACTIVE} (stock) WHERE NOT is_active", ("product_active",)),
    Drift(
        "index made unique",
        (
            "DROP INDEX product_brand_created; "
            "CREATE UNIQUE INDEX product_brand_created ON shop_product (brand_id, created)"
        ),
        ("product_brand_created", "created"),
    ),
    Drift(
        "index on another table",
        "DROP INDEX product_active; CREATE INDEX product_active ON shop_brand (code)",
        ("product_active",),
    ),
    Drift("index too much", "CREATE INDEX hotfix ON shop_brand (country)", ("hotfix", "country")),
    # Types.
    Drift("enum missing", "DROP TYPE shop_size", ("shop_size",)),
    Drift(
        "enum without a value",
        "DROP TYPE shop_size; CREATE TYPE shop_size AS ENUM ('small')",
        ("shop_size",),
    ),
    # Migrations.
    Drift(
        "migration faked: its column was not renamed",
        "ALTER TABLE shop_voucher RENAME expires TO until",
        ("expires",),
    ),
    Drift(
        "migration faked: its column was not dropped",
        "ALTER TABLE shop_product ADD colour varchar(20)",
        ("colour",),
    ),
    Drift(
        "migration faked: its types were not changed",
        "ALTER TABLE shop_product ALTER sku TYPE varchar(8)",
        ("sku",),
    ),
    Drift(
        "record of a migration lost",
        "DELETE FROM django_migrations WHERE app = 'shop' AND name = '0003_size'",
        ("0003_size", "note"),
    ),
    Drift(
        "record of a migration that the code lacks",
        "INSERT INTO django_migrations (app, name, applied) VALUES ('shop', '0004_rollback', now())",
        ("0004_rollback",),
    ),
    # Controls: as declared, under another name or in another spelling.
    Drift(
        "control: foreign key of another name",
        f"ALTER TABLE shop_product RENAME CONSTRAINT {BRAND_KEY} TO product_to_brand",
        ("product_to_brand", BRAND_KEY, "brand_id"),
        is_drift=False,
    ),
    Drift(
        "control: index of db_index under another name",
        "ALTER INDEX shop_product_name_b8d5e94c RENAME TO product_by_name",
        ("product_by_name", "name"),
        is_drift=False,
    ),
    Drift(
        "control: unique of a field under another name",
        "ALTER TABLE shop_product RENAME CONSTRAINT shop_product_sku_key TO product_by_sku",
        ("product_by_sku", "sku"),
        is_drift=False,
    ),
    Drift(
        "control: check spelled otherwise",
        f"{PRICE}, ADD CONSTRAINT product_price CHECK ((price >= '0'::numeric))",
        ("product_price",),
        is_drift=False,
    ),
    Drift(
        "control: a serial in the place of the identity",
        "ALTER TABLE shop_product ALTER id DROP IDENTITY; CREATE SEQUENCE numbers OWNED BY shop_product.id;"
        "ALTER TABLE shop_product ALTER id SET DEFAULT nextval('numbers')",
        ("id",),
        is_drift=False,
    ),
    Drift(
        "control: columns in another order, rows in it",
        "ALTER TABLE shop_brand RENAME code TO gone; ALTER TABLE shop_brand ADD code varchar(20);"
        "UPDATE shop_brand SET code = gone; ALTER TABLE shop_product DROP CONSTRAINT"
        " shop_product_origin_id_936ec2c8_fk_shop_brand_code; ALTER TABLE shop_brand DROP gone,"
        " ALTER code SET NOT NULL, ADD UNIQUE (code);"
        "CREATE INDEX ON shop_brand (code varchar_pattern_ops); ALTER TABLE shop_product"
        " ADD FOREIGN KEY (origin_id) REFERENCES shop_brand (code) DEFERRABLE INITIALLY DEFERRED;"
        "INSERT INTO shop_brand (code, country) VALUES ('acme', 'nl')",
        ("code", "origin_id"),
        is_drift=False,
    ),
)

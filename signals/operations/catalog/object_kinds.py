"""The queries of functions, types, comments and what belongs to the database, for objects.py.

The columns and the placeholders are those of object_tables.py.
"""

_OF_SCHEMA = "JOIN pg_catalog.pg_namespace n ON n.nspname = ANY(<schemas>) AND n.oid ="

# The name of the function in front of its arguments loses its schema. The constructors of a range type belong
# to it.
_FUNCTIONS = f"""
SELECT CASE p.prokind WHEN 'p' THEN 'procedure' ELSE 'function' END, n.nspname,
  pg_catalog.format('%s(%s)', p.proname, pg_catalog.oidvectortypes(p.proargtypes)), NULL,
  d.definition, NULL, NULL, NULL, NULL, d.definition
FROM pg_catalog.pg_proc p {_OF_SCHEMA} p.pronamespace AND p.prokind <> 'a' AND <own proc p>
CROSS JOIN LATERAL (SELECT CASE p.prokind WHEN 'p' THEN 'PROCEDURE' ELSE 'FUNCTION' END) k (word)
CROSS JOIN LATERAL (SELECT pg_catalog.pg_get_functiondef(p.oid),
  pg_catalog.format('CREATE OR REPLACE %s %I.', k.word, n.nspname)) f (definition, head)
CROSS JOIN LATERAL (SELECT CASE WHEN n.nspname = <judged>
    THEN pg_catalog.format('CREATE OR REPLACE %s ', k.word)
      || pg_catalog.substr(f.definition, pg_catalog.length(f.head) + 1)
    ELSE f.definition END) d (definition)
WHERE NOT EXISTS (SELECT FROM pg_catalog.pg_depend i
  WHERE i.classid = 'pg_catalog.pg_proc'::pg_catalog.regclass AND i.objid = p.oid AND i.deptype = 'i')
"""

_AGGREGATES = f"""
SELECT 'aggregate', n.nspname,
  pg_catalog.format('%s(%s)', p.proname, pg_catalog.oidvectortypes(p.proargtypes)), NULL,
  pg_catalog.format('%s %s STYPE %s INITCOND %L', a.aggkind, pg_catalog.concat_ws(' ',
      a.aggtransfn, a.aggfinalfn, a.aggcombinefn, a.aggserialfn, a.aggdeserialfn, a.aggmtransfn,
      a.aggminvtransfn, a.aggmfinalfn),
    pg_catalog.format_type(a.aggtranstype, NULL), a.agginitval), NULL, NULL, NULL, NULL, NULL
FROM pg_catalog.pg_aggregate a JOIN pg_catalog.pg_proc p ON p.oid = a.aggfnoid AND <own proc p>
{_OF_SCHEMA} p.pronamespace
"""

# Types of rows and arrays belong to the table or type of which they are.
_TYPES = f"""
SELECT CASE t.typtype WHEN 'e' THEN 'enum' WHEN 'd' THEN 'domain' WHEN 'c' THEN 'composite type'
    WHEN 'r' THEN 'range type' ELSE 'type' END, n.nspname, t.typname, NULL,
  CASE t.typtype
    WHEN 'e' THEN (SELECT pg_catalog.string_agg(pg_catalog.quote_literal(e.enumlabel), ', '
        ORDER BY e.enumsortorder) FROM pg_catalog.pg_enum e WHERE e.enumtypid = t.oid)
    WHEN 'c' THEN (SELECT pg_catalog.string_agg(pg_catalog.concat_ws(' ', pg_catalog.quote_ident(a.attname),
        pg_catalog.format_type(a.atttypid, a.atttypmod), CASE WHEN a.attcollation <> b.typcollation
          THEN 'COLLATE ' || a.attcollation::pg_catalog.regcollation::pg_catalog.text END), ', '
        ORDER BY a.attnum)
      FROM pg_catalog.pg_attribute a JOIN pg_catalog.pg_type b ON b.oid = a.atttypid
      WHERE a.attrelid = t.typrelid AND a.attnum > 0 AND NOT a.attisdropped)
    WHEN 'r' THEN (SELECT pg_catalog.concat_ws(' ', pg_catalog.format_type(r.rngsubtype, NULL),
        NULLIF(r.rngcollation, 0)::pg_catalog.regcollation, NULLIF(r.rngcanonical, 0),
        NULLIF(r.rngsubdiff, 0)) FROM pg_catalog.pg_range r WHERE r.rngtypid = t.oid)
    WHEN 'd' THEN pg_catalog.concat_ws(' ', pg_catalog.format_type(t.typbasetype, t.typtypmod),
      CASE WHEN t.typcollation <> b.typcollation
        THEN 'COLLATE ' || t.typcollation::pg_catalog.regcollation::pg_catalog.text END,
      'DEFAULT ' || t.typdefault, CASE WHEN t.typnotnull THEN 'NOT NULL' END, c.checks)
    ELSE pg_catalog.concat_ws(' ', t.typtype, t.typlen, t.typinput, t.typoutput) END,
  c.expressions, CASE WHEN t.typtype = 'd' THEN pg_catalog.format('(SELECT NULL::%s AS value) value',
    pg_catalog.format_type(t.typbasetype, t.typtypmod)) END, NULL, c.state, NULL
FROM pg_catalog.pg_type t {_OF_SCHEMA} t.typnamespace AND <own type t>
AND t.typtype NOT IN ('p', 'm')
LEFT JOIN pg_catalog.pg_type b ON b.oid = t.typbasetype
CROSS JOIN LATERAL (SELECT
    pg_catalog.string_agg(pg_catalog.regexp_replace(
      pg_catalog.pg_get_constraintdef(k.oid), ' NOT VALID$', ''), ' ' ORDER BY k.conname),
    pg_catalog.array_agg(pg_catalog.pg_get_expr(k.conbin, 0)),
    CASE WHEN pg_catalog.bool_or(NOT k.convalidated) THEN 'NOT VALID' END
  FROM pg_catalog.pg_constraint k WHERE k.contypid = t.oid AND k.contype = 'c') c (checks, expressions, state)
WHERE NOT EXISTS (SELECT FROM pg_catalog.pg_type r WHERE r.typarray = t.oid)
AND (t.typrelid = 0
  OR (SELECT r.relkind FROM pg_catalog.pg_class r WHERE r.oid = t.typrelid) = 'c')
"""

_EXTENSIONS = """
SELECT 'extension', NULL, x.extname, NULL, CASE n.nspname WHEN <judged> THEN 'in the judged schema'
    ELSE pg_catalog.format('in schema %I', n.nspname) END,
  NULL, NULL, NULL, x.extversion, pg_catalog.format('CREATE EXTENSION IF NOT EXISTS %I', x.extname)
FROM pg_catalog.pg_extension x JOIN pg_catalog.pg_namespace n ON n.oid = x.extnamespace
"""

_EVENT_TRIGGERS = """
SELECT 'event trigger', NULL, t.evtname, NULL, pg_catalog.concat_ws(' ', 'ON', t.evtevent,
    'WHEN TAG IN (' || pg_catalog.array_to_string(t.evttags, ', ') || ')',
    'EXECUTE FUNCTION ' || t.evtfoid::pg_catalog.regprocedure::pg_catalog.text,
    CASE t.evtenabled WHEN 'O' THEN NULL WHEN 'D' THEN '(DISABLE)' ELSE t.evtenabled::pg_catalog.text END),
  NULL, NULL, NULL, NULL, NULL
FROM pg_catalog.pg_event_trigger t WHERE <own event_trigger t>
"""

_SCHEMAS_MADE = """
SELECT 'schema', NULL, n.nspname, NULL, 'SCHEMA', NULL, NULL, NULL, NULL,
  pg_catalog.format('CREATE SCHEMA IF NOT EXISTS %I', n.nspname)
FROM pg_catalog.pg_namespace n WHERE n.nspname = ANY(<schemas>) AND n.nspname <> <judged>
AND n.nspname <> 'public'
"""

_COLLATIONS = f"""
SELECT 'collation', n.nspname, l.collname, NULL, pg_catalog.concat_ws(' ', l.collprovider,
    COALESCE(l.collcollate, j.facts ->> 'colliculocale', j.facts ->> 'colllocale'), l.collctype,
    j.facts ->> 'collicurules', CASE WHEN NOT l.collisdeterministic THEN 'NOT DETERMINISTIC' END),
  NULL, NULL, NULL, NULL, NULL
FROM pg_catalog.pg_collation l {_OF_SCHEMA} l.collnamespace AND <own collation l>
CROSS JOIN LATERAL (SELECT pg_catalog.to_jsonb(l)) j (facts)
"""

_TEXT_SEARCH = f"""
SELECT 'text search configuration', n.nspname, s.cfgname, NULL, (
    SELECT pg_catalog.string_agg(pg_catalog.format('%s: %s', m.maptokentype,
        m.mapdict::pg_catalog.regdictionary), ', ' ORDER BY m.maptokentype, m.mapseqno)
    FROM pg_catalog.pg_ts_config_map m WHERE m.mapcfg = s.oid), NULL, NULL, NULL, NULL, NULL
FROM pg_catalog.pg_ts_config s {_OF_SCHEMA} s.cfgnamespace AND <own ts_config s>
"""

_PUBLICATIONS = """
SELECT 'publication', NULL, p.pubname, NULL, pg_catalog.concat_ws(' ',
    CASE WHEN p.puballtables THEN 'FOR ALL TABLES' END,
    CASE WHEN p.pubinsert THEN 'insert' END, CASE WHEN p.pubupdate THEN 'update' END,
    CASE WHEN p.pubdelete THEN 'delete' END, CASE WHEN p.pubtruncate THEN 'truncate' END,
    (SELECT pg_catalog.string_agg(r.prrelid::pg_catalog.regclass::pg_catalog.text, ', '
       ORDER BY r.prrelid::pg_catalog.regclass::pg_catalog.text)
     FROM pg_catalog.pg_publication_rel r WHERE r.prpubid = p.oid)), NULL, NULL, NULL, NULL, NULL
FROM pg_catalog.pg_publication p WHERE <own publication p>
"""

_SERVERS = """
SELECT 'foreign server', NULL, s.srvname, NULL, pg_catalog.concat_ws(' ', w.fdwname, s.srvtype, s.srvversion),
  NULL, NULL, NULL, NULL, NULL
FROM pg_catalog.pg_foreign_server s JOIN pg_catalog.pg_foreign_data_wrapper w ON w.oid = s.srvfdw
WHERE <own foreign_server s>
"""

# Each commented object as (catalog, number, schema, table, name in the row, name in COMMENT ON). That of a
# table is its own name, that of a column the column's, as where db_table_comment and db_comment declare it.
_COMMENTED = """
SELECT 'pg_class'::pg_catalog.text, c.oid, d.objsubid, n.nspname,
  CASE WHEN c.relkind IN ('i', 'I') THEN (SELECT x.relname FROM pg_catalog.pg_index i
     JOIN pg_catalog.pg_class x ON x.oid = i.indrelid WHERE i.indexrelid = c.oid) ELSE c.relname END,
  CASE WHEN d.objsubid > 0 THEN a.attname::pg_catalog.text
    WHEN c.relkind IN ('r', 'p', 'f') THEN c.relname::pg_catalog.text
    ELSE pg_catalog.lower(k.word) || ' ' || c.relname END,
  CASE WHEN d.objsubid > 0 THEN pg_catalog.format('COLUMN %s.%I', c.oid::pg_catalog.regclass, a.attname)
    ELSE k.word || ' ' || c.oid::pg_catalog.regclass::pg_catalog.text END
FROM pg_catalog.pg_description d
JOIN pg_catalog.pg_class c ON c.oid = d.objoid AND c.relpersistence <> 't' AND <own class c>
JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
LEFT JOIN pg_catalog.pg_attribute a ON a.attrelid = c.oid AND a.attnum = d.objsubid AND d.objsubid > 0
CROSS JOIN LATERAL (SELECT CASE c.relkind WHEN 'v' THEN 'VIEW' WHEN 'm' THEN 'MATERIALIZED VIEW'
  WHEN 'S' THEN 'SEQUENCE' WHEN 'f' THEN 'FOREIGN TABLE' WHEN 'c' THEN 'TYPE' WHEN 'i' THEN 'INDEX'
  WHEN 'I' THEN 'INDEX' ELSE 'TABLE' END) k (word)
WHERE d.classoid = 'pg_catalog.pg_class'::pg_catalog.regclass
UNION ALL
SELECT p.catalog, p.oid, 0, n.nspname, c.relname, p.kind || ' ' || p.name,
  pg_catalog.format('%s %I ON %s', pg_catalog.upper(p.kind), p.name, c.oid::pg_catalog.regclass)
FROM (
  SELECT 'pg_constraint', k.oid, k.conrelid, 'constraint', k.conname FROM pg_catalog.pg_constraint k
  UNION ALL
  SELECT 'pg_trigger', t.oid, t.tgrelid, 'trigger', t.tgname FROM pg_catalog.pg_trigger t
  UNION ALL
  SELECT 'pg_policy', y.oid, y.polrelid, 'policy', y.polname FROM pg_catalog.pg_policy y
  UNION ALL
  SELECT 'pg_rewrite', r.oid, r.ev_class, 'rule', r.rulename FROM pg_catalog.pg_rewrite r
) p (catalog, oid, relation, kind, name)
JOIN pg_catalog.pg_class c ON c.oid = p.relation AND <own class c>
JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
UNION ALL
SELECT 'pg_proc', p.oid, 0, n.nspname, NULL, pg_catalog.format('%s %s(%s)', k.word, p.proname,
    pg_catalog.oidvectortypes(p.proargtypes)),
  pg_catalog.upper(k.word) || ' ' || p.oid::pg_catalog.regprocedure::pg_catalog.text
FROM pg_catalog.pg_proc p JOIN pg_catalog.pg_namespace n ON n.oid = p.pronamespace AND <own proc p>
CROSS JOIN LATERAL (SELECT CASE p.prokind WHEN 'p' THEN 'procedure' WHEN 'a' THEN 'aggregate'
  ELSE 'function' END) k (word)
UNION ALL
SELECT 'pg_type', t.oid, 0, n.nspname, NULL, 'type ' || t.typname, CASE t.typtype WHEN 'd' THEN 'DOMAIN '
    ELSE 'TYPE ' END || t.oid::pg_catalog.regtype::pg_catalog.text
FROM pg_catalog.pg_type t JOIN pg_catalog.pg_namespace n ON n.oid = t.typnamespace AND <own type t>
UNION ALL
SELECT 'pg_statistic_ext', s.oid, 0, n.nspname, NULL, 'statistics ' || s.stxname,
  'STATISTICS ' || pg_catalog.quote_ident(s.stxname)
FROM pg_catalog.pg_statistic_ext s JOIN pg_catalog.pg_namespace n ON n.oid = s.stxnamespace
UNION ALL
SELECT 'pg_namespace', n.oid, 0, n.nspname, NULL, 'schema ' || n.nspname,
  'SCHEMA ' || pg_catalog.quote_ident(n.nspname)
FROM pg_catalog.pg_namespace n WHERE n.nspname <> 'public' AND n.nspname <> <judged>
"""

_COMMENTS = f"""
SELECT 'comment', x.schema, x.name, x.table_name, d.description, NULL, NULL, NULL, NULL,
  pg_catalog.format('COMMENT ON %s IS %L', x.place, d.description)
FROM pg_catalog.pg_description d
JOIN ({_COMMENTED}) x (catalog, oid, part, schema, table_name, name, place)
ON d.classoid = ('pg_catalog.' || x.catalog)::pg_catalog.regclass AND d.objoid = x.oid
AND d.objsubid = x.part AND x.schema = ANY(<schemas>)
"""

KINDS = (
    *(_FUNCTIONS, _AGGREGATES, _TYPES, _EXTENSIONS, _EVENT_TRIGGERS, _SCHEMAS_MADE, _COLLATIONS),
    *(_TEXT_SEARCH, _PUBLICATIONS, _SERVERS, _COMMENTS),
)

"""The queries of tables and of what belongs to one, for objects.py.

Each returns kind, schema, name, table, definition, expressions, source, options, state and the SQL that makes
the object. `<schemas>` is the array of the schemas' names, `<judged>` the one that is the search_path,
`<own catalog alias>` a condition. `table` is NULL for what belongs to none.
"""

# The names, without the judged schema, as they are in front of a definition that PostgreSQL prints.
_TABLE = "pg_catalog.format('%I.%I', n.nspname, c.relname)"
_SHORT = "c.oid::pg_catalog.regclass::pg_catalog.text"
_OF_TABLES = """
JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace AND n.nspname = ANY(<schemas>)
AND c.relpersistence <> 't' AND <own class c>"""

_VIEW_OPTIONS = (
    "' WITH (' || NULLIF(pg_catalog.array_to_string(ARRAY("
    "SELECT o FROM pg_catalog.unnest(c.reloptions) o ORDER BY o), ', '), '') || ')'"
)

_TABLES = f"""
SELECT CASE c.relkind WHEN 'f' THEN 'foreign table' ELSE 'table' END, n.nspname, c.relname, c.relname,
  pg_catalog.concat_ws(' ', CASE c.relpersistence WHEN 'u' THEN 'UNLOGGED' END, 'TABLE',
    'OF ' || NULLIF(c.reloftype, 0)::pg_catalog.regtype::pg_catalog.text,
    (SELECT CASE WHEN c.relispartition THEN 'PARTITION OF ' ELSE 'INHERITS ' END || pg_catalog.string_agg(
       i.inhparent::pg_catalog.regclass::pg_catalog.text, ', ' ORDER BY i.inhseqno)
     FROM pg_catalog.pg_inherits i WHERE i.inhrelid = c.oid),
    pg_catalog.pg_get_expr(c.relpartbound, c.oid),
    'PARTITION BY ' || pg_catalog.pg_get_partkeydef(c.oid),
    'USING ' || (SELECT m.amname FROM pg_catalog.pg_am m WHERE m.oid = c.relam AND m.amname <> 'heap'),
    'REPLICA IDENTITY ' || CASE c.relreplident WHEN 'f' THEN 'FULL' WHEN 'n' THEN 'NOTHING'
      WHEN 'i' THEN 'USING INDEX' END,
    (SELECT 'SERVER ' || s.srvname || ' ' || COALESCE(f.ftoptions::pg_catalog.text, '')
     FROM pg_catalog.pg_foreign_table f JOIN pg_catalog.pg_foreign_server s ON s.oid = f.ftserver
     WHERE f.ftrelid = c.oid)),
  ARRAY[(SELECT pg_catalog.pg_get_expr(p.partexprs, p.partrelid) FROM pg_catalog.pg_partitioned_table p
         WHERE p.partrelid = c.oid)], 'table', c.reloptions, NULL, NULL
FROM pg_catalog.pg_class c {_OF_TABLES} AND c.relkind IN ('r', 'p', 'f')
"""

_VIEWS = f"""
SELECT CASE c.relkind WHEN 'm' THEN 'materialized view' ELSE 'view' END, n.nspname, c.relname, NULL,
  v.query || COALESCE({_VIEW_OPTIONS}, ''), ARRAY[v.query], 'query', NULL, NULL,
  CASE WHEN c.relkind = 'm' THEN pg_catalog.format('CREATE MATERIALIZED VIEW IF NOT EXISTS %s AS %s',
    {_SHORT}, v.query)
  ELSE pg_catalog.format('CREATE OR REPLACE VIEW %s%s AS %s',
    {_SHORT}, COALESCE({_VIEW_OPTIONS}, ''), v.query) END
FROM pg_catalog.pg_class c {_OF_TABLES} AND c.relkind IN ('v', 'm')
CROSS JOIN LATERAL (SELECT pg_catalog.btrim(pg_catalog.pg_get_viewdef(c.oid), ' ;')) v (query)
"""

_ROW_SECURITY = f"""
SELECT 'row security', n.nspname, c.relname, c.relname, s.clauses, NULL, NULL, NULL, NULL,
  pg_catalog.format('ALTER TABLE %s %s, %s', {_SHORT},
    CASE WHEN c.relrowsecurity THEN 'ENABLE ROW LEVEL SECURITY' ELSE 'DISABLE ROW LEVEL SECURITY' END,
    CASE WHEN c.relforcerowsecurity THEN 'FORCE ROW LEVEL SECURITY' ELSE 'NO FORCE ROW LEVEL SECURITY' END)
FROM pg_catalog.pg_class c {_OF_TABLES} AND (c.relrowsecurity OR c.relforcerowsecurity)
CROSS JOIN LATERAL (SELECT pg_catalog.concat_ws(', ',
  CASE WHEN c.relrowsecurity THEN 'ENABLE ROW LEVEL SECURITY' END,
  CASE WHEN c.relforcerowsecurity THEN 'FORCE ROW LEVEL SECURITY' END)) s (clauses)
"""

# An identity and a sequence are one. What they do is in the row of the sequence.
_COLUMNS = f"""
SELECT 'column', n.nspname, a.attname, c.relname,
  pg_catalog.concat_ws(' ', pg_catalog.format_type(a.atttypid, a.atttypmod),
    CASE WHEN a.attcollation <> t.typcollation
      THEN 'COLLATE ' || a.attcollation::pg_catalog.regcollation::pg_catalog.text END,
    CASE WHEN a.attidentity <> '' OR d.expression LIKE 'nextval(%' THEN 'numbered by a sequence'
      WHEN a.attgenerated = 's' THEN 'GENERATED ALWAYS AS (' || d.expression || ') STORED'
      WHEN a.attgenerated <> '' THEN 'GENERATED ALWAYS AS (' || d.expression || ') VIRTUAL'
      ELSE 'DEFAULT ' || d.expression END,
    CASE WHEN a.attnotnull THEN 'NOT NULL' END,
    (SELECT 'NOT VALID' FROM pg_catalog.pg_constraint k WHERE k.conrelid = c.oid AND k.contype = 'n'
     AND k.conkey[1] = a.attnum AND NOT k.convalidated)),
  ARRAY[d.expression], CASE WHEN a.attgenerated <> '' THEN 'table' END, NULL, NULL, NULL
FROM pg_catalog.pg_class c {_OF_TABLES} AND c.relkind IN ('r', 'p', 'f')
JOIN pg_catalog.pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
JOIN pg_catalog.pg_type t ON t.oid = a.atttypid
LEFT JOIN LATERAL (SELECT pg_catalog.pg_get_expr(d.adbin, d.adrelid) FROM pg_catalog.pg_attrdef d
  WHERE d.adrelid = c.oid AND d.adnum = a.attnum) d (expression) ON true
"""

# Those that a partition or a child has from its parent belong to the parent.
_CONSTRAINTS = f"""
SELECT CASE k.contype WHEN 'c' THEN 'check' WHEN 'f' THEN 'foreign key' WHEN 'p' THEN 'primary key'
    WHEN 'u' THEN 'unique' ELSE 'exclusion' END, n.nspname, k.conname, c.relname,
  pg_catalog.regexp_replace(pg_catalog.pg_get_constraintdef(k.oid), ' NOT VALID$', '') || CASE
    WHEN k.contype = 'f' AND EXISTS (SELECT FROM pg_catalog.pg_trigger t
      WHERE t.tgconstraint = k.oid AND t.tgenabled NOT IN ('O', 'A')) THEN ', with disabled triggers'
    ELSE '' END,
  ARRAY[pg_catalog.pg_get_expr(k.conbin, k.conrelid)], 'table', NULL,
  CASE WHEN NOT k.convalidated THEN 'NOT VALID' END,
  pg_catalog.format('ALTER TABLE %s ADD CONSTRAINT %I %s', {_SHORT}, k.conname,
    pg_catalog.pg_get_constraintdef(k.oid))
FROM pg_catalog.pg_class c {_OF_TABLES}
JOIN pg_catalog.pg_constraint k ON k.conrelid = c.oid AND k.contype IN ('c', 'f', 'p', 'u', 'x')
AND k.conparentid = 0 AND k.conislocal
"""

# The head of the definition, up to the method, is replaced by one without names.
_INDEXES = f"""
SELECT 'index', n.nspname, ic.relname, c.relname,
  u.head || 'INDEX ' || d.tail,
  (SELECT pg_catalog.array_agg(pg_catalog.pg_get_indexdef(i.indexrelid, k.place::pg_catalog.int4, false))
   FROM pg_catalog.unnest(i.indkey) WITH ORDINALITY k (number, place) WHERE k.number = 0)
  || pg_catalog.pg_get_expr(i.indpred, i.indrelid), 'table', ic.reloptions,
  CASE WHEN NOT i.indisvalid THEN 'INVALID' END,
  pg_catalog.format('CREATE %sINDEX CONCURRENTLY IF NOT EXISTS %I ON %s %s', u.head, ic.relname, {_SHORT},
    d.tail)
FROM pg_catalog.pg_class c {_OF_TABLES}
JOIN pg_catalog.pg_index i ON i.indrelid = c.oid
JOIN pg_catalog.pg_class ic ON ic.oid = i.indexrelid
CROSS JOIN LATERAL (SELECT CASE WHEN i.indisunique THEN 'UNIQUE ' ELSE '' END) u (head)
CROSS JOIN LATERAL (SELECT pg_catalog.substr(pg_catalog.pg_get_indexdef(i.indexrelid), pg_catalog.length(
  pg_catalog.format('CREATE %sINDEX %I ON %s%s ', u.head, ic.relname,
    CASE WHEN c.relkind = 'p' THEN 'ONLY ' ELSE '' END, {_TABLE})) + 1)) d (tail)
WHERE NOT EXISTS (SELECT FROM pg_catalog.pg_constraint k WHERE k.conrelid = c.oid
  AND k.conindid = i.indexrelid AND k.contype IN ('p', 'u', 'x'))
AND NOT EXISTS (SELECT FROM pg_catalog.pg_inherits h WHERE h.inhrelid = i.indexrelid)
"""

_TRIGGERS = f"""
SELECT 'trigger', n.nspname, t.tgname, c.relname, d.definition || CASE WHEN s.state = 'ENABLE' THEN ''
    ELSE ' (' || s.state || ')' END,
  NULL, NULL, NULL, NULL,
  pg_catalog.regexp_replace(d.definition, '^CREATE TRIGGER ', 'CREATE OR REPLACE TRIGGER ')
  || pg_catalog.format('; ALTER TABLE %s %s TRIGGER %I', {_SHORT}, s.state, t.tgname)
FROM pg_catalog.pg_class c {_OF_TABLES}
JOIN pg_catalog.pg_trigger t ON t.tgrelid = c.oid AND NOT t.tgisinternal
CROSS JOIN LATERAL (SELECT pg_catalog.pg_get_triggerdef(t.oid, true)) d (definition)
CROSS JOIN LATERAL (SELECT CASE t.tgenabled WHEN 'D' THEN 'DISABLE' WHEN 'R' THEN 'ENABLE REPLICA'
  WHEN 'A' THEN 'ENABLE ALWAYS' ELSE 'ENABLE' END) s (state)
"""

_RULES = f"""
SELECT 'rule', n.nspname, r.rulename, c.relname, d.definition || CASE r.ev_enabled WHEN 'O' THEN ''
    ELSE ' (' || r.ev_enabled::pg_catalog.text || ')' END,
  NULL, NULL, NULL, NULL,
  pg_catalog.regexp_replace(d.definition, '^CREATE RULE ', 'CREATE OR REPLACE RULE ')
FROM pg_catalog.pg_class c {_OF_TABLES}
JOIN pg_catalog.pg_rewrite r ON r.ev_class = c.oid AND r.rulename <> '_RETURN'
CROSS JOIN LATERAL (SELECT pg_catalog.pg_get_ruledef(r.oid, true)) d (definition)
"""

_POLICIES = f"""
SELECT 'policy', n.nspname, p.polname, c.relname, d.definition, ARRAY[u.using_, u.checked], 'table', NULL,
  NULL,
  pg_catalog.format('DROP POLICY IF EXISTS %1$I ON %2$s; CREATE POLICY %1$I ON %2$s %3$s',
    p.polname, {_SHORT}, d.definition)
FROM pg_catalog.pg_class c {_OF_TABLES}
JOIN pg_catalog.pg_policy p ON p.polrelid = c.oid
CROSS JOIN LATERAL (SELECT pg_catalog.pg_get_expr(p.polqual, p.polrelid),
  pg_catalog.pg_get_expr(p.polwithcheck, p.polrelid)) u (using_, checked)
CROSS JOIN LATERAL (SELECT pg_catalog.concat_ws(' ',
  CASE WHEN p.polpermissive THEN 'AS PERMISSIVE' ELSE 'AS RESTRICTIVE' END,
  'FOR ' || CASE p.polcmd WHEN 'r' THEN 'SELECT' WHEN 'a' THEN 'INSERT' WHEN 'w' THEN 'UPDATE'
    WHEN 'd' THEN 'DELETE' ELSE 'ALL' END,
  'TO ' || (SELECT pg_catalog.string_agg(CASE WHEN r.role = 0 THEN 'PUBLIC'
      ELSE pg_catalog.quote_ident(pg_catalog.pg_get_userbyid(r.role)) END, ', '
      ORDER BY pg_catalog.pg_get_userbyid(r.role)) FROM pg_catalog.unnest(p.polroles) r (role)),
  'USING (' || u.using_ || ')', 'WITH CHECK (' || u.checked || ')')) d (definition)
"""

_STATISTICS = f"""
SELECT 'statistics', n.nspname, s.stxname, c.relname, d.definition || COALESCE(' TARGET ' || NULLIF(
    pg_catalog.to_jsonb(s) ->> 'stxstattarget', '-1'), ''),
  pg_catalog.pg_get_statisticsobjdef_expressions(s.oid), 'table', NULL, NULL,
  pg_catalog.format('CREATE STATISTICS IF NOT EXISTS %I %s', s.stxname, d.definition)
FROM pg_catalog.pg_class c {_OF_TABLES}
JOIN pg_catalog.pg_statistic_ext s ON s.stxrelid = c.oid
JOIN pg_catalog.pg_namespace m ON m.oid = s.stxnamespace
CROSS JOIN LATERAL (SELECT pg_catalog.substr(pg_catalog.pg_get_statisticsobjdef(s.oid), pg_catalog.length(
  pg_catalog.format('CREATE STATISTICS %I.%I ', m.nspname, s.stxname)) + 1)) d (definition)
"""

# The end of a sequence is told only if its type does not end there. That of a column ends with the column's
# type, whichever type it has itself, and has the name of the column as its source.
_SEQUENCES = """
SELECT 'sequence', n.nspname, c.relname, o.relname,
  pg_catalog.concat_ws(' ', CASE WHEN o.attname IS NULL THEN
      'AS ' || pg_catalog.format_type(s.seqtypid, NULL) END,
    'INCREMENT ' || s.seqincrement, 'MINVALUE ' || s.seqmin,
    'MAXVALUE ' || NULLIF(LEAST(s.seqmax, l.most), l.most), 'START ' || s.seqstart,
    'CACHE ' || NULLIF(s.seqcache, 1), CASE WHEN s.seqcycle THEN 'CYCLE' END,
    CASE c.relpersistence WHEN 'u' THEN 'UNLOGGED' END),
  NULL, o.attname, NULL, NULL,
  CASE WHEN o.attname IS NULL THEN pg_catalog.format(
    'CREATE SEQUENCE IF NOT EXISTS %s AS %s INCREMENT %s MINVALUE %s MAXVALUE %s START %s CACHE %s%s',
    c.oid::pg_catalog.regclass, pg_catalog.format_type(s.seqtypid, NULL), s.seqincrement, s.seqmin,
    s.seqmax, s.seqstart, s.seqcache, CASE WHEN s.seqcycle THEN ' CYCLE' END) END
FROM pg_catalog.pg_class c
JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace AND n.nspname = ANY(<schemas>)
JOIN pg_catalog.pg_sequence s ON s.seqrelid = c.oid AND <own class c>
LEFT JOIN LATERAL (SELECT a.attname, t.relname, a.atttypid FROM pg_catalog.pg_depend d
  JOIN pg_catalog.pg_class t ON t.oid = d.refobjid
  JOIN pg_catalog.pg_attribute a ON a.attrelid = d.refobjid AND a.attnum = d.refobjsubid
  WHERE d.classid = 'pg_catalog.pg_class'::pg_catalog.regclass
  AND d.refclassid = 'pg_catalog.pg_class'::pg_catalog.regclass
  AND d.objid = c.oid AND d.refobjsubid > 0 AND d.deptype IN ('a', 'i') LIMIT 1) o ON true
CROSS JOIN LATERAL (SELECT CASE pg_catalog.format_type(COALESCE(o.atttypid, s.seqtypid), NULL)
  WHEN 'smallint' THEN 32767 WHEN 'integer' THEN 2147483647 ELSE 9223372036854775807 END) l (most)
WHERE c.relpersistence <> 't'
"""

RELATIONS = (
    *(
        _TABLES,
        _VIEWS,
        _ROW_SECURITY,
        _COLUMNS,
        _CONSTRAINTS,
        _INDEXES,
        _TRIGGERS,
        _RULES,
        _POLICIES,
    ),
    *(_STATISTICS, _SEQUENCES),
)

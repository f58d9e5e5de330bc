"""The queries of privileges, for objects.py; its columns and placeholders are those of object_tables.py.

The privileges of the owner are left out, because the owner of a shadow is whoever replays the migrations.
"""

_GRANTED = """
SELECT 'grants', o.schema, o.kind || ' ' || o.name, NULL, pg_catalog.string_agg(g.clause, '; '
    ORDER BY g.clause), NULL, NULL, NULL, NULL, pg_catalog.string_agg(pg_catalog.format(
    'GRANT %s ON %s TO %s%s', g.privileges, o.place, g.role, g.option), '; ' ORDER BY g.clause)
FROM (
  SELECT n.nspname, CASE c.relkind WHEN 'S' THEN 'sequence' ELSE 'table' END, c.relname,
    CASE c.relkind WHEN 'S' THEN 'SEQUENCE ' ELSE '' END || c.oid::pg_catalog.regclass::pg_catalog.text,
    COALESCE(c.relacl, pg_catalog.acldefault(CASE c.relkind WHEN 'S' THEN 's'::"char" ELSE 'r' END,
      c.relowner)), c.relowner, NULL
  FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
  WHERE c.relkind IN ('r', 'p', 'v', 'm', 'f', 'S') AND c.relpersistence <> 't' AND <own class c>
  UNION ALL
  SELECT n.nspname, 'column', c.relname || '.' || a.attname, c.oid::pg_catalog.regclass::pg_catalog.text,
    a.attacl, c.relowner, pg_catalog.quote_ident(a.attname)
  FROM pg_catalog.pg_attribute a JOIN pg_catalog.pg_class c ON c.oid = a.attrelid AND a.attacl IS NOT NULL
  JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
  WHERE NOT a.attisdropped AND <own class c>
  UNION ALL
  SELECT n.nspname, 'function', p.oid::pg_catalog.regprocedure::pg_catalog.text,
    'ROUTINE ' || p.oid::pg_catalog.regprocedure::pg_catalog.text,
    COALESCE(p.proacl, pg_catalog.acldefault('f', p.proowner)), p.proowner, NULL
  FROM pg_catalog.pg_proc p JOIN pg_catalog.pg_namespace n ON n.oid = p.pronamespace AND <own proc p>
  UNION ALL
  SELECT n.nspname, 'type', t.typname, 'TYPE ' || t.oid::pg_catalog.regtype::pg_catalog.text,
    COALESCE(t.typacl, pg_catalog.acldefault('T', t.typowner)), t.typowner, NULL
  FROM pg_catalog.pg_type t JOIN pg_catalog.pg_namespace n ON n.oid = t.typnamespace AND <own type t>
  WHERE t.typtype IN ('d', 'e', 'r') OR (t.typtype = 'c'
    AND (SELECT r.relkind FROM pg_catalog.pg_class r WHERE r.oid = t.typrelid) = 'c')
  UNION ALL
  SELECT n.nspname, 'schema', CASE n.nspname WHEN <judged> THEN '(this one)' ELSE n.nspname END,
    'SCHEMA ' || pg_catalog.quote_ident(n.nspname),
    COALESCE(n.nspacl, pg_catalog.acldefault('n', n.nspowner)), n.nspowner, NULL
  FROM pg_catalog.pg_namespace n
) o (schema, kind, name, place, acl, owner, part)
CROSS JOIN LATERAL (
  SELECT r.role, p.privileges, w.option, pg_catalog.concat(p.privileges, ' TO ', r.role, w.option)
  FROM (SELECT a.grantee, a.is_grantable, pg_catalog.string_agg(a.privilege_type || COALESCE(
          ' (' || o.part || ')', ''), ', ' ORDER BY a.privilege_type)
        FROM pg_catalog.aclexplode(o.acl) a WHERE a.grantee <> o.owner
        GROUP BY a.grantee, a.is_grantable) p (grantee, grantable, privileges)
  CROSS JOIN LATERAL (SELECT CASE p.grantee WHEN 0 THEN 'PUBLIC'
    ELSE pg_catalog.quote_ident(pg_catalog.pg_get_userbyid(p.grantee)) END) r (role)
  CROSS JOIN LATERAL (SELECT CASE WHEN p.grantable THEN ' WITH GRANT OPTION' ELSE '' END) w (option)
) g (role, privileges, option, clause)
WHERE o.schema = ANY(<schemas>)
GROUP BY o.schema, o.kind, o.name
"""

_DEFAULTS = """
SELECT 'default privileges', n.nspname, pg_catalog.format('of %s for %s', CASE d.defaclobjtype
    WHEN 'r' THEN 'tables' WHEN 'S' THEN 'sequences' WHEN 'f' THEN 'functions' WHEN 'T' THEN 'types'
    ELSE d.defaclobjtype::pg_catalog.text END,
    CASE WHEN d.defaclrole = (SELECT r.oid FROM pg_catalog.pg_roles r WHERE r.rolname = CURRENT_USER)
      THEN 'the own role' ELSE pg_catalog.pg_get_userbyid(d.defaclrole)::pg_catalog.text END), NULL,
  (SELECT pg_catalog.string_agg(pg_catalog.format('%s TO %s', a.privilege_type, CASE a.grantee
      WHEN 0 THEN 'PUBLIC' ELSE pg_catalog.pg_get_userbyid(a.grantee)::pg_catalog.text END), ', '
      ORDER BY a.privilege_type, a.grantee)
   FROM pg_catalog.aclexplode(d.defaclacl) a WHERE a.grantee <> d.defaclrole),
  NULL, NULL, NULL, NULL, NULL
FROM pg_catalog.pg_default_acl d LEFT JOIN pg_catalog.pg_namespace n ON n.oid = d.defaclnamespace
WHERE n.nspname = ANY(<schemas>) OR n.nspname IS NULL
"""

GRANTS = (_GRANTED, _DEFAULTS)

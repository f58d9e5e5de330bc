"""The queries of operators, casts and dictionaries, for objects.py.

The columns and the placeholders are those of object_tables.py. Casts have no schema: those are read of which
a type or the function is in one of the schemas.
"""

_OF_SCHEMA = "JOIN pg_catalog.pg_namespace n ON n.nspname = ANY(<schemas>) AND n.oid ="

# A shell, which another operator has named before it is made, is none yet.
_OPERATORS = f"""
SELECT 'operator', n.nspname, pg_catalog.format('%s(%s, %s)', o.oprname,
    COALESCE(pg_catalog.format_type(NULLIF(o.oprleft, 0), NULL), 'NONE'),
    pg_catalog.format_type(o.oprright, NULL)), NULL,
  pg_catalog.concat_ws(' ', 'RETURNS', pg_catalog.format_type(o.oprresult, NULL), 'FUNCTION',
    o.oprcode::pg_catalog.oid::pg_catalog.regprocedure::pg_catalog.text,
    'COMMUTATOR ' || NULLIF(o.oprcom, 0)::pg_catalog.regoperator::pg_catalog.text,
    'NEGATOR ' || NULLIF(o.oprnegate, 0)::pg_catalog.regoperator::pg_catalog.text,
    'RESTRICT ' || NULLIF(o.oprrest::pg_catalog.text, '-'),
    'JOIN ' || NULLIF(o.oprjoin::pg_catalog.text, '-'),
    CASE WHEN o.oprcanhash THEN 'HASHES' END, CASE WHEN o.oprcanmerge THEN 'MERGES' END),
  NULL, NULL, NULL, NULL, NULL
FROM pg_catalog.pg_operator o {_OF_SCHEMA} o.oprnamespace AND <own operator o>
WHERE o.oprcode::pg_catalog.oid <> 0
"""

_OPERATOR_CLASSES = f"""
SELECT 'operator class', n.nspname, pg_catalog.format('%I USING %I', o.opcname, m.amname), NULL,
  pg_catalog.concat_ws(' ', CASE WHEN o.opcdefault THEN 'DEFAULT' END, 'FOR TYPE',
    pg_catalog.format_type(o.opcintype, NULL),
    (SELECT pg_catalog.string_agg(pg_catalog.format('OPERATOR %s %s', a.amopstrategy,
       a.amopopr::pg_catalog.regoperator), ', ' ORDER BY a.amopstrategy,
       a.amopopr::pg_catalog.regoperator::pg_catalog.text)
     FROM pg_catalog.pg_amop a WHERE a.amopfamily = o.opcfamily),
    (SELECT pg_catalog.string_agg(pg_catalog.format('FUNCTION %s %s', p.amprocnum,
       p.amproc::pg_catalog.oid::pg_catalog.regprocedure), ', ' ORDER BY p.amprocnum,
       p.amproc::pg_catalog.oid::pg_catalog.regprocedure::pg_catalog.text)
     FROM pg_catalog.pg_amproc p WHERE p.amprocfamily = o.opcfamily),
    'STORAGE ' || pg_catalog.format_type(NULLIF(o.opckeytype, 0), NULL)),
  NULL, NULL, NULL, NULL, NULL
FROM pg_catalog.pg_opclass o {_OF_SCHEMA} o.opcnamespace AND <own opclass o>
JOIN pg_catalog.pg_am m ON m.oid = o.opcmethod
"""

# That of a range type to its multirange belongs to the type.
_CASTS = """
SELECT 'cast', NULL, pg_catalog.format('(%s AS %s)', pg_catalog.format_type(c.castsource, NULL),
    pg_catalog.format_type(c.casttarget, NULL)), NULL,
  pg_catalog.concat_ws(' ', CASE c.castmethod WHEN 'f' THEN 'WITH FUNCTION '
      || c.castfunc::pg_catalog.regprocedure::pg_catalog.text WHEN 'i' THEN 'WITH INOUT'
      ELSE 'WITHOUT FUNCTION' END,
    CASE c.castcontext WHEN 'a' THEN 'AS ASSIGNMENT' WHEN 'i' THEN 'AS IMPLICIT' END),
  NULL, NULL, NULL, NULL, NULL
FROM pg_catalog.pg_cast c WHERE <own cast c> AND NOT EXISTS (SELECT FROM pg_catalog.pg_depend i
  WHERE i.classid = 'pg_catalog.pg_cast'::pg_catalog.regclass AND i.objid = c.oid AND i.deptype = 'i')
AND EXISTS (
  SELECT FROM pg_catalog.pg_namespace n WHERE n.nspname = ANY(<schemas>) AND n.oid IN (
    (SELECT t.typnamespace FROM pg_catalog.pg_type t WHERE t.oid = c.castsource),
    (SELECT t.typnamespace FROM pg_catalog.pg_type t WHERE t.oid = c.casttarget),
    (SELECT p.pronamespace FROM pg_catalog.pg_proc p WHERE p.oid = c.castfunc)))
"""

_DICTIONARIES = f"""
SELECT 'text search dictionary', n.nspname, d.dictname, NULL,
  pg_catalog.concat_ws(' ', 'TEMPLATE', t.tmplname, d.dictinitoption), NULL, NULL, NULL, NULL, NULL
FROM pg_catalog.pg_ts_dict d {_OF_SCHEMA} d.dictnamespace AND <own ts_dict d>
JOIN pg_catalog.pg_ts_template t ON t.oid = d.dicttemplate
"""

OPERATORS = (_OPERATORS, _OPERATOR_CLASSES, _CASTS, _DICTIONARIES)

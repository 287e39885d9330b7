//! One query for each part of the picture. Each reads what the finder has found.

use whimbrel_core::ddl::ObjectKind;

use crate::backend::Scope;

/// Kinds that are looked up among each other: `ALTER TABLE` also changes views and sequences.
pub(super) const RELATIONS: &[ObjectKind] =
    &[ObjectKind::Table, ObjectKind::View, ObjectKind::Sequence];
/// Kinds that come with the relation they belong to.
pub(super) const ON_RELATIONS: &[ObjectKind] = &[ObjectKind::Index, ObjectKind::Trigger];

/// Makes the server print every name with its schema.
pub(super) const EMPTY_PATH: &str = "SELECT pg_catalog.set_config('search_path', '', true)";
/// Gives the session its search path back.
pub(super) const RESTORE_PATH: &str = "SELECT pg_catalog.set_config('search_path', \
    pg_catalog.current_setting('whimbrel.path'), true)";

/// The schemas that are neither the server's own nor ours.
const OWN_SCHEMAS: &str = "n.nspname !~ '^pg_' AND n.nspname <> 'information_schema' AND \
    n.nspname <> 'whimbrel'";

/// The first version with generated columns.
const GENERATED_SINCE: u32 = 12;

/// A part of the picture.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Part {
    Relations,
    Columns,
    Constraints,
    Indexes,
    Triggers,
    Routines,
    Types,
    Schemas,
    Extensions,
}

impl Part {
    const ALL: [Part; 9] = [
        Part::Relations,
        Part::Columns,
        Part::Constraints,
        Part::Indexes,
        Part::Triggers,
        Part::Routines,
        Part::Types,
        Part::Schemas,
        Part::Extensions,
    ];

    /// The parts in which something of the scope can be.
    pub(super) fn needed(scope: Option<&Scope>) -> Vec<Part> {
        let Some(scope) = scope else { return Part::ALL.to_vec() };
        let asked = |kind: ObjectKind| scope.iter().any(|(asked, _)| *asked == kind);
        let relations = RELATIONS.iter().chain(ON_RELATIONS).any(|kind| asked(*kind));
        let is_needed = |part: &Part| match part {
            Part::Relations
            | Part::Columns
            | Part::Constraints
            | Part::Indexes
            | Part::Triggers => relations,
            Part::Routines => asked(ObjectKind::Routine),
            Part::Types => asked(ObjectKind::Type),
            Part::Schemas => asked(ObjectKind::Schema),
            Part::Extensions => asked(ObjectKind::Extension),
        };
        Part::ALL.into_iter().filter(is_needed).collect()
    }

    /// Its query; `scoped` if the finder has found oids, `major` is the server's version.
    pub(super) fn sql(self, scoped: bool, major: u32) -> String {
        match self {
            Part::Relations => relation_query(scoped),
            Part::Columns => column_query(scoped, major),
            Part::Constraints => constraint_query(scoped),
            Part::Indexes => index_query(scoped),
            Part::Triggers => trigger_query(scoped),
            Part::Routines => routine_query(scoped),
            Part::Types => type_query(scoped),
            Part::Schemas => {
                let wanted =
                    if scoped { found("n.nspname", "schemas", "name") } else { "true".into() };
                format!(
                    "SELECT n.nspname FROM pg_catalog.pg_namespace n \
                     WHERE {OWN_SCHEMAS} AND {wanted} ORDER BY 1"
                )
            }
            Part::Extensions => {
                let wanted =
                    if scoped { found("e.extname", "extensions", "name") } else { "true".into() };
                format!("SELECT e.extname FROM pg_catalog.pg_extension e WHERE {wanted} ORDER BY 1")
            }
        }
    }
}

fn found(column: &str, setting: &str, element: &str) -> String {
    format!(
        "{column} = ANY (pg_catalog.current_setting('whimbrel.{setting}')::pg_catalog.{element}[])"
    )
}

/// Which relations are meant; `column` holds their oid.
fn relations(column: &str, scoped: bool) -> String {
    if scoped {
        return found(column, "relations", "oid");
    }
    let all = all_of("c", "pg_class", "c.relnamespace");
    format!("{column} IN (SELECT c.oid FROM pg_catalog.pg_class c WHERE {all})")
}

/// Everything of the user's that no extension owns.
fn all_of(alias: &str, catalog: &str, namespace: &str) -> String {
    format!(
        "{namespace} IN (SELECT n.oid FROM pg_catalog.pg_namespace n WHERE {OWN_SCHEMAS}) \
         AND NOT EXISTS (SELECT FROM pg_catalog.pg_depend x WHERE x.classid = \
         'pg_catalog.{catalog}'::regclass AND x.objid = {alias}.oid AND x.deptype = 'e')"
    )
}

// The queries below are planned anew each time, and planning them takes longer than running them.
// So each reads one catalog and looks up the rest row by row, where there is something to look up.

fn relation_query(scoped: bool) -> String {
    format!(
        "SELECT c.oid, n.nspname, c.relname, c.relkind, pg_catalog.concat_ws('; ', \
         CASE c.relpersistence WHEN 'u' THEN 'unlogged' WHEN 't' THEN 'temporary' END, \
         CASE WHEN c.relkind = 'p' THEN 'partition by ' || \
         pg_catalog.pg_get_partkeydef(c.oid) END, \
         (SELECT 'parents ' || pg_catalog.string_agg(h.inhparent::regclass::text, ', ' ORDER BY \
         h.inhseqno) FROM pg_catalog.pg_inherits h WHERE h.inhrelid = c.oid), \
         CASE WHEN c.relispartition THEN pg_catalog.pg_get_expr(c.relpartbound, c.oid) END, \
         CASE WHEN c.relkind = 'f' THEN (SELECT 'foreign, server ' || s.srvname FROM \
         pg_catalog.pg_foreign_table f JOIN pg_catalog.pg_foreign_server s ON s.oid = f.ftserver \
         WHERE f.ftrelid = c.oid) END, \
         CASE WHEN c.relrowsecurity THEN 'row security' END, \
         CASE WHEN c.relforcerowsecurity THEN 'forced on its owner' END, \
         'with ' || pg_catalog.array_to_string(c.reloptions, ', ')), \
         CASE WHEN c.relkind IN ('v', 'm') THEN pg_catalog.pg_get_viewdef(c.oid) END \
         FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace \
         WHERE n.nspname <> 'whimbrel' AND c.relkind IN ('r', 'p', 'f', 'v', 'm', 'S') AND {} \
         ORDER BY n.nspname, c.relname",
        relations("c.oid", scoped)
    )
}

fn column_query(scoped: bool, major: u32) -> String {
    let generated = if major < GENERATED_SINCE { "''" } else { "a.attgenerated" };
    format!(
        "SELECT a.attrelid, a.attnum, a.attname, pg_catalog.format_type(a.atttypid, a.atttypmod), \
         a.attnotnull, CASE WHEN a.atthasdef THEN (SELECT \
         pg_catalog.pg_get_expr(d.adbin, d.adrelid) FROM pg_catalog.pg_attrdef d WHERE \
         d.adrelid = a.attrelid AND d.adnum = a.attnum) END, \
         {generated}, a.attidentity, pg_catalog.concat_ws('; ', CASE a.attidentity WHEN 'a' THEN \
         'identity always' WHEN 'd' THEN 'identity by default' END, CASE WHEN a.attcollation <> 0 \
         THEN (SELECT 'collate ' || o.collname FROM pg_catalog.pg_collation o WHERE o.oid = \
         a.attcollation AND o.oid <> (SELECT t.typcollation FROM pg_catalog.pg_type t WHERE \
         t.oid = a.atttypid)) END, (SELECT 'comment ' || pg_catalog.quote_literal(m.description) \
         FROM pg_catalog.pg_description m WHERE m.objoid = a.attrelid AND m.classoid = \
         'pg_catalog.pg_class'::regclass AND m.objsubid = a.attnum)) \
         FROM pg_catalog.pg_attribute a \
         WHERE a.attnum > 0 AND NOT a.attisdropped AND {} ORDER BY a.attrelid, a.attnum",
        relations("a.attrelid", scoped)
    )
}

/// A foreign key to a partitioned table has copies for each partition, which nobody declared.
fn constraint_query(scoped: bool) -> String {
    format!(
        "SELECT k.conrelid, k.conname, k.contype, k.conkey, CASE WHEN k.contype = 'f' THEN \
         (SELECT ARRAY[n.nspname, f.relname] FROM pg_catalog.pg_class f JOIN \
         pg_catalog.pg_namespace n ON n.oid = f.relnamespace WHERE f.oid = k.confrelid) END, \
         CASE WHEN k.contype = 'f' THEN ARRAY(SELECT a.attname FROM pg_catalog.pg_attribute a \
         WHERE a.attrelid = k.confrelid AND a.attnum = ANY (k.confkey) \
         ORDER BY pg_catalog.array_position(k.confkey, a.attnum)) END, \
         k.confdeltype, k.confupdtype, \
         CASE WHEN k.contype = 'c' THEN pg_catalog.pg_get_expr(k.conbin, k.conrelid) END, \
         CASE WHEN k.contype = 'x' OR k.condeferrable OR NOT k.convalidated \
         THEN pg_catalog.pg_get_constraintdef(k.oid) END \
         FROM pg_catalog.pg_constraint k \
         WHERE k.contype IN ('p', 'u', 'f', 'c', 'x') AND {} AND (k.conparentid = 0 OR NOT EXISTS \
         (SELECT FROM pg_catalog.pg_constraint o WHERE o.oid = k.conparentid AND o.conrelid = \
         k.conrelid)) ORDER BY k.conrelid, k.conname",
        relations("k.conrelid", scoped)
    )
}

/// An index of a partitioned table is called invalid until all partitions have theirs; no failed
/// build left it.
fn index_query(scoped: bool) -> String {
    format!(
        "SELECT i.indrelid, x.relname, i.indisunique, i.indisvalid OR x.relkind = 'I', \
         pg_catalog.pg_get_expr(i.indpred, i.indrelid), (SELECT k.contype FROM \
         pg_catalog.pg_constraint k WHERE k.conrelid = i.indrelid AND k.conindid = i.indexrelid \
         AND k.contype IN ('p', 'u', 'x')), i.indkey, i.indnkeyatts, CASE WHEN i.indexprs IS NOT \
         NULL \
         THEN ARRAY(SELECT pg_catalog.pg_get_indexdef(i.indexrelid, p.n, false) \
         FROM pg_catalog.generate_series(1, i.indnkeyatts::int) AS p(n)) END \
         FROM pg_catalog.pg_index i JOIN pg_catalog.pg_class x ON x.oid = i.indexrelid \
         WHERE {} ORDER BY i.indrelid, x.relname",
        relations("i.indrelid", scoped)
    )
}

fn trigger_query(scoped: bool) -> String {
    format!(
        "SELECT t.tgrelid, t.tgname, pg_catalog.pg_get_triggerdef(t.oid), t.tgenabled \
         FROM pg_catalog.pg_trigger t WHERE NOT t.tgisinternal AND {} ORDER BY t.tgrelid, t.tgname",
        relations("t.tgrelid", scoped)
    )
}

fn routine_query(scoped: bool) -> String {
    let wanted = if scoped {
        found("o.oid", "routines", "oid")
    } else {
        all_of("o", "pg_proc", "o.pronamespace")
    };
    format!(
        "SELECT s.nspname, o.proname, pg_catalog.pg_get_function_identity_arguments(o.oid), \
         CASE WHEN o.prokind = 'a' THEN 'aggregate of ' || (SELECT g.aggtransfn::text FROM \
         pg_catalog.pg_aggregate g WHERE g.aggfnoid = o.oid) \
         ELSE pg_catalog.pg_get_functiondef(o.oid) END \
         FROM pg_catalog.pg_proc o JOIN pg_catalog.pg_namespace s ON s.oid = o.pronamespace \
         WHERE {wanted} ORDER BY 1, 2, 3"
    )
}

/// One row for each value of an enum, one for any other type. Types that a table, an array or a
/// range brings along are left out.
fn type_query(scoped: bool) -> String {
    let wanted = if scoped {
        found("o.oid", "types", "oid")
    } else {
        all_of("o", "pg_type", "o.typnamespace")
    };
    format!(
        "SELECT o.oid, s.nspname, o.typname, e.enumlabel, CASE o.typtype WHEN 'e' THEN 'enum' \
         WHEN 'd' THEN pg_catalog.concat_ws(' ', 'domain', \
         pg_catalog.format_type(o.typbasetype, o.typtypmod), \
         CASE WHEN o.typnotnull THEN 'not null' END, 'default ' || o.typdefault, \
         (SELECT pg_catalog.string_agg(pg_catalog.pg_get_constraintdef(k.oid), ' ' ORDER BY \
         k.conname) FROM pg_catalog.pg_constraint k WHERE k.contypid = o.oid AND \
         k.contype = 'c')) \
         WHEN 'c' THEN 'composite ' || coalesce((SELECT pg_catalog.string_agg(\
         pg_catalog.quote_ident(a.attname) || ' ' || \
         pg_catalog.format_type(a.atttypid, a.atttypmod), ', ' ORDER BY a.attnum) FROM \
         pg_catalog.pg_attribute a WHERE a.attrelid = o.typrelid AND \
         a.attnum > 0 AND NOT a.attisdropped), '') \
         WHEN 'r' THEN 'range of ' || (SELECT pg_catalog.format_type(r.rngsubtype, NULL) FROM \
         pg_catalog.pg_range r WHERE r.rngtypid = o.oid) ELSE 'base' END \
         FROM pg_catalog.pg_type o JOIN pg_catalog.pg_namespace s ON s.oid = o.typnamespace \
         LEFT JOIN pg_catalog.pg_enum e ON e.enumtypid = o.oid \
         WHERE {wanted} AND o.typtype IN ('e', 'd', 'c', 'r', 'b') AND (o.typrelid = 0 OR EXISTS \
         (SELECT FROM pg_catalog.pg_class c WHERE c.oid = o.typrelid AND c.relkind = 'c')) \
         AND NOT EXISTS (SELECT FROM pg_catalog.pg_type b WHERE b.oid = o.typelem AND b.typarray = \
         o.oid) ORDER BY s.nspname, o.typname, o.oid, e.enumsortorder"
    )
}

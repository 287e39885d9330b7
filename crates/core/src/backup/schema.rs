//! Whether two texts of the servers' dump programs say the same of a schema.

use std::collections::BTreeMap;

/// Types of several words, as PostgreSQL writes them behind `::`.
const LONG_TYPES: [&str; 7] = [
    "character varying",
    "double precision",
    "bit varying",
    "timestamp without time zone",
    "timestamp with time zone",
    "time without time zone",
    "time with time zone",
];

/// What the first lines of such a comment tell is of the dump, not of the schema.
const OF_THE_DUMP: [&str; 6] = [
    "-- Dump completed",
    "-- Dumped ",
    "-- Host:",
    "-- Server version",
    "-- MariaDB dump",
    "-- MySQL",
];

/// What differs between two schemas, given as their dumps: in words, one for each object.
///
/// PostgreSQL moves casts and parentheses of an expression when it reads it again, so those are
/// not compared; neither are the next numbers of MariaDB's tables and sequences, which are not the
/// schema's.
pub fn schema_differences(saved: &str, restored: &str) -> Vec<String> {
    let (saved, restored) = (objects(saved), objects(restored));
    let mut out = Vec::new();
    for (name, text) in &saved {
        match restored.get(name) {
            None => out.push(format!("`{name}` is missing")),
            Some(other) if other != text => out.push(format!("`{name}` differs")),
            Some(_) => {}
        }
    }
    let extra = restored.keys().filter(|name| !saved.contains_key(*name));
    out.extend(extra.map(|name| format!("`{name}` was not there")));
    out
}

/// Each comment of the dump with what follows it, up to the next one.
fn objects(text: &str) -> BTreeMap<String, String> {
    let mut out: BTreeMap<String, String> = BTreeMap::new();
    let mut name = String::new();
    for line in text.lines() {
        if let Some(comment) = line.strip_prefix("-- ") {
            if !OF_THE_DUMP.iter().any(|start| line.starts_with(start)) {
                name = comment.split("; Owner:").next().unwrap_or_default().to_owned();
                name.truncate(name.find("for database").unwrap_or(name.len()));
            }
            out.entry(name.clone()).or_default();
            continue;
        }
        let guard = line.starts_with("\\restrict") || line.starts_with("\\unrestrict");
        let moves = line.starts_with("ALTER DATABASE `") || line.starts_with("DO SETVAL(");
        if line == "--" || guard || moves {
            continue;
        }
        bare(line, out.entry(name.clone()).or_default());
    }
    out
}

/// Appends a line without blanks, parentheses, casts and counters.
fn bare(line: &str, out: &mut String) {
    let mut rest = line;
    while let Some(c) = rest.chars().next() {
        if let Some(cast) = rest.strip_prefix("::") {
            rest = after_type(cast);
            continue;
        }
        if let Some(counter) = rest.strip_prefix(" AUTO_INCREMENT=") {
            rest = counter.trim_start_matches(|c: char| c.is_ascii_digit());
            continue;
        }
        if !c.is_whitespace() && c != '(' && c != ')' {
            out.push(c);
        }
        rest = rest.get(c.len_utf8()..).unwrap_or_default();
    }
}

/// What follows the name of a type.
fn after_type(text: &str) -> &str {
    let long = LONG_TYPES.iter().find_map(|name| text.strip_prefix(name));
    let is_name = |c: char| c.is_alphanumeric() || matches!(c, '_' | '.' | '"');
    let mut rest = long.unwrap_or_else(|| text.trim_start_matches(is_name));
    if let Some((size, after)) = rest.strip_prefix('(').and_then(|rest| rest.split_once(')'))
        && size.bytes().all(|byte| byte.is_ascii_digit() || byte == b',')
    {
        rest = after;
    }
    while let Some(after) = rest.strip_prefix("[]") {
        rest = after;
    }
    rest
}

#[cfg(test)]
mod tests {
    use super::*;

    const SAVED: &str = "--\n-- Dumped from database version 15.18\n\n\\restrict abc\n\
        -- Name: people; Type: TABLE; Schema: public; Owner: -\n--\n\n\
        CREATE TABLE public.people (\n    id integer,\n    CONSTRAINT c CHECK (((kind)::text = ANY \
        ((ARRAY['a'::character varying, 'b'::character varying])::text[])))\n);\n\n\
        -- Name: by_id; Type: INDEX; Schema: public; Owner: -\n--\n\n\
        CREATE INDEX by_id ON public.people USING btree (id);\n";

    #[test]
    fn what_the_server_writes_otherwise_is_the_same() {
        let again = SAVED
            .replace("15.18", "15.19")
            .replace("\\restrict abc", "\\restrict xyz")
            .replace("Owner: -", "Owner: me")
            .replace(
                "(((kind)::text = ANY ((ARRAY['a'::character varying, 'b'::character \
                 varying])::text[])))",
                "(((kind)::text = ANY (ARRAY[('a'::character varying)::text, ('b'::character \
                 varying)::text])))",
            );
        assert_ne!(again, SAVED);
        assert_eq!(schema_differences(SAVED, &again), Vec::<String>::new());
        let one = ") ENGINE=InnoDB AUTO_INCREMENT=42 DEFAULT CHARSET=utf8mb4;\n";
        assert!(schema_differences(one, ") ENGINE=InnoDB DEFAULT CHARSET=utf8mb4;\n").is_empty());
    }

    #[test]
    fn what_is_missing_or_changed_is_named() {
        let index = SAVED.find("-- Name: by_id").unwrap();
        let missing = schema_differences(SAVED, &SAVED[..index]);
        assert_eq!(missing, ["`Name: by_id; Type: INDEX; Schema: public` is missing"]);
        let extra = schema_differences(&SAVED[..index], SAVED);
        assert_eq!(extra, ["`Name: by_id; Type: INDEX; Schema: public` was not there"]);
        let changed = schema_differences(SAVED, &SAVED.replace("'b'", "'c'"));
        assert_eq!(changed, ["`Name: people; Type: TABLE; Schema: public` differs"]);
    }
}

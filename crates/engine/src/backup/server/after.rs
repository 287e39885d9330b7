//! What comes after the rows in PostgreSQL: keys and indexes on several connections, the rest after
//! them in its order.

use std::collections::BTreeMap;

use tokio::task::JoinSet;
use whimbrel_core::backup::Contents;
use whimbrel_core::sql::dialect::Dialect;
use whimbrel_core::sql::lexer::{Token, TokenKind, lex};

use super::partial::table_behind;
use super::rows::{CONNECTIONS, all_of};
use super::{ServerSide, postgres, programs};
use crate::backend::Session;
use crate::error::EngineError;

/// Fewest bytes of rows for which it is worth while.
const BYTES_MIN: u64 = 16 * 1024 * 1024;
/// How pg_dump begins the comment above each object, and what it says of its kind.
const HEAD: &str = "-- Name: ";
const KEY: &str = "; Type: CONSTRAINT;";
const INDEX: &str = "; Type: INDEX;";
const COMMENT: &str = "; Type: COMMENT;";

/// A text of pg_dump in pieces.
#[derive(Debug, PartialEq, Eq)]
struct Phases<'a> {
    /// What every connection must be told first.
    settings: &'a str,
    /// Primary keys and such, with their tables; those of one table exclude each other.
    keys: Vec<(String, Vec<&'a str>)>,
    /// Indexes with their tables; they do not exclude each other.
    indexes: Vec<(String, Vec<&'a str>)>,
    /// What needs those.
    rest: &'a str,
}

impl ServerSide<'_> {
    /// Runs PostgreSQL's text of what comes after the rows.
    pub(super) async fn after_rows(
        &self,
        session: &mut dyn Session,
        contents: &Contents,
        text: Vec<u8>,
    ) -> Result<(), EngineError> {
        let program = programs::postgres("psql", postgres::major(session).await?).await?;
        let (arguments, access) = (postgres::client_arguments(), self.access()?);
        let bytes: u64 = contents.parts.iter().map(|part| part.bytes).sum();
        let whole = std::str::from_utf8(&text).ok().filter(|_| bytes >= BYTES_MIN);
        let phases = whole.and_then(phases);
        let Some(Phases { settings, keys, indexes, rest }) = phases else {
            return program.run(&arguments, &access, &text, &self.place.stop).await.map(drop);
        };
        for pieces in [keys, indexes] {
            let mut running = JoinSet::new();
            for share in shares(pieces, contents) {
                let text = format!("{settings}{share}");
                let (program, arguments) = (program.clone(), arguments.clone());
                let (access, stop) = (access.clone(), self.place.stop.clone());
                running.spawn(async move {
                    program.run(&arguments, &access, text.as_bytes(), &stop).await.map(drop)
                });
            }
            all_of(running).await?;
        }
        let text = format!("{settings}{rest}");
        program.run(&arguments, &access, text.as_bytes(), &self.place.stop).await.map(drop)
    }
}

/// The pieces in as many texts as there are connections, each with about the same amount of rows.
fn shares(mut pieces: Vec<(String, Vec<&str>)>, contents: &Contents) -> Vec<String> {
    let mut rows: BTreeMap<String, u64> = BTreeMap::new();
    for part in &contents.parts {
        if let Some(of) = &part.rows {
            *rows.entry(of.name()).or_default() += part.bytes;
        }
    }
    let work = |(table, texts): &(String, Vec<&str>)| {
        let bytes = rows.get(table).copied().unwrap_or_default();
        bytes.saturating_mul(texts.len() as u64).saturating_add(1)
    };
    pieces.sort_by_key(|piece| std::cmp::Reverse(work(piece)));
    let mut out: Vec<(u64, String)> = vec![(0, String::new()); CONNECTIONS];
    for piece in pieces {
        if let Some((sum, text)) = out.iter_mut().min_by_key(|(sum, _)| *sum) {
            *sum = sum.saturating_add(work(&piece));
            text.extend(piece.1);
        }
    }
    out.into_iter().map(|(_, text)| text).filter(|text| !text.is_empty()).collect()
}

/// Takes a text of pg_dump apart; `None` where it has another form than is known here.
fn phases(text: &str) -> Option<Phases<'_>> {
    let tokens = lex(text, Dialect::Postgres);
    let is_head =
        |token: &&Token| token.kind == TokenKind::LineComment && token.text(text).starts_with(HEAD);
    let starts: Vec<usize> = tokens.iter().filter(is_head).map(|token| token.span.start).collect();
    let settings = text.get(..*starts.first()?)?;
    let (mut keys, mut indexes) = (BTreeMap::<String, Vec<&str>>::new(), Vec::new());
    let (mut taken, mut ends) = (*starts.first()?, starts.iter().skip(1).copied());
    // The last object that was taken; a comment is one about it.
    let mut last: Option<(bool, String)> = None;
    for start in &starts {
        let end = ends.next().unwrap_or(text.len());
        let piece = text.get(*start..end)?;
        let head = piece.lines().next()?;
        if piece.contains("\nSET ") {
            // It holds for what follows.
            return None;
        }
        match (head, &last) {
            _ if head.contains(KEY) => {
                let table = table_behind(piece, "TABLE")?;
                keys.entry(table.clone()).or_default().push(piece);
                last = Some((true, table));
            }
            _ if head.contains(INDEX) && !piece.contains("\nALTER ") => {
                let table = table_behind(piece, "ON")?;
                indexes.push((table.clone(), vec![piece]));
                last = Some((false, table));
            }
            (_, Some((is_key, table))) if head.contains(COMMENT) => match is_key {
                true => keys.entry(table.clone()).or_default().push(piece),
                false => indexes.last_mut()?.1.push(piece),
            },
            _ => break,
        }
        taken = end;
    }
    let rest = text.get(taken..)?;
    Some(Phases { settings, keys: keys.into_iter().collect(), indexes, rest })
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "--\n-- PostgreSQL database dump\n--\n\n\\restrict abc\nSET a = 1;\n\n--\n\
        -- Name: p p_pkey; Type: CONSTRAINT; Schema: s; Owner: -\n--\n\n\
        ALTER TABLE ONLY s.\"my p\"\n    ADD CONSTRAINT p_pkey PRIMARY KEY (id);\n\n\n--\n\
        -- Name: CONSTRAINT p_pkey; Type: COMMENT; Schema: s; Owner: -\n--\n\n\
        COMMENT ON CONSTRAINT p_pkey ON s.p IS 'a\n-- Name: x; Type: INDEX; ';\n\n\n--\n\
        -- Name: q q_k; Type: CONSTRAINT; Schema: s; Owner: -\n--\n\n\
        ALTER TABLE ONLY s.q\n    ADD CONSTRAINT q_k UNIQUE (id);\n\n\n--\n\
        -- Name: on_q; Type: INDEX; Schema: s; Owner: -\n--\n\n\
        CREATE INDEX on_q ON ONLY s.q USING btree (b);\n\n\n--\n\
        -- Name: t; Type: TRIGGER; Schema: s; Owner: -\n--\n\n\
        CREATE TRIGGER t AFTER INSERT ON s.q EXECUTE FUNCTION f();\n\n\n--\n\
        -- Name: late; Type: INDEX; Schema: s; Owner: -\n--\n\n\
        CREATE INDEX late ON s.q USING btree (b);\n\n";

    #[test]
    fn a_dump_is_taken_apart_and_nothing_is_lost() {
        let found = phases(TEXT).unwrap();
        let names = |all: &[(String, Vec<&str>)]| -> Vec<(String, usize)> {
            all.iter().map(|(table, texts)| (table.clone(), texts.len())).collect()
        };
        assert_eq!(names(&found.keys), [("s.my p".to_owned(), 2), ("s.q".to_owned(), 1)]);
        assert_eq!(names(&found.indexes), [("s.q".to_owned(), 1)]);
        assert!(found.settings.ends_with("SET a = 1;\n\n--\n"));
        assert!(found.rest.starts_with("-- Name: t; Type: TRIGGER"));
        assert!(found.rest.contains("CREATE INDEX late"));
        let pieces = found.keys.iter().chain(&found.indexes).flat_map(|(_, texts)| texts);
        let length: usize = pieces.map(|text| text.len()).sum();
        assert_eq!(found.settings.len() + length + found.rest.len(), TEXT.len());
        let shared = shares(found.keys, &Contents::default());
        assert_eq!(shared.len(), 2);
        assert!(shared.iter().any(|text| text.contains("COMMENT ON")));
    }

    #[test]
    fn what_is_not_known_is_left_in_its_order() {
        let set = TEXT.replace("CREATE INDEX on_q", "SET b = 2;\n\nCREATE INDEX on_q");
        assert_eq!(phases(&set), None);
        assert_eq!(phases("SELECT 1;\n"), None);
        let alter = TEXT.replace(
            "btree (b);\n\n\n--",
            "btree (b);\n\nALTER TABLE s.q CLUSTER ON on_q;\n\n\n--",
        );
        assert_eq!(phases(&alter).unwrap().indexes, []);
        assert_eq!(phases(&TEXT.replace("s.\"my p\"", "")), None);
    }
}

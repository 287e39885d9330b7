//! Rows of some tables only.

use whimbrel_core::backup::Contents;
use whimbrel_core::sql::dialect::Dialect;
use whimbrel_core::sql::lexer::{TokenKind, ident_value, lex};

use crate::error::EngineError;

/// The same contents with the rows of these tables only; of all when none is named.
pub(super) fn only(contents: Contents, names: &[String]) -> Result<Contents, EngineError> {
    if names.is_empty() {
        return Ok(contents);
    }
    let is = |full: &str, name: &str| {
        full == name || full.rsplit_once('.').is_some_and(|(_, table)| table == name)
    };
    let missing = |name: &&String| !contents.tables.iter().any(|table| is(&table.name, name));
    if let Some(name) = names.iter().find(missing) {
        let message = format!("The backup holds no rows of a table `{name}`");
        return Err(EngineError::NotFound(message));
    }
    let mut contents = contents;
    contents.tables.retain(|table| names.iter().any(|name| is(&table.name, name)));
    contents.partial = true;
    Ok(contents)
}

/// PostgreSQL's text of what comes after the rows, without the foreign keys that cannot hold
/// because the rows that they point to were left out.
pub(super) fn without_keys(text: Vec<u8>, contents: &Contents) -> Vec<u8> {
    if !contents.partial {
        return text;
    }
    let here = |name: &str| contents.tables.iter().any(|table| table.name == name);
    let Ok(text) = String::from_utf8(text) else { return Vec::new() };
    let mut out = String::with_capacity(text.len());
    for (index, object) in text.split("\n-- Name: ").enumerate() {
        let (head, _) = object.split_once('\n').unwrap_or((object, ""));
        if head.contains("; Type: FK CONSTRAINT;") && index > 0 {
            let (child, parent) = tables_of_key(object);
            if here(&child) && !here(&parent) {
                continue;
            }
        }
        if index > 0 {
            out.push_str("\n-- Name: ");
        }
        out.push_str(object);
    }
    out.into_bytes()
}

/// The table that has a foreign key and the one that it points to:
/// `ALTER TABLE ONLY a.b ADD CONSTRAINT c FOREIGN KEY (d) REFERENCES e.f(g)`.
fn tables_of_key(sql: &str) -> (String, String) {
    let named = |word| table_behind(sql, word).unwrap_or_default();
    (named("TABLE"), named("REFERENCES"))
}

/// The table, with its schema, that is named behind the first `word`.
pub(super) fn table_behind(sql: &str, word: &str) -> Option<String> {
    let tokens = lex(sql, Dialect::Postgres);
    let code: Vec<_> = tokens.iter().filter(|token| !token.is_trivia()).collect();
    let at = code.iter().position(|token| token.is_word(sql, word))? + 1;
    let names = code.get(at..)?.iter().filter(|token| !token.is_word(sql, "ONLY"));
    let mut out = String::new();
    for token in names {
        match token.kind {
            TokenKind::Word | TokenKind::QuotedIdent => {
                out.push_str(&ident_value(token.text(sql), Dialect::Postgres));
            }
            _ if token.text(sql) == "." => out.push('.'),
            _ => break,
        }
        let follows = out.ends_with('.') || !out.contains('.');
        if !follows {
            break;
        }
    }
    out.contains('.').then_some(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_names_its_tables() {
        let sql = "ALTER TABLE ONLY public.\"my posts\"\n    ADD CONSTRAINT k FOREIGN KEY (a) \
                   REFERENCES other.people(id) ON DELETE CASCADE;\n";
        let (child, parent) = tables_of_key(sql);
        assert_eq!((child.as_str(), parent.as_str()), ("public.my posts", "other.people"));
    }
}

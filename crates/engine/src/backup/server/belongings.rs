//! PostgreSQL: what belongs to a database and is no part of a backup: its owner, privileges and
//! settings, and the owners and privileges of what is in it. By the dump program's text.

use whimbrel_core::sql::dialect::Dialect;
use whimbrel_core::sql::lexer::{Token, lex};
use whimbrel_core::sql::split::split;

use super::{ServerSide, postgres};
use crate::backend::{DbError, Session};
use crate::error::EngineError;

/// Codes of the errors for what is not in the other database: table, column, routine, another
/// object, schema, an object of another kind.
const NOT_THERE: [&str; 6] = ["42P01", "42703", "42883", "42704", "3F000", "42809"];

/// Statements that give another database what belongs to this one.
#[derive(Debug, Default)]
pub(crate) struct Belongings {
    /// About the database itself; they name it.
    pub(crate) database: Vec<String>,
    /// About what is in it.
    objects: Vec<String>,
}

/// What a statement of the dump program is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum About {
    Database,
    Objects,
    /// Who speaks, which matters for both.
    Both,
}

impl ServerSide<'_> {
    /// Reads what belongs to the database.
    pub(crate) async fn belongings(
        &self,
        session: &mut dyn Session,
    ) -> Result<Belongings, EngineError> {
        let dump = self.pg_dump(session).await?;
        let arguments = [
            "--format=plain",
            "--encoding=UTF8",
            "--schema-only",
            "--create",
            "--no-subscriptions",
            "--no-tablespaces",
            "--no-password",
        ];
        let mut arguments = arguments.map(str::to_owned).to_vec();
        arguments.push(format!("--lock-wait-timeout={}", self.lock_timeout_ms.max(1)));
        let out = dump.run(&arguments, &self.access()?, b"", &self.place.stop).await?;
        if !postgres::is_complete(&out) {
            return Err(super::save::cut_short(&dump));
        }
        belongings_in(&String::from_utf8_lossy(&out))
    }
}

impl Belongings {
    /// Refuses what this role may not say about a database, before anything is done: all of it is
    /// said of the one that is there, and rolled back.
    pub(crate) async fn refuse(&self, session: &mut dyn Session) -> Result<(), EngineError> {
        session.batch("BEGIN").await?;
        let mut said = Ok(());
        for statement in &self.database {
            said = session.batch(statement).await.map_err(|error| cannot(statement, &error));
            if said.is_err() {
                break;
            }
        }
        session.batch("ROLLBACK").await?;
        said
    }

    /// Gives the objects of the database of `session` their owners and privileges, as far as they
    /// are there.
    pub(crate) async fn give(&self, session: &mut dyn Session) -> Result<(), EngineError> {
        for statement in &self.objects {
            match session.batch(statement).await {
                Err(error) if NOT_THERE.contains(&error.code.as_deref().unwrap_or_default()) => {}
                Err(error) => return Err(cannot(statement, &error)),
                Ok(()) => {}
            }
        }
        Ok(())
    }
}

fn cannot(statement: &str, error: &DbError) -> EngineError {
    EngineError::Refused(format!(
        "What belongs to the database and is in no backup cannot be given to the new one: {error} \
         (`{statement}`); let the role do that, or connect as one that may"
    ))
}

fn belongings_in(text: &str) -> Result<Belongings, EngineError> {
    // Lines for the client: `\connect`, `\restrict`.
    let lines = text.lines().filter(|line| !line.starts_with('\\'));
    let text = lines.collect::<Vec<_>>().join("\n");
    let statements = split(&text, Dialect::Postgres).map_err(|error| {
        EngineError::Refused(format!("The dump program's text is not understood: {error}"))
    })?;
    let mut out = Belongings::default();
    for statement in &statements {
        let sql = statement.text(&text);
        let about = about(sql);
        if matches!(about, Some(About::Database | About::Both)) {
            out.database.push(sql.to_owned());
        }
        if matches!(about, Some(About::Objects | About::Both)) {
            out.objects.push(sql.to_owned());
        }
    }
    Ok(out)
}

fn about(sql: &str) -> Option<About> {
    let tokens: Vec<Token> = lex(sql, Dialect::Postgres);
    let code: Vec<&Token> = tokens.iter().filter(|token| !token.is_trivia()).collect();
    let at = |index: usize, word: &str| code.get(index).is_some_and(|one| one.is_word(sql, word));
    let has = |words: &[&str]| {
        code.windows(words.len())
            .any(|some| some.iter().zip(words).all(|(one, word)| one.is_word(sql, word)))
    };
    if (at(0, "SET") || at(0, "RESET")) && at(1, "SESSION") && at(2, "AUTHORIZATION") {
        return Some(About::Both);
    }
    if (at(0, "GRANT") || at(0, "REVOKE") || at(0, "COMMENT")) && has(&["ON", "DATABASE"]) {
        return Some(About::Database);
    }
    if at(0, "GRANT") || at(0, "REVOKE") {
        return Some(About::Objects);
    }
    if !at(0, "ALTER") {
        return None;
    }
    if at(1, "DATABASE") || at(1, "ROLE") {
        return Some(About::Database);
    }
    let objects = (at(1, "DEFAULT") && at(2, "PRIVILEGES")) || has(&["OWNER", "TO"]);
    objects.then_some(About::Objects)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_belongs_to_the_database_is_told_from_what_is_in_it() {
        let text = "SET statement_timeout = 0;\n\\connect app\n\
            CREATE DATABASE app WITH TEMPLATE = template0 ENCODING = 'UTF8';\n\
            ALTER DATABASE app OWNER TO ann;\nALTER DATABASE app CONNECTION LIMIT = 7;\n\
            ALTER ROLE bob IN DATABASE app SET work_mem TO '9MB';\n\
            CREATE FUNCTION f() RETURNS text LANGUAGE sql AS $$ SELECT 'OWNER TO x' $$;\n\
            ALTER FUNCTION public.f() OWNER TO ann;\n\
            CREATE TABLE public.t (a text DEFAULT 'GRANT');\nALTER TABLE public.t OWNER TO ann;\n\
            ALTER TABLE ONLY public.t ADD CONSTRAINT t_pkey PRIMARY KEY (a);\n\
            GRANT ALL ON DATABASE app TO bob;\nGRANT SELECT ON TABLE public.t TO bob;\n\
            ALTER DEFAULT PRIVILEGES FOR ROLE ann GRANT SELECT ON TABLES TO bob;\n";
        let found = belongings_in(text).unwrap();
        assert_eq!(
            found.database,
            [
                "ALTER DATABASE app OWNER TO ann",
                "ALTER DATABASE app CONNECTION LIMIT = 7",
                "ALTER ROLE bob IN DATABASE app SET work_mem TO '9MB'",
                "GRANT ALL ON DATABASE app TO bob",
            ]
        );
        assert_eq!(
            found.objects,
            [
                "ALTER FUNCTION public.f() OWNER TO ann",
                "ALTER TABLE public.t OWNER TO ann",
                "GRANT SELECT ON TABLE public.t TO bob",
                "ALTER DEFAULT PRIVILEGES FOR ROLE ann GRANT SELECT ON TABLES TO bob",
            ]
        );
    }
}

//! Reading the statements of one database from a PostgreSQL log.

/// The statements in the log's text that were sent in the database `name`, in order.
///
/// An entry begins with the prefix that the servers are started with; its further lines begin
/// with a tab. A statement that cannot be parsed is logged with its error only.
pub(super) fn statements(log: &str, name: &str) -> Vec<String> {
    let mut entries = entries(log, name);
    // One that fails later is there twice.
    entries.dedup_by(|(after, failed), (before, _)| *failed && after == before);
    entries.into_iter().map(|(text, _)| text).collect()
}

/// The texts, and whether they stand with an error.
fn entries(log: &str, name: &str) -> Vec<(String, bool)> {
    let mark = format!(" db={name} ");
    let mut found: Vec<(String, bool)> = Vec::new();
    let mut inside = false;
    for line in log.lines() {
        if let Some(rest) = line.strip_prefix('\t') {
            if let (true, Some((last, _))) = (inside, found.last_mut()) {
                last.push('\n');
                last.push_str(rest);
            }
            continue;
        }
        let text = line.contains(&mark).then(|| statement(line)).flatten();
        inside = text.is_some();
        found.extend(text.map(|(text, failed)| (text.to_owned(), failed)));
    }
    found
}

fn statement(line: &str) -> Option<(&str, bool)> {
    if let Some((_, text)) = line.split_once(" STATEMENT:  ") {
        return Some((text, true));
    }
    let (_, entry) = line.split_once("LOG:  ")?;
    if let Some(text) = entry.strip_prefix("statement: ") {
        return Some((text, false));
    }
    let (_, text) = entry.strip_prefix("execute ")?.split_once(": ")?;
    Some((text, false))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn statements_of_one_database_are_found() {
        let log = "\
2026-01-01 00:00:00.000 UTC [1] db=one user=u app=psql LOG:  statement: SELECT 1
2026-01-01 00:00:00.000 UTC [2] db=two user=u app=psql LOG:  statement: SELECT 2
\tFROM two
2026-01-01 00:00:00.000 UTC [1] db=one user=u app= LOG:  execute <unnamed>: SELECT 3
\tFROM one
2026-01-01 00:00:00.000 UTC [1] db=one user=u app= DETAIL:  parameters: $1 = 'x'
\tnot a statement
2026-01-01 00:00:00.000 UTC [1] db=one user=u app=psql LOG:  statement: SELECT 1/0
2026-01-01 00:00:00.000 UTC [1] db=one user=u app=psql ERROR:  division by zero
2026-01-01 00:00:00.000 UTC [1] db=one user=u app=psql STATEMENT:  SELECT 1/0
2026-01-01 00:00:00.000 UTC [1] db=one user=u app=psql ERROR:  syntax error
2026-01-01 00:00:00.000 UTC [1] db=one user=u app=psql STATEMENT:  SELECT (
\t;
";
        assert_eq!(
            statements(log, "one"),
            ["SELECT 1", "SELECT 3\nFROM one", "SELECT 1/0", "SELECT (\n;"]
        );
    }
}

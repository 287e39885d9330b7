//! What a text reaches by the names in it: through views, functions and procedures.

use std::collections::BTreeSet;

use super::Catalog;
use super::mentions::words;

/// The text's own words, in lower case, and those of every view and routine that it names, directly
/// or through others. What a materialized view holds does not change with its tables.
pub(super) fn reached(text: &str, catalog: &Catalog<'_>) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    let mut open = vec![text];
    while let Some(text) = open.pop() {
        let mut new = words(text, catalog.dialect);
        new.retain(|word| !found.contains(word));
        let views = catalog.snapshot.views.iter().filter(|view| !view.materialized);
        let views = views.map(|view| (&view.name.name, &view.definition));
        let routines = catalog.snapshot.routines.iter();
        let routines = routines.map(|routine| (&routine.name.name, &routine.definition));
        for (name, definition) in views.chain(routines) {
            if new.contains(&name.to_lowercase()) {
                open.push(definition.as_str());
            }
        }
        found.append(&mut new);
    }
    found
}

/// Whether a text names the table, directly or through what it names.
pub(super) fn reaches(text: &str, table: &str, catalog: &Catalog<'_>) -> bool {
    reached(text, catalog).contains(&table.to_lowercase())
}

/// A text and the bodies of the routines that it names, directly or through others.
pub(super) fn bodies<'a>(text: &'a str, catalog: &Catalog<'a>) -> Vec<&'a str> {
    let named = reached(text, catalog);
    let routines = catalog.snapshot.routines.iter();
    let called = routines.filter(|routine| named.contains(&routine.name.name.to_lowercase()));
    std::iter::once(text).chain(called.map(|routine| routine.definition.as_str())).collect()
}

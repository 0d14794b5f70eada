//! Files that are too long: more than so many lines are not read at once, and more often than not they are about two things.

/// Lines.
const MOST: usize = 400;

/// Tables that may be longer, and why.
const TABLES: [(&str, &str); 0] = [];

/// One line for each file that is too long without being a table, and for each table that need not be one.
pub fn wrong<'f>(files: impl Iterator<Item = &'f str>, read: &dyn Fn(&str) -> Option<String>) -> Vec<String> {
    over(files, read, &TABLES)
}

/// The same with tables of a test's own.
pub fn over<'f>(
    files: impl Iterator<Item = &'f str>,
    read: &dyn Fn(&str) -> Option<String>,
    tables: &[(&str, &str)],
) -> Vec<String> {
    let mut said = Vec::new();
    let mut long = Vec::new();
    for file in files {
        // One that was just deleted is still in the index of git.
        let Some(text) = read(file) else { continue };
        let lines = text.lines().count();
        if lines > MOST {
            long.push(file);
            if !tables.iter().any(|(table, _)| *table == file) {
                said.push(format!("{file}: {lines} lines, more than {MOST}, and it is no table"));
            }
        }
    }
    for (table, reason) in tables.iter().filter(|(table, _)| !long.contains(table)) {
        said.push(format!("{table} is not too long: it need not be named as a table ({reason})"));
    }
    said
}

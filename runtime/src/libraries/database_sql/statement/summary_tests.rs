use super::super::{Dialect, read};

#[track_caller]
fn check(dialect: Dialect, text: &str, want: &str) {
    let summary = read(text, false, dialect, false).summary;
    assert_eq!(summary.as_deref().unwrap_or_default(), want, "{text}");
}

/// Those that the conventions have for examples.
#[test]
fn the_conventions_examples() {
    for (text, want) in [
        ("SELECT * FROM wuser_table WHERE username = ?", "SELECT wuser_table"),
        (
            "INSERT INTO shipping_details (order_id, address) SELECT order_id, address FROM orders WHERE order_id = ?",
            "INSERT shipping_details SELECT orders",
        ),
        ("SELECT * FROM songs, artists WHERE songs.artist_id = artists.id", "SELECT songs artists"),
        (
            "SELECT order_date FROM (SELECT * FROM orders o JOIN customers c ON o.customer_id = c.customer_id)",
            "SELECT SELECT orders customers",
        ),
        ("SELECT * FROM \"song list\", 'artists'", "SELECT \"song list\" 'artists'"),
        ("SELECT * FROM 's3://b/x?key=secret', \"https://u:p@h/x\"", "SELECT"),
        ("INSERT INTO a SELECT x FROM b ON DUPLICATE KEY UPDATE p = 1, q = 2", "INSERT a SELECT b"),
        ("SELECT x FROM a INTO @p, @q", "SELECT a"),
    ] {
        check(Dialect::Postgres, text, want);
    }
}

#[test]
fn queries() {
    for (text, want) in [
        ("select 1", "select"),
        ("SELECT a FROM s.t AS x", "SELECT s.t"),
        ("SELECT a FROM ONLY t", "SELECT t"),
        ("SELECT EXTRACT(YEAR FROM d), TRIM(BOTH ' ' FROM e) FROM t", "SELECT t"),
        ("SELECT SUBSTRING(a FROM 2 FOR 3) FROM t", "SELECT t"),
        ("SELECT a IS DISTINCT FROM b, c IS NOT DISTINCT FROM d FROM t", "SELECT t"),
        ("SELECT DISTINCT a FROM t", "SELECT t"),
        ("SELECT a FROM t WHERE b IN (SELECT c FROM u) AND d = 1", "SELECT t SELECT u"),
        ("SELECT a FROM t LEFT OUTER JOIN u USING (id) JOIN v ON v.id = t.id, w", "SELECT t u v w"),
        ("SELECT a FROM (t JOIN u ON true) WHERE b", "SELECT t u"),
        ("SELECT a FROM t ORDER BY b, c LIMIT 1, 2", "SELECT t"),
        ("SELECT a FROM generate_series(1, 3), t", "SELECT t"),
        ("SELECT a FROM t FOR UPDATE OF t SKIP LOCKED", "SELECT t"),
        ("SELECT a FROM t UNION ALL SELECT b FROM u", "SELECT t SELECT u"),
        ("(SELECT a FROM t) UNION (SELECT b FROM u)", "SELECT t SELECT u"),
        ("SELECT (SELECT max(a) FROM u), b FROM t", "SELECT SELECT u t"),
        ("SELECT a FROM t, LATERAL (SELECT b FROM u) x", "SELECT t SELECT u"),
        ("SELECT t.from, \"from\" FROM t", "SELECT t"),
        ("SELECT a FROM $1", "SELECT"),
        ("WITH x AS (SELECT a FROM t) SELECT a FROM x JOIN u ON true", "SELECT t SELECT u"),
        (
            "WITH RECURSIVE x (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM x), y AS (SELECT b FROM u) SELECT n FROM x, y",
            "SELECT SELECT SELECT u SELECT",
        ),
        (
            "WITH x AS MATERIALIZED (DELETE FROM t RETURNING a) INSERT INTO u SELECT a FROM x",
            "DELETE t INSERT u SELECT",
        ),
        ("EXPLAIN ANALYZE SELECT a FROM t", "EXPLAIN SELECT t"),
        ("EXPLAIN (FORMAT json, ANALYZE) SELECT a FROM t", "EXPLAIN SELECT t"),
        ("SELECT a FROM t; SELECT b FROM u;", "SELECT t SELECT u"),
        ("/* c */ SELECT a -- FROM x\nFROM t", "SELECT t"),
    ] {
        check(Dialect::Postgres, text, want);
    }
}

#[test]
fn changes() {
    for (text, want) in [
        ("INSERT INTO t (a, b) VALUES (1, 2)", "INSERT t"),
        ("INSERT INTO t VALUES ((SELECT a FROM u))", "INSERT t SELECT u"),
        ("INSERT INTO t (a) VALUES (1) ON CONFLICT (a) DO UPDATE SET b = excluded.b", "INSERT t"),
        ("UPDATE t SET a = 1 WHERE b = 2", "UPDATE t"),
        ("UPDATE t SET a = u.a FROM u WHERE t.id = u.id", "UPDATE t u"),
        ("UPDATE ONLY s.t SET a = (SELECT b FROM u), c = 2", "UPDATE s.t SELECT u"),
        ("DELETE FROM t WHERE a = 1", "DELETE t"),
        ("DELETE FROM t USING u WHERE t.id = u.id", "DELETE t u"),
        (
            "MERGE INTO t USING u ON t.id = u.id WHEN MATCHED THEN UPDATE SET a = u.a WHEN NOT MATCHED THEN INSERT (a) VALUES (1)",
            "MERGE t u",
        ),
        ("TRUNCATE TABLE t", "TRUNCATE t"),
        ("TRUNCATE t", "TRUNCATE t"),
        ("CREATE TABLE IF NOT EXISTS t (a int REFERENCES u (a) ON DELETE CASCADE, b text)", "CREATE TABLE t"),
        ("CREATE TEMP TABLE t AS SELECT a FROM u", "CREATE TABLE t SELECT u"),
        ("CREATE UNIQUE INDEX CONCURRENTLY i ON t (a)", "CREATE INDEX i"),
        ("CREATE INDEX ON t (a)", "CREATE INDEX"),
        ("CREATE OR REPLACE VIEW v AS SELECT a FROM t", "CREATE VIEW v SELECT t"),
        ("CREATE FUNCTION f() RETURNS int AS $$ SELECT 1 FROM t $$ LANGUAGE sql", "CREATE FUNCTION"),
        ("CREATE TRIGGER g BEFORE INSERT ON t EXECUTE FUNCTION f()", "CREATE TRIGGER"),
        ("CREATE USER alice PASSWORD 'x'", "CREATE USER"),
        ("DROP TABLE IF EXISTS t, s.u CASCADE", "DROP TABLE t s.u"),
        ("ALTER TABLE t ADD COLUMN a int DEFAULT 1", "ALTER TABLE t"),
        ("GRANT SELECT, UPDATE ON t TO u", "GRANT"),
        ("CALL s.p(1, 2)", "CALL s.p"),
        ("BEGIN", "BEGIN"),
        ("BEGIN READ ONLY; UPDATE t SET a = 1; COMMIT", "BEGIN UPDATE t COMMIT"),
        ("BEGIN UPDATE t SET a = 1; END", ""),
        ("CREATE PROCEDURE p() BEGIN SELECT a FROM t; DELETE FROM u; END", "CREATE PROCEDURE"),
        ("SET search_path TO a, b", "SET"),
        ("SHOW TABLES FROM d", "SHOW"),
        ("VACUUM t", "VACUUM"),
        ("COPY t (a) FROM STDIN", "COPY"),
    ] {
        check(Dialect::Postgres, text, want);
    }
}

#[test]
fn dialects() {
    for (text, want) in [
        ("SELECT a FROM `t u`.`v`", "SELECT `t u`.`v`"),
        ("REPLACE INTO t VALUES (1)", "REPLACE t"),
        ("INSERT IGNORE INTO t SET a = 1 ON DUPLICATE KEY UPDATE a = 2", "INSERT t"),
        ("UPDATE t, u SET t.a = u.a WHERE t.id = u.id", "UPDATE t u"),
        ("DELETE t FROM t JOIN u ON t.id = u.id", "DELETE t u"),
        ("DELETE t FROM t JOIN u USING (id)", "DELETE t u"),
        ("SELECT a FROM t USE INDEX (i, j), u", "SELECT t u"),
        ("SELECT REPLACE(a, 'x', 'y') FROM t", "SELECT t"),
    ] {
        check(Dialect::MySql, text, want);
    }
    for (text, want) in [
        ("INSERT OR REPLACE INTO t VALUES (1)", "INSERT t"),
        ("PRAGMA table_info(t)", "PRAGMA"),
        ("SELECT a FROM [t u]", "SELECT [t u]"),
        ("EXPLAIN QUERY PLAN SELECT a FROM t", "EXPLAIN SELECT t"),
    ] {
        check(Dialect::Sqlite, text, want);
    }
    check(Dialect::SqlServer, "SELECT TOP 1 a FROM dbo.t WITH (NOLOCK) JOIN u ON 1 = 1", "SELECT dbo.t u");
    check(Dialect::SqlServer, "EXEC dbo.p @a = 1", "EXEC dbo.p");
    check(Dialect::Oracle, "SELECT a FROM t MINUS SELECT b FROM u", "SELECT t SELECT u");
    check(Dialect::Unknown, "SELECT a FROM t WHERE b = 'c'", "SELECT t");
}

#[test]
fn what_cannot_be_told_has_none() {
    for text in [
        "",
        ";",
        "frobnicate t",
        "MATCH (n) RETURN n",
        "{\"find\": \"t\"}",
        "SELECT 'open",
        "SELECT a)",
        "42",
    ] {
        for dialect in Dialect::ALL {
            check(dialect, text, "");
        }
    }
}

#[test]
fn a_long_one_ends_with_a_whole_name() {
    let tables: Vec<String> = (0..40).map(|n| format!("table_{n}")).collect();
    let text = format!("SELECT a FROM {}", tables.join(", "));
    let summary = read(&text, false, Dialect::Postgres, false).summary.expect("a summary");
    assert!(summary.len() <= 255 && summary.len() > 240, "{}", summary.len());
    assert!(summary.split(' ').skip(1).all(|name| tables.iter().any(|table| table == name)), "{summary}");
}

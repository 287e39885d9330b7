use proptest::prelude::*;

use super::*;
use crate::secret::Secret;

/// A URL and what is printed of it, or the error.
fn printed(text: &str) -> String {
    match DatabaseUrl::parse(text) {
        Ok(url) => url.to_string(),
        Err(error) => format!("error: {error}"),
    }
}

#[track_caller]
fn check(rows: &[(&str, &str)]) {
    let wrong: Vec<String> = rows
        .iter()
        .filter(|(text, want)| printed(text) != *want)
        .map(|(text, want)| format!("{text}\n  want {want}\n  got  {}", printed(text)))
        .collect();
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[track_caller]
fn postgres(text: &str) -> PgUrl {
    match DatabaseUrl::parse(text) {
        Ok(DatabaseUrl::Postgres(url)) => *url,
        other => panic!("{text}: {other:?}"),
    }
}

#[test]
fn sqlite_addresses() {
    check(&[
        ("sqlite:app.db", "sqlite:app.db"),
        ("sqlite:data/app", "sqlite:data/app"),
        ("sqlite://app.db", "sqlite:app.db"),
        ("sqlite://data/app.db", "sqlite:data/app.db"),
        ("sqlite:///var/app.db", "sqlite:/var/app.db"),
        ("sqlite:////var/app.db", "sqlite:/var/app.db"),
        ("sqlite:/var/app.db", "sqlite:/var/app.db"),
        ("SQLITE:app.db", "sqlite:app.db"),
        ("sqlite:./app.db", "sqlite:./app.db"),
        ("sqlite:../app.db", "sqlite:../app.db"),
        ("sqlite::memory:", "sqlite::memory:"),
        ("sqlite://:memory:", "sqlite::memory:"),
        (":memory:", "sqlite::memory:"),
        ("sqlite:app.db?mode=memory", "sqlite::memory:"),
        ("file:app.db", "sqlite:app.db"),
        ("file:/var/app.db", "sqlite:/var/app.db"),
        ("file:///var/app.db", "sqlite:/var/app.db"),
        ("file://localhost/var/app.db", "sqlite:/var/app.db"),
        ("file://server/app.db", "error: A `file:` URL must not name a host"),
        ("file:app.db?mode=ro", "sqlite:app.db?mode=ro"),
        ("file:app.db?mode=rw&cache=private", "sqlite:app.db?mode=rw"),
        ("app.db", "sqlite:app.db"),
        ("data/app.sqlite", "sqlite:data/app.sqlite"),
        ("/var/app.SQLITE3", "sqlite:/var/app.SQLITE3"),
        ("./app.db3", "sqlite:./app.db3"),
        (r"C:\data\app.db", "sqlite:C%3A%5Cdata%5Capp.db"),
        ("  app.db\n", "sqlite:app.db"),
        ("my app.db", "sqlite:my%20app.db"),
        ("100%.db", "sqlite:100%25.db"),
        ("sqlite:my%20app.db", "sqlite:my%20app.db"),
        ("sqlite:dätä.db", "sqlite:d%C3%A4t%C3%A4.db"),
        ("sqlite:100%.db", "error: The path in the database URL is not valid percent-encoding"),
        ("sqlite:a%00b.db", "error: The path in the database URL is not valid percent-encoding"),
        ("sqlite:", "error: The SQLite URL names no file"),
        ("sqlite://", "error: The SQLite URL names no file"),
        ("file:", "error: The SQLite URL names no file"),
        ("sqlite:a#b.db", "error: The SQLite URL holds a `#` that is not percent-encoded"),
        (
            "sqlite:a.db?mode=rx",
            "error: The parameter `mode` must be `ro`, `rw`, `rwc` or `memory`",
        ),
        ("sqlite:a.db?mode", "error: A parameter in the database URL has no value"),
        ("sqlite:a.db?immutable=2", "error: The parameter `immutable` must be `0` or `1`"),
        (
            "sqlite:a.db?cache=shared",
            "error: The parameter `cache` is not supported in a database URL",
        ),
        (
            "sqlite:a.db?vfs=unix-none",
            "error: The parameter `vfs` is not supported in a database URL",
        ),
        ("sqlite:a.db?mod=ro", "error: Unknown parameter `mod` in the database URL"),
        ("app.txt", "error: The text is neither a database URL nor the path of a SQLite file"),
        ("app", "error: The text is neither a database URL nor the path of a SQLite file"),
        ("", "error: The database URL is empty"),
        (" \n", "error: The database URL is empty"),
        ("sqlite:a\nb.db", "error: The database URL holds a control character"),
        ("sqlite3://app.db", "error: Unknown kind of database `sqlite3`"),
    ]);
}

#[test]
fn postgres_addresses() {
    check(&[
        ("postgres://", "postgres://"),
        ("postgresql://", "postgres://"),
        ("POSTGRES://h/d", "postgres://h/d"),
        ("postgres://localhost", "postgres://localhost"),
        ("postgres://localhost/db", "postgres://localhost/db"),
        ("postgres://localhost:5432/db", "postgres://localhost/db"),
        ("postgres://localhost:6000/db", "postgres://localhost:6000/db"),
        ("postgres://u@h/db", "postgres://u@h/db"),
        ("postgres://u:p@h/db", "postgres://u:***@h/db"),
        ("postgres://u:@h/db", "postgres://u@h/db"),
        ("postgres://:p@h/db", "postgres://:***@h/db"),
        ("postgres://@h/db", "postgres://h/db"),
        ("postgres:///db", "postgres:///db"),
        ("postgres://u@/db", "postgres://u@/db"),
        ("postgres:///db?host=/run/postgresql", "postgres://%2Frun%2Fpostgresql/db"),
        ("postgres://%2Frun%2Fpostgresql/db", "postgres://%2Frun%2Fpostgresql/db"),
        ("postgres://%2Frun%2Fpg:6000/db", "postgres://%2Frun%2Fpg:6000/db"),
        ("postgres://%40abstract/db", "postgres://%40abstract/db"),
        ("postgres://[::1]/db", "postgres://[::1]/db"),
        ("postgres://u:p@[2001:db8::1]:6000/db", "postgres://u:***@[2001:db8::1]:6000/db"),
        ("postgres://[::1/db", "error: A host in the database URL is not valid"),
        ("postgres://[zz]/db", "error: A host in the database URL is not valid"),
        ("postgres://[::1]x/db", "error: A host in the database URL is not valid"),
        ("postgres://a,b/db", "postgres://a,b/db"),
        ("postgres://a:1,b:2/db", "postgres://a:1,b:2/db"),
        ("postgres://a,b:2/db", "postgres://a,b:2/db"),
        ("postgres://[::1]:1,h:2/db", "postgres://[::1]:1,h:2/db"),
        ("postgres://a,b/db?port=7", "postgres://a:7,b:7/db"),
        ("postgres://a,b,c/db?port=7,8", "error: The database URL names 3 hosts and 2 ports"),
        ("postgres://a/db?host=b", "postgres://b/db"),
        ("postgres://a/db?dbname=other", "postgres://a/other"),
        ("postgres://a?dbname=other", "postgres://a/other"),
        ("postgres://a/?user=me", "postgres://me@a"),
        ("postgres://a/db?user=me&password=p", "postgres://me:***@a/db"),
        ("postgres://u%40corp@h/db", "postgres://u%40corp@h/db"),
        ("postgres://u@h/my%20db", "postgres://u@h/my%20db"),
        ("postgres://u@h/a%2Fb", "postgres://u@h/a%2Fb"),
        ("postgres://u@h/a/b", "postgres://u@h/a%2Fb"),
        ("postgres://h:0/db", "error: A port in the database URL is not a number from 1 to 65535"),
        (
            "postgres://h:65536/db",
            "error: A port in the database URL is not a number from 1 to 65535",
        ),
        ("postgres://h:+5/db", "error: A port in the database URL is not a number from 1 to 65535"),
        ("postgres://h:x/db", "error: A port in the database URL is not a number from 1 to 65535"),
        ("postgres://h h/db", "error: A host in the database URL is not valid"),
        (
            "postgres://u:p@q@h/db",
            "error: The database URL holds an `@` that is not percent-encoded",
        ),
        (
            "postgres://u:p/q@h/db",
            "error: The database URL holds an `@` that is not percent-encoded",
        ),
        (
            "postgres://u:p%zz@h/db",
            "error: The password in the database URL is not valid percent-encoding",
        ),
        (
            "postgres://u:p%4@h/db",
            "error: The password in the database URL is not valid percent-encoding",
        ),
        (
            "postgres://u:%FF@h/db",
            "error: The password in the database URL is not valid percent-encoding",
        ),
        (
            "postgres://u:%00@h/db",
            "error: The password in the database URL is not valid percent-encoding",
        ),
        ("postgres://h/db?sslmode=disable", "postgres://h/db?sslmode=disable"),
        ("postgres://h/db?sslmode=allow", "postgres://h/db?sslmode=allow"),
        ("postgres://h/db?sslmode=prefer", "postgres://h/db"),
        ("postgres://h/db?sslmode=require", "postgres://h/db?sslmode=require"),
        ("postgres://h/db?sslmode=verify-ca", "postgres://h/db?sslmode=verify-ca"),
        ("postgres://h/db?sslmode=verify-full", "postgres://h/db?sslmode=verify-full"),
        ("postgres://h/db?ssl=true", "postgres://h/db?sslmode=require"),
        ("postgres://h/db?sslrootcert=system", "postgres://h/db?sslmode=verify-full"),
        (
            "postgres://h/db?sslrootcert=system&sslmode=require",
            "error: `sslrootcert=system` needs `sslmode=verify-full`",
        ),
        ("postgres://h/db?gssencmode=disable", "postgres://h/db"),
        ("postgres://h/db?client_encoding=utf-8", "postgres://h/db"),
        (
            "postgres://h/db?client_encoding=latin1",
            "error: The parameter `client_encoding` must be `UTF8`: migrations are read as UTF-8",
        ),
        ("postgres://h/db?foo=1", "error: Unknown parameter `foo` in the database URL"),
        (
            "postgres://h/db?SSLMODE=require",
            "error: Unknown parameter `SSLMODE` in the database URL",
        ),
        ("postgres://h/db?foo", "error: A parameter in the database URL has no value"),
        (
            "postgres://h/db?options=-c x=1",
            "error: The value of a URL parameter holds an `=` that is not percent-encoded",
        ),
        (
            "postgres://h/db?schema=public",
            "error: The parameter `schema` is not supported in a database URL",
        ),
        (
            "postgres://h/db?pgbouncer=true",
            "error: The parameter `pgbouncer` is not supported in a database URL",
        ),
        (
            "postgres://h/db?service=x",
            "error: The parameter `service` is not supported in a database URL",
        ),
        (
            "postgres://h/db?replication=true",
            "error: The parameter `replication` is not supported in a database URL",
        ),
        (
            "postgres://h/db?connect_timeout=x",
            "error: The parameter `connect_timeout` must be a number of seconds",
        ),
        ("postgres://h/db?keepalives=2", "error: The parameter `keepalives` must be `0` or `1`"),
        (
            "postgres://h/db?hostaddr=nope",
            "error: The parameter `hostaddr` must be a numeric address",
        ),
        (
            "postgres://h/db?hostaddr=1.2.3.4,::1",
            "error: The parameter `hostaddr` must be one address for each host",
        ),
        ("postgres://h/db?", "postgres://h/db"),
        ("postgres://h/db?&connect_timeout=3&", "postgres://h/db"),
        ("postgresql+psycopg2://h/db", "error: Unknown kind of database `postgresql+psycopg2`"),
        ("postgre://h/db", "error: Unknown kind of database `postgre`"),
        ("mongodb://h/db", "error: Unknown kind of database `mongodb`"),
        ("u:p@h/db", "error: The text is neither a database URL nor the path of a SQLite file"),
    ]);
}

#[test]
fn postgres_keyword_strings() {
    check(&[
        ("host=h dbname=d", "postgres://h/d"),
        ("host = h  dbname = d ", "postgres://h/d"),
        ("dbname=d user=u password=p host=h port=6000", "postgres://u:***@h:6000/d"),
        ("host='h' dbname='my db'", "postgres://h/my%20db"),
        (r"host=h password='it\'s \\ here' user=u", "postgres://u:***@h"),
        ("host=a,b port=1,2", "postgres://a:1,b:2"),
        ("host=/run/postgresql dbname=d", "postgres://%2Frun%2Fpostgresql/d"),
        ("hostaddr=10.0.0.1 dbname=d", "postgres:///d"),
        ("host=::1", "postgres://[::1]"),
        ("host=h sslmode=require", "postgres://h?sslmode=require"),
        ("host=h sslmode = 'verify-full'", "postgres://h?sslmode=verify-full"),
        ("host=", "postgres://"),
        ("host=h dbname", "error: A parameter in the database URL has no value"),
        ("host=h 'dbname=d", "error: Unknown parameter `\\'dbname` in the database URL"),
        ("host=h dbname='d", "error: A quoted value in the connection string does not end"),
        ("host=h hots=x", "error: Unknown parameter `hots` in the database URL"),
        (
            "password=correct horse=battery host=h",
            "error: What follows the password in the connection string is not a known parameter",
        ),
        ("password=correct horse host=h", "error: A parameter in the database URL has no value"),
        ("foo=1", "error: Unknown parameter `foo` in the database URL"),
    ]);
}

#[test]
fn mysql_addresses() {
    check(&[
        ("mysql://", "mysql://localhost"),
        ("mysql://h/db", "mysql://h/db"),
        ("mariadb://u:p@h:3307/db", "mysql://u:***@h:3307/db"),
        ("mysql://u@[::1]:3306/db", "mysql://u@[::1]/db"),
        ("mysql://u@%2Frun%2Fmysqld.sock/db", "mysql://u@%2Frun%2Fmysqld.sock/db"),
        ("mysql://u@h/db?socket=/run/my.sock", "mysql://u@%2Frun%2Fmy.sock/db"),
        ("mysql://h/db?ssl-mode=REQUIRED", "mysql://h/db?ssl-mode=required"),
        ("mysql://h/db?ssl_mode=VERIFY_IDENTITY", "mysql://h/db?ssl-mode=verify-identity"),
        ("mysql://h/db?sslMode=verify_ca", "mysql://h/db?ssl-mode=verify-ca"),
        ("mysql://h/db?sslmode=disable", "mysql://h/db?ssl-mode=disabled"),
        ("mysql://h/db?ssl-mode=preferred", "mysql://h/db"),
        (
            "mysql://h/db?ssl-mode=yes",
            "error: The parameter `ssl-mode` must be `disabled`, `preferred`, `required`, \
             `verify-ca` or `verify-identity`",
        ),
        ("mysql://h/db?charset=utf8mb4", "mysql://h/db"),
        (
            "mysql://h/db?charset=latin1",
            "error: The parameter `charset` must be `utf8mb4`: migrations are read as UTF-8",
        ),
        ("mysql://h/db?collation=utf8mb4_bin", "mysql://h/db"),
        (
            "mysql://h/db?collation=a'b",
            "error: The parameter `collation` must be the name of a collation",
        ),
        ("mysql://h/db?connect_timeout=5", "mysql://h/db"),
        ("mysql://h/db?parseTime=true", "error: Unknown parameter `parseTime` in the database URL"),
        ("mysql://a,b/db", "error: A host in the database URL is not valid"),
        (
            "mysql://u:p@tcp(h:3306)/db",
            "error: A port in the database URL is not a number from 1 to 65535",
        ),
        ("mysql://u:a@b@h/db", "error: The database URL holds an `@` that is not percent-encoded"),
        ("mysql://h:99999/db", "error: A port in the database URL is not a number from 1 to 65535"),
    ]);
}

#[test]
fn postgres_values_are_read() {
    let url = postgres(
        "postgresql://us%3Aer:p%40%20%25%2F%23ü@a:1,[::1]/d?hostaddr=1.2.3.4,&sslmode=verify-ca\
         &sslrootcert=/ca.pem&sslcert=c&sslkey=k&sslpassword=s&channel_binding=require\
         &options=-c%20search_path%3Dx&application_name=a&connect_timeout=10\
         &target_session_attrs=read-write&keepalives=0&keepalives_idle=9&keepalives_interval=8\
         &keepalives_count=7&tcp_user_timeout=6&load_balance_hosts=random&sslnegotiation=direct",
    );
    assert_eq!(url.user.as_deref(), Some("us:er"));
    assert_eq!(url.password.as_ref().map(|p| p.expose()), Some("p@ %/#ü"));
    let hosts: Vec<_> = url.hosts.iter().map(|h| (h.hostaddr.as_deref(), h.port)).collect();
    assert_eq!(hosts, [(Some("1.2.3.4"), 1), (None, 5432)]);
    assert_eq!(url.sslrootcert, Some(RootCertificate::File("/ca.pem".into())));
    assert_eq!((url.sslcert.as_deref(), url.sslkey.as_deref()), (Some("c"), Some("k")));
    assert_eq!(url.channel_binding, ChannelBinding::Require);
    assert_eq!(url.options.as_deref(), Some("-c search_path=x"));
    assert_eq!(url.application_name.as_deref(), Some("a"));
    assert_eq!(url.connect_timeout_s, Some(10));
    assert_eq!(url.target_session, TargetSession::ReadWrite);
    assert!(!url.keepalives && url.load_balance_hosts && url.direct_tls && url.is_tcp());
    assert_eq!((url.keepalives_idle_s, url.keepalives_interval_s), (Some(9), Some(8)));
    assert_eq!((url.keepalives_count, url.tcp_user_timeout_ms), (Some(7), Some(6)));
    assert!(DatabaseUrl::Postgres(Box::new(url)).holds_secret());

    // libpq: zero and negative mean no limit.
    assert_eq!(postgres("postgres://h?connect_timeout=-1").connect_timeout_s, None);
    assert_eq!(postgres("postgres://h?password=x%26y%3D").password, Some(Secret::new("x&y=")));
    assert_eq!(postgres("password='a b' host=h").password, Some(Secret::new("a b")));
    assert_eq!(postgres("postgres://u:a:b@h").password, Some(Secret::new("a:b")));
    assert_eq!(postgres("postgres://u:a?b@h").password, Some(Secret::new("a?b")));
}

#[test]
fn every_error_leads_on_or_says_all() {
    for (text, want) in [
        ("postgre://h/db", "Did you mean `postgres:`?"),
        ("postgresql+asyncpg://h/db", "Did you mean `postgresql:`?"),
        ("sqlite3:///a.db", "Did you mean `sqlite:`?"),
        ("postgres://h/db?ssl_mode=require", "Did you mean `sslmode`?"),
        (
            "postgres://u:a/b@h/db",
            "Write `%40` for an `@` in the password, and `%2F` for a `/` in it",
        ),
    ] {
        let hint = DatabaseUrl::parse(text).err().and_then(|error| error.hint());
        assert_eq!(hint.as_deref(), Some(want), "{text}");
    }
}

#[test]
fn poolers_are_recognised() {
    use PoolerMode::{Session, Transaction};
    for (text, want) in [
        ("postgres://u@h/db", None),
        ("postgres://u@/db", None),
        ("postgres://u@h:6543/db", Some((Transaction, None))),
        (
            "postgres://postgres.abc:p@aws-0-eu.pooler.supabase.com:6543/postgres",
            Some((Transaction, Some("db.abc.supabase.co:5432"))),
        ),
        (
            "postgres://postgres.abc@AWS-0-eu.pooler.supabase.com./postgres",
            Some((Session, Some("db.abc.supabase.co:5432"))),
        ),
        ("postgres://postgres@aws.pooler.supabase.com/postgres", Some((Session, None))),
        (
            "postgres://postgres@db.abc.supabase.co:6543/postgres",
            Some((Transaction, Some("db.abc.supabase.co:5432"))),
        ),
        ("postgres://postgres@db.abc.supabase.co/postgres", None),
        (
            "postgres://u@ep-x-123-pooler.eu.aws.neon.tech/db?sslmode=require",
            Some((Transaction, Some("ep-x-123.eu.aws.neon.tech:5432"))),
        ),
        ("postgres://u@ep-x-123.eu.aws.neon.tech/db", None),
        ("mysql://u@h:6543/db", None),
        ("sqlite:a.db", None),
    ] {
        let hint = DatabaseUrl::parse(text).unwrap().pooler_hint();
        let got = hint.as_ref().map(|hint| (hint.mode, hint.direct.as_deref()));
        assert_eq!(got, want, "{text}");
    }
    let url = DatabaseUrl::parse("postgres://postgres.abc@x.pooler.supabase.com/d").unwrap();
    assert_eq!(url.pooler_hint().unwrap().direct_user.as_deref(), Some("postgres"));
}

/// The beginning and the end of every generated password; neither may ever be printed.
const HEAD: &str = "xyzzyHEAD";
const TAIL: &str = "plughTAIL";

fn passwords() -> impl Strategy<Value = String> {
    let piece = prop_oneof![
        Just(" "),
        Just("'"),
        Just("\""),
        Just("%"),
        Just("@"),
        Just("/"),
        Just(":"),
        Just("#"),
        Just("?"),
        Just("&"),
        Just("="),
        Just("\\"),
        Just(","),
        Just("["),
        Just("]"),
        Just("ü"),
        Just("😀"),
        Just("%40"),
        Just("%00"),
        Just("%C3%28"),
        Just("a"),
        Just("7"),
        Just("+"),
        Just("://"),
        Just(" host="),
        Just("\n"),
    ];
    prop::collection::vec(piece, 0..6).prop_map(|pieces| format!("{HEAD}{}{TAIL}", pieces.concat()))
}

#[track_caller]
fn says_nothing(text: &str, tail_too: bool) {
    let said = match DatabaseUrl::parse(text) {
        Ok(url) => format!("{url} {url:?} {:?}", url.pooler_hint()),
        Err(error) => format!("{error} {error:?} {:?}", error.hint()),
    };
    assert!(!said.contains(HEAD), "{text}: {said}");
    assert!(!(tail_too && said.contains(TAIL)), "{text}: {said}");
}

proptest! {
    #[test]
    fn an_encoded_password_arrives_and_is_never_printed(password in passwords()) {
        let encoded = parts::encode(&password);
        let quoted = password.replace('\\', r"\\").replace('\'', r"\'");
        for (text, rest) in [
            (format!("postgres://u:{encoded}@h/d?sslmode=require"), true),
            (format!("postgres://h/d?password={encoded}"), true),
            (format!("mysql://u:{encoded}@h/d"), true),
            (format!("host=h password='{quoted}' dbname=d"), !password.contains('\n')),
            (format!("postgres://u:{encoded}@h/d?nope=1"), false),
            (format!("postgres://u:{encoded}@h:x/d"), false),
            (format!("mysql://u:{encoded}@h/d?ssl-mode=x"), false),
            (format!("postgrse://u:{encoded}@h/d"), false),
            (format!("postgres://h/d?password={encoded}&nope=1"), false),
        ] {
            says_nothing(&text, true);
            if rest {
                let got = match DatabaseUrl::parse(&text) {
                    Ok(DatabaseUrl::Postgres(url)) => url.password,
                    Ok(DatabaseUrl::Mysql(url)) => url.password,
                    other => panic!("{other:?}"),
                };
                prop_assert_eq!(got, Some(Secret::new(password.clone())));
            }
        }
    }

    /// A password that was not encoded is misread by libpq's own rules: then nothing is shown.
    #[test]
    fn a_raw_password_is_never_printed(password in passwords()) {
        says_nothing(&format!("postgres://u:{password}@h/d"), true);
        says_nothing(&format!("postgres://u:{password}@h/d?nope=1"), true);
        says_nothing(&format!("mysql://u:{password}@h/d"), true);
        says_nothing(&format!("pg://u:{password}@h/d"), true);
        says_nothing(&format!("u:{password}@h/d"), true);
        // Known keywords inside a password that was not quoted are keywords: only the head is
        // certain.
        says_nothing(&format!("password={password} host=h"), !password.contains("host="));
        says_nothing(&format!("host=h password='{password}'"), !password.contains("host="));
    }

    #[test]
    fn any_text_is_read_or_refused(text in "\\PC{0,60}") {
        let _ = printed(&text);
        for scheme in ["postgres://", "mysql://", "sqlite:", "file://", "host="] {
            let _ = printed(&format!("{scheme}{text}"));
        }
    }

    /// What is printed, without a password, can be read again and prints the same.
    #[test]
    fn a_printed_address_is_stable(host in "[a-z]{1,8}", port in 1u16.., db in "[ -~]{1,10}") {
        let text = format!("postgres://u@{host}:{port}/{}", parts::encode(&db));
        prop_assert_eq!(printed(&printed(&text)), printed(&text));
        prop_assert_eq!(postgres(&text).database.unwrap(), db);
    }
}

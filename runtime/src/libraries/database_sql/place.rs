//! Where a database is, from what its connector has: the strings of a configuration, or a data source name. Of a name no more than host,
//! port and database is looked at and kept: it mostly has a password in it.

use super::systems::{self, System};

/// What a connector's address is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Form {
    /// Nothing is known of it.
    Unknown,
    /// A data source name, as its driver reads them.
    Dsn,
    /// A host, or the folder of a socket.
    Host,
    /// What is dialled on a network: `host:port`, or the path of a socket.
    Network,
}

impl Form {
    const ALL: [Form; 4] = [Form::Unknown, Form::Dsn, Form::Host, Form::Network];

    /// As the programs' configuration and records have it.
    pub fn number(self) -> u8 {
        Self::ALL.iter().position(|form| *form == self).and_then(|at| u8::try_from(at).ok()).unwrap_or(0)
    }

    /// The form with this number.
    pub fn of(number: u8) -> Self {
        Self::ALL.get(usize::from(number)).copied().unwrap_or(Self::Unknown)
    }
}

/// Where a database is, as far as that is known.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Place {
    /// `server.address`.
    pub address: Option<String>,
    /// `server.port`, if it is another than the system's own.
    pub port: Option<u16>,
    /// `db.namespace`.
    pub namespace: Option<String>,
}

/// What a connector says.
#[derive(Debug, Clone, Copy)]
pub struct Said<'a> {
    pub form: Form,
    /// The system's number.
    pub system: u8,
    pub address: &'a str,
    pub database: &'a str,
    pub network: &'a str,
    /// 0: it says none.
    pub port: u16,
}

/// Where that is.
pub fn place(said: &Said<'_>) -> Place {
    let system = systems::system_of(said.system);
    match said.form {
        Form::Host => at(said.address, Some(said.port), said.database, &system),
        Form::Network => {
            let (host, port) = dialled(said.network, said.address);
            at(host, port, said.database, &system)
        }
        Form::Dsn if said.system == systems::POSTGRES => postgres(said.address, &system),
        Form::Dsn if said.system == systems::MYSQL => mysql(said.address, &system),
        Form::Dsn | Form::Unknown => Place::default(),
    }
}

fn at(host: &str, port: Option<u16>, database: &str, system: &System) -> Place {
    // Of several hosts nobody says which one it is.
    let is_one = !host.is_empty() && !host.contains(',');
    let is_socket = host.starts_with(['/', '@']);
    let port = port.filter(|port| is_one && !is_socket && *port != 0 && *port != system.port);
    let some = |text: &str| (!text.is_empty()).then(|| text.to_owned());
    Place { address: some(host).filter(|_| is_one), port, namespace: some(database) }
}

/// Host and port of what is dialled.
fn dialled<'a>(network: &str, address: &'a str) -> (&'a str, Option<u16>) {
    if network == "unix" { (address, None) } else { host_port(address) }
}

/// `host`, `host:port`, `[v6]:port`.
fn host_port(text: &str) -> (&str, Option<u16>) {
    let (host, port) = match text.rsplit_once(':') {
        Some((host, port)) if host.ends_with(']') || !host.contains(':') => (host, port.parse().ok()),
        _ => (text, None),
    };
    let bare = host.strip_prefix('[').and_then(|host| host.strip_suffix(']'));
    (bare.unwrap_or(host), port)
}

/// `postgres://user:password@host:port/database?…`, or `host=… port=… dbname=…`.
fn postgres(dsn: &str, system: &System) -> Place {
    let rest = dsn.strip_prefix("postgres://").or_else(|| dsn.strip_prefix("postgresql://"));
    let Some(rest) = rest else {
        let (mut host, mut port, mut database) = (None, None, None);
        for (key, value) in pairs(dsn) {
            match key {
                "host" => host = Some(value),
                "port" => port = value.parse().ok(),
                "dbname" | "database" => database = Some(value),
                _ => {}
            }
        }
        return at(&host.unwrap_or_default(), port, &database.unwrap_or_default(), system);
    };
    let (rest, query) = rest.split_once('?').unwrap_or((rest, ""));
    let (authority, path) = rest.split_once('/').unwrap_or((rest, ""));
    let authority = authority.rsplit_once('@').map_or(authority, |(_, behind)| behind);
    let (host, port) = host_port(authority);
    let (mut host, mut port) = (decoded(host), port);
    let mut database = decoded(path);
    for (key, value) in query.split('&').filter_map(|pair| pair.split_once('=')) {
        match key {
            "host" => host = decoded(value),
            "port" => port = value.parse().ok(),
            "dbname" | "database" => database = decoded(value),
            _ => {}
        }
    }
    at(&host, port, &database, system)
}

fn decoded(text: &str) -> String {
    let bytes = crate::spans::text::percent_decode(text.as_bytes()).unwrap_or_default();
    String::from_utf8(bytes).unwrap_or_default()
}

/// The pairs of `key=value key = 'it\'s'`, as libpq reads them; none behind what it would not read.
fn pairs(dsn: &str) -> Vec<(&str, String)> {
    let mut pairs = Vec::new();
    let mut rest = dsn.trim_start();
    while let Some((key, behind)) = rest.split_once('=') {
        let (value, behind) = value(behind.trim_start());
        pairs.push((key.trim(), value));
        rest = behind.trim_start();
    }
    pairs
}

/// The value that a text begins with, and what is behind it.
fn value(text: &str) -> (String, &str) {
    let quoted = text.strip_prefix('\'');
    let mut chars = quoted.unwrap_or(text).char_indices();
    let mut value = String::new();
    while let Some((at, one)) = chars.next() {
        match one {
            '\\' => value.extend(chars.next().map(|(_, escaped)| escaped)),
            '\'' if quoted.is_some() => {
                return (value, quoted.and_then(|text| text.get(at + 1..)).unwrap_or_default());
            }
            _ if quoted.is_none() && one.is_whitespace() => {
                return (value, text.get(at..).unwrap_or_default());
            }
            _ => value.push(one),
        }
    }
    (value, "")
}

/// `user:password@network(address)/database?…`.
fn mysql(dsn: &str, system: &System) -> Place {
    // The password may have any of these in it: the driver looks for the last of each, too.
    let Some((before, behind)) = dsn.rsplit_once('/') else { return Place::default() };
    let database = behind.split('?').next().unwrap_or_default();
    let dialled_at = before.rsplit_once('@').map_or(before, |(_, behind)| behind);
    let (network, address) = match dialled_at.split_once('(') {
        Some((network, address)) => (network, address.strip_suffix(')').unwrap_or_default()),
        None => (dialled_at, ""),
    };
    let (host, port) = dialled(network, address);
    at(host, port, &decoded(database), system)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(form: Form, system: u8, address: &str, network: &str, database: &str, port: u16) -> Place {
        place(&Said { form, system, address, database, network, port })
    }

    fn shown(place: &Place) -> String {
        let port = place.port.map_or_else(String::new, |port| port.to_string());
        let text = |part: &Option<String>| part.clone().unwrap_or_else(|| "-".to_owned());
        format!("{} {port} {}", text(&place.address), text(&place.namespace))
    }

    #[test]
    fn configurations_say_where_a_database_is() {
        for (place, want) in [
            (of(Form::Host, systems::POSTGRES, "db.local", "", "app", 5432), "db.local  app"),
            (of(Form::Host, systems::POSTGRES, "db.local", "", "app", 6432), "db.local 6432 app"),
            (of(Form::Host, systems::POSTGRES, "/run/pg", "", "app", 6432), "/run/pg  app"),
            (of(Form::Host, systems::POSTGRES, "a,b", "", "", 6432), "-  -"),
            (of(Form::Network, systems::MYSQL, "127.0.0.1:3306", "tcp", "app", 0), "127.0.0.1  app"),
            (of(Form::Network, systems::MYSQL, "[::1]:3307", "tcp", "", 0), "::1 3307 -"),
            (of(Form::Network, systems::MYSQL, "/run/m.sock", "unix", "app", 0), "/run/m.sock  app"),
            (of(Form::Dsn, 0, "anything://u:pw@h/x", "", "", 0), "-  -"),
        ] {
            assert_eq!(shown(&place), want);
        }
    }

    #[test]
    fn names_are_read_as_their_drivers_read_them() {
        for (dsn, want) in [
            ("postgres://u:p%40w@h:5433/app?sslmode=disable", "h 5433 app"),
            ("postgresql://h/app", "h  app"),
            ("postgres://u@[::1]:5432/a%20b", "::1  a b"),
            ("postgres:///app?host=/run/pg&port=5433", "/run/pg  app"),
            ("postgres://u:p@h1:1,h2:2/app", "-  app"),
            ("host=h port=5433 user=u password='a b=c host=x' dbname=app", "h 5433 app"),
            ("user = u host = 'h' dbname = 'it\\'s'", "h  it's"),
            ("host=/run/pg dbname=app", "/run/pg  app"),
            ("registeredConnConfig0", "-  -"),
            ("", "-  -"),
        ] {
            assert_eq!(shown(&of(Form::Dsn, systems::POSTGRES, dsn, "", "", 0)), want, "{dsn}");
        }
        for (dsn, want) in [
            ("u:p/w@x@tcp(h:3307)/app?parseTime=true", "h 3307 app"),
            // The path has slashes: the last one is the database's.
            ("u@unix(/run/m.sock)/app", "/run/m.sock  app"),
            ("/", "-  -"),
            ("nothing", "-  -"),
        ] {
            let place = of(Form::Dsn, systems::MYSQL, dsn, "", "", 0);
            assert_eq!(shown(&place), want, "{dsn}");
        }
    }

    #[test]
    fn forms_have_numbers() {
        assert!(Form::ALL.iter().all(|form| Form::of(form.number()) == *form));
        assert_eq!(Form::of(9), Form::Unknown);
    }
}

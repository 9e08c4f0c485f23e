//! Counts what goes to a server: it stands in front of it and hands everything on. Another server can take the place
//! of the first, for all connections that are made from then on.

use std::io::{Read as _, Write as _};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::thread::spawn;

use crate::support::{PASSWORD, Server, TestDatabase};

/// Lives as long as the test binary; what it counts, it counts for one test.
pub(crate) struct Relay {
    port: u16,
    route: Arc<Mutex<Route>>,
    seen: Arc<Mutex<Vec<Client>>>,
}

/// Where connections lead.
struct Route {
    port: u16,
    /// The port of the next server, and how many connections come before it.
    later: Option<(usize, u16)>,
}

/// A connection, as its client made it.
#[derive(Default, Clone)]
struct Client {
    /// How often it was its turn to speak and the server was waited for.
    turns: usize,
    /// Whether the last word was the server's.
    answered: bool,
    /// What it said first, up to the login.
    hello: Vec<u8>,
}

/// More of what a client says first is not needed to know it.
const HELLO: usize = 512;

impl Relay {
    pub(crate) fn before(server: &Server) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let own = listener.local_addr().unwrap().port();
        let seen = Arc::new(Mutex::new(Vec::new()));
        let route = Arc::new(Mutex::new(Route {
            port: server.port(),
            later: None,
        }));
        let (clients, to) = (Arc::clone(&seen), Arc::clone(&route));
        spawn(move || {
            for client in listener.incoming() {
                serve(&client.unwrap(), next(&to), &clients);
            }
        });
        Self {
            port: own,
            route,
            seen,
        }
    }

    /// Leads every connection that is made from now on to another server. Those that are open stay.
    pub(crate) fn switch_to(&self, server: &Server) {
        self.switch_after(0, server);
    }

    /// The same as soon as so many more connections were made.
    pub(crate) fn switch_after(&self, connections: usize, server: &Server) {
        self.route.lock().unwrap().later = Some((connections, server.port()));
    }

    /// The database's URL with this in front.
    pub(crate) fn url(&self, database: &TestDatabase<'_>) -> String {
        let direct = format!("@127.0.0.1:{}/", database.facts().port.unwrap());
        let url = database.url();
        assert!(url.contains(&direct), "{url}");
        url.replace(&direct, &format!("@127.0.0.1:{}/", self.port))
    }

    pub(crate) fn port(&self) -> u16 {
        self.port
    }

    /// How many connections there were since this was asked last.
    pub(crate) fn connections(&self) -> usize {
        std::mem::take(&mut *self.seen.lock().unwrap()).len()
    }

    /// How many of them gave this among their names.
    pub(crate) fn connections_of(&self, name: &str) -> usize {
        let seen = std::mem::take(&mut *self.seen.lock().unwrap());
        let has = |client: &&Client| {
            let mut parts = client.hello.windows(name.len());
            parts.any(|part| part == name.as_bytes())
        };
        seen.iter().filter(has).count()
    }

    /// How often the server was waited for so far, over all connections.
    pub(crate) fn turns(&self) -> usize {
        let seen = self.seen.lock().unwrap();
        seen.iter().map(|client| client.turns).sum()
    }
}

/// The port for one more connection.
fn next(route: &Mutex<Route>) -> u16 {
    let mut route = route.lock().unwrap();
    match route.later {
        Some((0, port)) => {
            *route = Route { port, later: None };
        }
        Some((left, port)) => route.later = Some((left - 1, port)),
        None => {}
    }
    route.port
}

fn serve(client: &TcpStream, port: u16, seen: &Arc<Mutex<Vec<Client>>>) {
    let server = TcpStream::connect(("127.0.0.1", port)).unwrap();
    let number = {
        let mut seen = seen.lock().unwrap();
        seen.push(Client {
            answered: true,
            ..Client::default()
        });
        seen.len() - 1
    };
    let note = |from_client: bool| {
        let seen = Arc::clone(seen);
        move |bytes: &[u8]| {
            // Where the count was taken away meanwhile, nobody asks for the rest.
            if let Some(client) = seen.lock().unwrap().get_mut(number) {
                if from_client {
                    client.turns += usize::from(client.answered);
                    let room = HELLO.saturating_sub(client.hello.len()).min(bytes.len());
                    client.hello.extend(&bytes[..room]);
                }
                client.answered = !from_client;
            }
        }
    };
    hand_on(client, &server, note(true));
    hand_on(&server, client, note(false));
}

fn hand_on(from: &TcpStream, to: &TcpStream, mut note: impl FnMut(&[u8]) + Send + 'static) {
    let (mut from, mut to) = (from.try_clone().unwrap(), to.try_clone().unwrap());
    spawn(move || {
        let mut buffer = [0; 16 * 1024];
        while let Ok(length @ 1..) = from.read(&mut buffer) {
            note(&buffer[..length]);
            if to.write_all(&buffer[..length]).is_err() {
                break;
            }
        }
        let _ = to.shutdown(Shutdown::Write);
    });
}

/// Red where the counting itself is wrong, and with it every test that counts.
#[test]
fn what_is_counted_is_what_goes_through() {
    use rollback_core::connection::ConnectionFacts;
    for kind in crate::support::Kind::SERVERS {
        let database = TestDatabase::create(kind);
        let relay = Relay::before(Server::shared(kind));
        let facts = ConnectionFacts {
            port: Some(relay.port()),
            ..database.facts()
        };
        assert!(
            facts
                .password
                .as_ref()
                .is_some_and(|it| it.reveal() == PASSWORD)
        );
        let open = || {
            let environment = crate::support::database_environment();
            rollback_database::open(&facts, &environment).unwrap()
        };
        let (mut one, _other) = (open(), open());
        let before = relay.turns();
        for _ in 0..3 {
            one.schema().unwrap();
        }
        assert_eq!(relay.turns() - before, 3, "{kind:?}");
        assert_eq!(relay.connections(), 2, "{kind:?}");
        assert_eq!(relay.connections(), 0, "{kind:?}");
    }
}

//! An engine that reaches its server through a pooler, while we have the server's own address.

use std::io::{Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread::spawn;

use crate::project::{Project, Run};
use crate::support::{Kind, TestDatabase};

/// What libpq asks before anything else: for encryption, in one of two ways.
const ENCRYPTION: [u32; 2] = [80_877_103, 80_877_104];

/// Does what matters here of what a pooler does: it greets with a number of its own, and keeps the
/// server's session when the client says goodbye. Then it asks for the setting that the next client of
/// that session would have.
struct Pooler {
    port: u16,
    left_behind: Receiver<String>,
}

impl Pooler {
    fn before(port: u16) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let (sender, left_behind) = channel();
        let own = listener.local_addr().unwrap().port();
        spawn(move || {
            for client in listener.incoming() {
                let (client, sender) = (client.unwrap(), sender.clone());
                spawn(move || serve(client, port, &sender));
            }
        });
        Self {
            port: own,
            left_behind,
        }
    }
}

fn serve(mut client: TcpStream, port: u16, left_behind: &Sender<String>) -> Option<()> {
    let mut server = TcpStream::connect(("127.0.0.1", port)).unwrap();
    loop {
        let first = body(&mut client)?;
        let code = u32::from_be_bytes(first[..4].try_into().unwrap());
        if ENCRYPTION.contains(&code) {
            client.write_all(b"N").unwrap();
        } else {
            send(&mut server, &[], &first);
            break;
        }
    }
    let (answers, mut replies) = (server.try_clone().unwrap(), client.try_clone().unwrap());
    let backwards = spawn(move || {
        let mut last = None;
        back(answers, &mut replies, &mut last);
        last
    });
    while let Some((kind, content)) = message(&mut client) {
        if kind == b'X' {
            break;
        }
        send(&mut server, &[kind], &content);
    }
    send(&mut server, b"Q", b"SHOW lock_timeout\0");
    send(&mut server, b"X", &[]);
    let last = backwards.join().unwrap();
    let _ = client.shutdown(Shutdown::Both);
    left_behind.send(last?).ok()
}

/// Hands on what the server says, and keeps the last value that it said.
fn back(mut server: TcpStream, client: &mut TcpStream, last: &mut Option<String>) {
    while let Some((kind, mut content)) = message(&mut server) {
        match kind {
            b'K' => content[..4].copy_from_slice(&0x7fff_0000_u32.to_be_bytes()),
            // One value: how many there are, its length, itself.
            b'D' if content[..2] == [0, 1] => {
                *last = content
                    .get(6..)
                    .map(|value| String::from_utf8_lossy(value).into_owned());
            }
            _ => {}
        }
        let _ = client.write_all(&[&[kind][..], &framed(&content)].concat());
    }
}

fn message(stream: &mut TcpStream) -> Option<(u8, Vec<u8>)> {
    let mut kind = [0];
    stream.read_exact(&mut kind).ok()?;
    Some((kind[0], body(stream)?))
}

fn body(stream: &mut TcpStream) -> Option<Vec<u8>> {
    let mut length = [0; 4];
    stream.read_exact(&mut length).ok()?;
    let mut content = vec![0; u32::from_be_bytes(length) as usize - 4];
    stream.read_exact(&mut content).ok()?;
    Some(content)
}

fn framed(content: &[u8]) -> Vec<u8> {
    let length = u32::try_from(content.len() + 4).unwrap();
    [&length.to_be_bytes()[..], content].concat()
}

fn send(server: &mut TcpStream, kind: &[u8], content: &[u8]) {
    // A server that is gone has nothing to say, which the reader sees.
    let _ = server.write_all(&[kind, &framed(content)].concat());
}

/// Two steps that write down the limit that they see.
fn noting(database: &TestDatabase<'_>, url: &str) -> Project {
    database.execute("CREATE TABLE seen (id serial, note text)");
    let project = Project::alembic("failing").env("DATABASE_URL", url);
    let note = "def downgrade():\n    op.execute(\"INSERT INTO seen (note) SELECT current_setting('lock_timeout')\")\n";
    let project = [
        "5555aaaa_create_the_fifth_table",
        "4444aaaa_create_the_fourth_table",
    ]
    .iter()
    .fold(project, |project, file| {
        let path = format!("migrations/versions/{file}.py");
        project.edit(&path, "def downgrade():\n", note)
    });
    project.engine("alembic upgrade heads");
    project
}

fn two_steps(project: &Project, database: &TestDatabase<'_>) -> Run {
    project
        .rollback("downgrade-safe -2 -y --allow-failing -v")
        .env("ROLLBACK_DATABASE_URL", &database.url())
        .run()
        .exits(0)
}

/// Turns red if the next client of the pooler's session has our limit, or the step has none.
#[test]
fn the_lock_timeout_stays_in_the_steps_own_transactions_behind_a_pooler() {
    let database = TestDatabase::create(Kind::PostgreSql);
    let port = database.facts().port.unwrap();
    let pooler = Pooler::before(port);
    let url = database
        .url()
        .replace(&format!(":{port}/"), &format!(":{}/", pooler.port));
    let project = noting(&database, &url);
    let run = two_steps(&project, &database);
    let told = "the engine goes through a pooler: the lock timeout is set in each transaction";
    assert_eq!(run.stderr.matches(told).count(), 1, "{run}");
    let seen = database.query("SELECT note FROM seen");
    assert_eq!(seen, vec![vec![Some("5s".to_owned())]; 2], "{run}");
    let left: Vec<String> = pooler.left_behind.try_iter().collect();
    assert!(left.len() > 3, "{left:?}\n{run}");
    assert!(left.iter().all(|limit| limit == "0"), "{left:?}");
}

/// Turns red if a limit that could not be set is passed over in silence, or ends the step.
#[test]
fn a_lock_timeout_that_cannot_be_set_is_warned_of_once() {
    let database = TestDatabase::create(Kind::PostgreSql);
    let project = noting(&database, &database.url())
        .edit(
            "migrations/env.py",
            "from sqlalchemy import create_engine, pool\n",
            "from sqlalchemy import create_engine, pool\n\
             import psycopg2.extensions\n\n\n\
             class Stubborn(psycopg2.extensions.cursor):\n    \
                 def execute(self, sql, *others):\n        \
                     if \"SELECT set_config('lock_timeout'\" in str(sql):\n            \
                         raise psycopg2.Error('not here')\n        \
                     return super().execute(sql, *others)\n\n",
        )
        .edit(
            "migrations/env.py",
            "create_engine(url, ",
            "create_engine(url, connect_args={'cursor_factory': Stubborn}, ",
        );
    let run = two_steps(&project, &database);
    let told = "the lock timeout was not set on a connection of the engine";
    assert_eq!(run.stderr.matches(told).count(), 1, "{run}");
    assert!(run.stderr.contains("Error: not here"), "{run}");
    let seen = database.query("SELECT note FROM seen");
    assert_eq!(seen, vec![vec![Some("0".to_owned())]; 2], "{run}");
}

/// Turns red if the plain road cannot be taken any more where `PGOPTIONS` are refused.
#[test]
fn a_pooler_that_takes_no_options_is_warned_of_and_asked_without() {
    let database = TestDatabase::create(Kind::PostgreSql);
    let project = noting(&database, &database.url()).file(
        "engine",
        "#!/bin/sh\ncase \"$PGOPTIONS\" in *lock_timeout*)\n\
         echo 'FATAL:  unsupported startup parameter: options' >&2; exit 1;; esac\nexec alembic \"$@\"\n",
    );
    project.make_executable("engine");
    let run = project
        .rollback("downgrade-safe -2 -y --allow-failing --engine-command ./engine")
        .env("ROLLBACK_DATABASE_URL", &database.url())
        .run()
        .exits(0);
    assert!(run.stderr.contains("takes no PGOPTIONS"), "{run}");
    let seen = database.query("SELECT note FROM seen");
    assert_eq!(seen, vec![vec![Some("0".to_owned())]; 2], "{run}");
}

//! One GET without a client's trappings: the status is all that counts, so nothing is followed,
//! decoded or kept.

use std::io::{BufRead as _, BufReader, Write as _};
use std::net::{TcpStream, ToSocketAddrs as _};
use std::time::{Duration, Instant};

/// Host, port and the path with its query.
pub(super) fn parts(url: &str) -> Result<(String, u16, String), String> {
    let rest = url
        .strip_prefix("http://")
        .ok_or("only http:// is spoken here; for anything else use a command, such as curl -f")?;
    let rest = rest.split('#').next().unwrap_or_default();
    let end = rest.find(['/', '?']).unwrap_or(rest.len());
    let (authority, path) = rest.split_at(end);
    if authority.contains('@') {
        return Err("a login in the address is not understood; use a command".to_owned());
    }
    if url.contains(|c: char| c.is_whitespace() || c.is_control()) {
        return Err("the address has white space".to_owned());
    }
    let (host, port) = match authority.rsplit_once(':') {
        Some((host, port)) if !port.ends_with(']') => {
            let port = port
                .parse()
                .map_err(|_| "the port is no number".to_owned())?;
            (host, port)
        }
        _ => (authority, 80),
    };
    if host.is_empty() {
        return Err("the address has no host".to_owned());
    }
    let path = if path.starts_with('/') {
        path.to_owned()
    } else {
        format!("/{path}")
    };
    Ok((host.to_owned(), port, path))
}

/// The status that the address answers with; the error is a sentence.
pub(super) fn status(url: &str, timeout: Duration) -> Result<u16, String> {
    let (host, port, path) = parts(url)?;
    let end = Instant::now() + timeout;
    let late = || format!("no answer within {} s", timeout.as_secs_f64());
    let left = || {
        let left = end.saturating_duration_since(Instant::now());
        if left.is_zero() {
            Err(late())
        } else {
            Ok(left)
        }
    };
    let bare = host.trim_start_matches('[').trim_end_matches(']');
    let addresses = (bare, port)
        .to_socket_addrs()
        .map_err(|error| error.to_string())?;
    let mut stream = Err("the host has no address".to_owned());
    for address in addresses {
        stream = TcpStream::connect_timeout(&address, left()?).map_err(|error| error.to_string());
        if stream.is_ok() {
            break;
        }
    }
    let mut stream = stream?;
    let told = |error: std::io::Error| match error.kind() {
        std::io::ErrorKind::WouldBlock | std::io::ErrorKind::TimedOut => late(),
        _ => error.to_string(),
    };
    stream.set_write_timeout(Some(left()?)).map_err(told)?;
    let name = if port == 80 {
        host
    } else {
        format!("{host}:{port}")
    };
    let agent = concat!("rollback/", env!("CARGO_PKG_VERSION"));
    stream
        .write_all(format!("GET {path} HTTP/1.1\r\nHost: {name}\r\nUser-Agent: {agent}\r\nAccept: */*\r\nConnection: close\r\n\r\n").as_bytes())
        .map_err(told)?;
    // Each byte may be late, so the time that is left is set before each look.
    let mut line = Vec::new();
    let mut reader = BufReader::with_capacity(256, stream);
    while !line.contains(&b'\n') && line.len() < 1024 {
        reader
            .get_ref()
            .set_read_timeout(Some(left()?))
            .map_err(told)?;
        let bytes = reader.fill_buf().map_err(told)?.to_vec();
        if bytes.is_empty() {
            break;
        }
        reader.consume(bytes.len());
        line.extend(bytes);
    }
    let line = String::from_utf8_lossy(&line).into_owned();
    let mut words = line.split_ascii_whitespace();
    match (words.next(), words.next().map(str::parse)) {
        (Some(version), Some(Ok(status))) if version.starts_with("HTTP/1.") => Ok(status),
        _ => Err("the answer is not HTTP".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_taken_apart() {
        let apart =
            |url: &str| parts(url).map(|(host, port, path)| format!("{host} {port} {path}"));
        assert_eq!(apart("http://h").unwrap(), "h 80 /");
        assert_eq!(
            apart("http://h:8088/health?x=1#y").unwrap(),
            "h 8088 /health?x=1"
        );
        assert_eq!(apart("http://[::1]/a").unwrap(), "[::1] 80 /a");
        assert_eq!(apart("http://[::1]:81").unwrap(), "[::1] 81 /");
        for bad in [
            "https://h",
            "http://u:p@h",
            "http://",
            "http://h:x",
            "http://h/a b",
        ] {
            assert!(apart(bad).is_err(), "{bad}");
        }
    }
}

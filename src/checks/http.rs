//! One GET. Only the status of the answer counts, so no redirect is followed and no body is read.

use std::time::Duration;

use ureq::Agent;
use ureq::http::Uri;
use ureq::tls::{RootCerts, TlsConfig};

/// Whether an address can be asked; the error is a sentence.
pub fn is_address(url: &str) -> Result<(), String> {
    let address: Uri = url.parse().map_err(|error| format!("{error}"))?;
    if !matches!(address.scheme_str(), Some("http" | "https")) {
        return Err("the address has to begin with http:// or https://".to_owned());
    }
    let authority = address.authority().map_or("", |found| found.as_str());
    if authority.contains('@') {
        return Err(
            "a login in the address would be shown in messages: use a command, such as curl -f"
                .to_owned(),
        );
    }
    let host = address.host().unwrap_or_default();
    if host.is_empty() {
        return Err("the address has no host".to_owned());
    }
    if authority != host && address.port_u16().is_none() {
        return Err("the port is not a number".to_owned());
    }
    Ok(())
}

/// The status that the address answers with; the error is a sentence. A certificate is checked against those that the
/// system trusts, and `SSL_CERT_FILE`.
pub(super) fn status(url: &str, timeout: Duration) -> Result<u16, String> {
    is_address(url)?;
    let tls = TlsConfig::builder()
        .root_certs(RootCerts::PlatformVerifier)
        .build();
    let agent: Agent = Agent::config_builder()
        .timeout_global(Some(timeout))
        .http_status_as_error(false)
        .max_redirects(0)
        .max_redirects_will_error(false)
        // It is the project's own address; what leads there by a proxy is a command.
        .proxy(None)
        .user_agent(concat!("rollback/", env!("CARGO_PKG_VERSION")))
        .tls_config(tls)
        .build()
        .into();
    match agent.get(url).call() {
        Ok(answer) => Ok(answer.status().as_u16()),
        Err(ureq::Error::Timeout(_)) => {
            Err(format!("no answer within {} s", timeout.as_secs_f64()))
        }
        Err(ureq::Error::Io(error)) => Err(error.to_string()),
        Err(error) => Err(error.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use std::io::{Read as _, Write as _};
    use std::net::TcpListener;
    use std::thread;

    use super::*;

    /// A server for one request, and what it was asked.
    fn answers(answer: &'static [u8]) -> (String, thread::JoinHandle<String>) {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}/health?x=1", listener.local_addr().unwrap());
        let asked = thread::spawn(move || {
            let (mut stream, _) = listener.accept().unwrap();
            let mut request = vec![0; 4096];
            let length = stream.read(&mut request).unwrap();
            stream.write_all(answer).unwrap();
            String::from_utf8_lossy(&request[..length]).into_owned()
        });
        (url, asked)
    }

    #[test]
    fn an_address_is_of_a_web_server_and_has_no_login() {
        for good in ["http://h", "https://h:8088/health?x=1", "http://[::1]:81/a"] {
            assert_eq!(is_address(good), Ok(()), "{good}");
        }
        for bad in [
            "",
            "h/health",
            "ftp://h",
            "http://u:p@h",
            "http://",
            "http://h:x",
            "http://h/a b",
        ] {
            assert!(is_address(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn the_status_is_what_the_server_says() {
        const LIMIT: Duration = Duration::from_secs(20);
        for (answer, expected) in [
            (&b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"[..], 200),
            (
                b"HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\n\r\n",
                503,
            ),
            (
                b"HTTP/1.1 302 Found\r\nLocation: http://127.0.0.1:1/\r\nContent-Length: 0\r\n\r\n",
                302,
            ),
        ] {
            let (url, asked) = answers(answer);
            assert_eq!(status(&url, LIMIT), Ok(expected));
            let asked = asked.join().unwrap();
            assert!(asked.starts_with("GET /health?x=1 HTTP/1.1\r\n"), "{asked}");
            assert!(asked.contains("rollback/"), "{asked}");
        }
        let (url, asked) = answers(b"SSH-2.0-OpenSSH\r\n");
        assert!(status(&url, LIMIT).is_err());
        asked.join().unwrap();
    }

    #[test]
    fn nobody_is_waited_for_longer_than_the_limit() {
        let silent = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}/", silent.local_addr().unwrap());
        assert_eq!(
            status(&url, Duration::from_millis(200)),
            Err("no answer within 0.2 s".to_owned())
        );
        // Nor is a server that speaks no TLS.
        let url = url.replace("http:", "https:");
        assert!(status(&url, Duration::from_millis(200)).is_err());
    }
}

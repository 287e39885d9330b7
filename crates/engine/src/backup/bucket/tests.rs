//! What a request does when nobody answers, and what is shown of an error.

use std::io::{Read, Write};
use std::net::TcpListener;
use std::time::{Duration, Instant};

use whimbrel_core::backup::StoreUrl;
use whimbrel_core::secret::Secret;

use super::client::{Client, Limits};
use crate::apply::StopFlag;
use crate::backup::BackupStore;
use crate::error::{EngineError, StoreFault};

const LIMITS: Limits = Limits {
    connect: Duration::from_millis(300),
    read: Duration::from_millis(300),
    request: Duration::from_millis(600),
    retries_max: 2,
    all: Duration::from_secs(5),
};

fn client(port: u16, stop: StopFlag, limits: Limits) -> Client {
    let store = BackupStore {
        url: StoreUrl::parse("s3://bucket/prefix").unwrap(),
        endpoint: Some(format!("http://127.0.0.1:{port}")),
        region: None,
        plain_http_host: None,
        keys: vec![
            ("AWS_ACCESS_KEY_ID", Secret::new("key")),
            ("AWS_SECRET_ACCESS_KEY", Secret::new("very-secret")),
        ],
    };
    Client::new(&store, limits, stop).unwrap()
}

/// A listener that gives every request the same answer, and none where it is empty.
fn answering(answer: &'static str) -> u16 {
    let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
    let port = listener.local_addr().unwrap().port();
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            std::thread::spawn(move || {
                let mut stream = stream;
                let mut buffer = [0; 65_536];
                while stream.read(&mut buffer).is_ok_and(|count| count > 0) {
                    if stream.write_all(answer.as_bytes()).is_err() {
                        return;
                    }
                }
            });
        }
    });
    port
}

fn fails(client: &Client) -> (StoreFault, String) {
    match client.ask(Client::states) {
        Err(EngineError::Store { store, fault, reason }) => {
            assert_eq!(store, "s3://bucket/prefix");
            assert!(!reason.contains("very-secret"), "{reason}");
            (fault, reason)
        }
        Err(other) => panic!("{other}"),
        Ok(_) => panic!("it answered"),
    }
}

#[test]
fn a_server_that_never_answers_ends_after_some_tries() {
    let client = client(answering(""), StopFlag::default(), LIMITS);
    let (fault, reason) = fails(&client);
    assert_eq!(fault, StoreFault::Network, "{reason}");
}

#[test]
fn who_waits_for_a_silent_server_can_be_stopped() {
    let stop = StopFlag::default();
    let limits =
        Limits { read: Duration::from_secs(600), request: Duration::from_secs(600), ..LIMITS };
    let client = client(answering(""), stop.clone(), limits);
    let began = Instant::now();
    std::thread::scope(|scope| {
        let asked = scope.spawn(|| client.ask(Client::states).map(|_| ()));
        std::thread::sleep(Duration::from_millis(50));
        stop.stop();
        assert!(matches!(asked.join().unwrap(), Err(EngineError::Stopped)));
    });
    assert!(began.elapsed() < Duration::from_secs(300));
}

#[test]
fn what_a_server_says_is_cut_to_its_words() {
    for (status, body, fault, words) in [
        (
            "403 Forbidden",
            "<Error><Code>AccessDenied</Code><Message>No\u{7}</Message><X>key</X></Error>",
            StoreFault::Keys,
            "AccessDenied: No ",
        ),
        ("403 Forbidden", "", StoreFault::Keys, "it answered with the status 403"),
        (
            "404 Not Found",
            "<Error><Code>NoSuchBucket</Code></Error>",
            StoreFault::Bucket,
            "NoSuchBucket",
        ),
        ("503 Slow Down", "<Error><Code>SlowDown</Code></Error>", StoreFault::Other, "SlowDown"),
        ("400 Bad Request", "<html>", StoreFault::Other, "it answered with the status 400"),
    ] {
        let answer = format!("HTTP/1.1 {status}\r\ncontent-length: {}\r\n\r\n{body}", body.len());
        let client = client(answering(answer.leak()), StopFlag::default(), LIMITS);
        assert_eq!(fails(&client), (fault, words.to_owned()));
    }
}

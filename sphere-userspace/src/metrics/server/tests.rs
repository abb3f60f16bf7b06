//! The HTTP end from outside: what it answers, what it refuses, and that nobody holds it up.
#![allow(clippy::unwrap_used, reason = "a test that panics has failed")]

use tokio::net::TcpStream;

use super::*;

/// A server whose page is always the same.
struct Running {
    address: SocketAddr,
    cancel: CancellationToken,
}

impl Running {
    fn start(text: &str, patience: Duration) -> Self {
        let mut server = Server::bind(&MetricsListen::Tcp("127.0.0.1:0".parse().unwrap())).unwrap();
        server.patience = patience;
        let (address, cancel) = (server.address().unwrap(), CancellationToken::new());
        let (pages, mut asked) = mpsc::channel::<Page>(1);
        let text: Arc<str> = text.into();
        tokio::spawn(server.serve(pages, cancel.clone()));
        tokio::spawn(async move {
            while let Some(page) = asked.recv().await {
                drop(page.send(Arc::clone(&text)));
            }
        });
        Self { address, cancel }
    }

    async fn connect(&self) -> TcpStream {
        TcpStream::connect(self.address).await.unwrap()
    }

    async fn answer(&self, request: &str) -> String {
        let mut stream = self.connect().await;
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.unwrap();
        answer
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.cancel.cancel();
    }
}

#[tokio::test]
async fn the_page_is_sent_with_its_length_and_format() {
    let server = Running::start("a 1\n", PATIENCE);
    let answer = server.answer("GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n").await;
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    assert!(head.starts_with("HTTP/1.1 200 OK\r\n"), "{head}");
    assert!(head.contains("\r\nContent-Type: text/plain; version=0.0.4; charset=utf-8\r\n"), "{head}");
    assert!(head.contains("\r\nContent-Length: 4\r\n") && head.contains("\r\nConnection: close"), "{head}");
    assert_eq!(body, "a 1\n");
    let head = server.answer("HEAD /metrics HTTP/1.1\r\n\r\n").await;
    assert!(head.contains("Content-Length: 4\r\n") && head.ends_with("\r\n\r\n"), "{head}");
}

#[tokio::test]
async fn what_is_not_known_is_refused() {
    let server = Running::start("a 1\n", PATIENCE);
    let long = format!("GET /metrics HTTP/1.1\r\nX: {}", "x".repeat(MAX_HEAD - 26));
    for (request, status) in [
        ("GET / HTTP/1.1\r\n\r\n", "404"),
        ("DELETE /metrics HTTP/1.1\r\n\r\n", "405"),
        ("\u{16}\u{3}\u{1}\r\n\r\n", "400"),
        (long.as_str(), "431"),
    ] {
        let answer = server.answer(request).await;
        assert!(answer.starts_with(&format!("HTTP/1.1 {status} ")), "{answer}");
    }
}

#[tokio::test]
async fn peers_that_say_nothing_are_given_up_and_the_next_one_is_served() {
    let server = Running::start("a 1\n", Duration::from_millis(100));
    let mut silent = Vec::new();
    for _ in 0..2 * AT_ONCE {
        silent.push(server.connect().await);
    }
    let answer = server.answer("GET /metrics HTTP/1.1\r\n\r\n").await;
    assert!(answer.ends_with("\r\n\r\na 1\n"), "{answer}");
    assert_eq!(silent[0].read(&mut [0]).await.unwrap(), 0, "given up");
}

#[tokio::test]
async fn a_left_socket_is_replaced_and_what_is_in_use_or_no_socket_is_not() {
    let directory = std::env::temp_dir().join(format!("sphere-metrics-{}", std::process::id()));
    fs::create_dir_all(&directory).unwrap();
    let path = directory.join("below/metrics.sock");
    let listen = MetricsListen::Unix(path.clone());
    let server = Server::bind(&listen).unwrap();
    assert!(matches!(Server::bind(&listen), Err(MetricsError::Taken { .. })));
    drop(server);
    // As a daemon that was killed leaves it.
    drop(std::os::unix::net::UnixListener::bind(&path).unwrap());
    let server = Server::bind(&listen).unwrap();
    assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o660);
    drop(server);
    assert!(!path.exists());
    fs::write(&path, "precious").unwrap();
    assert!(matches!(Server::bind(&listen), Err(MetricsError::Occupied { .. })));
    assert_eq!(fs::read_to_string(&path).unwrap(), "precious");
    fs::remove_dir_all(&directory).unwrap();
}

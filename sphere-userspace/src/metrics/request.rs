//! What is asked over HTTP, and the heads of the answers. Only `GET /metrics` and `HEAD /metrics` are known.

use httparse::{EMPTY_HEADER, Error, Request};

/// Longest head of a request, in bytes.
pub(super) const MAX_HEAD: usize = 8 * 1024;
/// Headers that a request may have.
const MAX_HEADERS: usize = 64;

/// What a request asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Asked {
    /// The page.
    Page,
    /// Only the head of its answer.
    Head,
    /// Something else, which is refused.
    Refused(Refusal),
}

/// Why a request is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Refusal {
    /// It is no HTTP request.
    Malformed,
    /// There is nothing at its path.
    Path,
    /// It wants to change something.
    Method,
    /// Its head is too long, or has too many headers.
    TooLong,
    /// The page could not be put together in time.
    Unready,
}

impl Refusal {
    const fn status(self) -> &'static str {
        match self {
            Self::Malformed => "400 Bad Request",
            Self::Path => "404 Not Found",
            Self::Method => "405 Method Not Allowed\r\nAllow: GET, HEAD",
            Self::TooLong => "431 Request Header Fields Too Large",
            Self::Unready => "503 Service Unavailable",
        }
    }

    const fn text(self) -> &'static str {
        match self {
            Self::Malformed => "not an HTTP request\n",
            Self::Path => "the metrics are at /metrics\n",
            Self::Method => "metrics can only be read\n",
            Self::TooLong => "the head of the request is too long\n",
            Self::Unready => "the metrics could not be read in time\n",
        }
    }

    /// The whole answer.
    pub(super) fn answer(self) -> String {
        let text = self.text();
        let head = head(self.status(), "text/plain; charset=utf-8", text.len());
        format!("{head}{text}")
    }
}

/// The head of the answer that has the page, of so many bytes.
pub(super) fn page_head(bytes: usize) -> String {
    head("200 OK", "text/plain; version=0.0.4; charset=utf-8", bytes)
}

fn head(status: &str, content: &str, bytes: usize) -> String {
    format!(
        "HTTP/1.1 {status}\r\nContent-Type: {content}\r\nContent-Length: {bytes}\r\nCache-Control: no-store\r\n\
         Connection: close\r\n\r\n"
    )
}

/// What the beginning of a connection asks for; [`None`] when more of it has to come.
pub(super) fn read(bytes: &[u8]) -> Option<Asked> {
    let mut headers = [EMPTY_HEADER; MAX_HEADERS];
    let mut request = Request::new(&mut headers);
    match request.parse(bytes) {
        Ok(status) if status.is_complete() => Some(judge(request.method, request.path)),
        Ok(_) if bytes.len() >= MAX_HEAD => Some(Asked::Refused(Refusal::TooLong)),
        Ok(_) => None,
        Err(Error::TooManyHeaders) => Some(Asked::Refused(Refusal::TooLong)),
        Err(_) => Some(Asked::Refused(Refusal::Malformed)),
    }
}

fn judge(method: Option<&str>, path: Option<&str>) -> Asked {
    let path = path.unwrap_or_default();
    // Collectors may add parameters, which mean nothing here.
    if path.split('?').next() != Some("/metrics") {
        return Asked::Refused(Refusal::Path);
    }
    match method {
        Some("GET") => Asked::Page,
        Some("HEAD") => Asked::Head,
        _ => Asked::Refused(Refusal::Method),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_reading_the_page_is_known() {
        let asked = |request: &str| read(request.as_bytes());
        assert_eq!(asked("GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n"), Some(Asked::Page));
        assert_eq!(asked("GET /metrics?a=b HTTP/1.0\r\n\r\n"), Some(Asked::Page));
        assert_eq!(asked("HEAD /metrics HTTP/1.1\r\n\r\n"), Some(Asked::Head));
        assert_eq!(asked("GET / HTTP/1.1\r\n\r\n"), Some(Asked::Refused(Refusal::Path)));
        assert_eq!(asked("GET /metricsx HTTP/1.1\r\n\r\n"), Some(Asked::Refused(Refusal::Path)));
        assert_eq!(asked("POST /metrics HTTP/1.1\r\n\r\n"), Some(Asked::Refused(Refusal::Method)));
        assert_eq!(asked("\u{1}\u{2}\r\n\r\n"), Some(Asked::Refused(Refusal::Malformed)));
        assert_eq!(asked("GET /metrics HTTP/1.1\r\nHost: x\r\n"), None);
    }

    #[test]
    fn a_head_has_bounds() {
        let long = format!("GET /metrics HTTP/1.1\r\nX: {}", "x".repeat(MAX_HEAD));
        assert_eq!(read(long.as_bytes()), Some(Asked::Refused(Refusal::TooLong)));
        let many = format!("GET /metrics HTTP/1.1\r\n{}\r\n", "X: y\r\n".repeat(MAX_HEADERS + 1));
        assert_eq!(read(many.as_bytes()), Some(Asked::Refused(Refusal::TooLong)));
    }
}

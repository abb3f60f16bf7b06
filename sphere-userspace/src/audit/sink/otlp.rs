//! A collector of OpenTelemetry: log records as JSON over HTTP (OTLP/HTTP, version 1).
//!
//! The collector answers each request: what it has not said that it took is sent again, so that a record may come twice,
//! but is never lost on the way.

mod message;

use std::io;
use std::path::PathBuf;
use std::time::Duration;

use serde::Deserialize;
use ureq::Agent;
use ureq::http::StatusCode;

use super::{Batch, Output, tls};
use crate::policy::TlsSettings;
use message::Request;

const CONNECT: Duration = Duration::from_secs(5);
/// How long a request may take in all.
const PATIENCE: Duration = Duration::from_secs(10);
/// Longest answer that is read.
const ANSWER_BYTES: u64 = 64 << 10;

pub(super) struct Otlp {
    url: String,
    tls: TlsSettings,
    authorization: Option<PathBuf>,
    /// The client while it works; made anew after a failure, as its certificates may have been renewed.
    agent: Option<Agent>,
    host: Option<String>,
}

/// What the collector took only in part.
#[derive(Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct Answer {
    partial_success: Partial,
}

#[derive(Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct Partial {
    rejected_log_records: serde_json::Value,
    error_message: String,
}

impl Partial {
    /// The number, which proto3's JSON may write as a text.
    fn rejected(&self) -> usize {
        let text = self.rejected_log_records.as_str().map(str::to_owned);
        text.unwrap_or_else(|| self.rejected_log_records.to_string()).parse().unwrap_or(0)
    }
}

impl Otlp {
    pub(super) fn new(url: String, tls: TlsSettings, authorization: Option<PathBuf>) -> Self {
        let host = nix::unistd::gethostname().ok().and_then(|name| name.into_string().ok());
        Self { url, tls, authorization, agent: None, host }
    }

    fn agent(&self) -> io::Result<Agent> {
        let config = Agent::config_builder()
            .http_status_as_error(false)
            .max_redirects(0)
            .proxy(None)
            .user_agent(concat!("sphere/", env!("CARGO_PKG_VERSION")))
            .timeout_connect(Some(CONNECT))
            .timeout_global(Some(PATIENCE));
        let config = if self.url.starts_with("https:") { config.tls_config(tls::http(&self.tls)?) } else { config };
        Ok(config.build().new_agent())
    }

    /// Sends the batch; gives back the collector's status and answer.
    fn post(&self, agent: &Agent, batch: &Batch) -> io::Result<(StatusCode, String)> {
        let body = serde_json::to_vec(&Request::new(batch.iter(), self.host.as_deref()))?;
        let mut request = agent.post(&self.url).content_type("application/json");
        if let Some(path) = &self.authorization {
            let text = std::fs::read_to_string(path)
                .map_err(|error| io::Error::new(error.kind(), format!("cannot read {}: {error}", path.display())))?;
            request = request.header("authorization", text.lines().next().unwrap_or_default().trim());
        }
        let mut response = request.send(&body).map_err(ureq::Error::into_io)?;
        let answer = response.body_mut().with_config().limit(ANSWER_BYTES).read_to_string();
        Ok((response.status(), answer.map_err(ureq::Error::into_io)?))
    }
}

impl Output for Otlp {
    fn deliver(&mut self, batch: &mut Batch) -> io::Result<()> {
        let agent = match self.agent.take() {
            Some(agent) => agent,
            None => self.agent()?,
        };
        let (status, answer) = self.post(&agent, batch)?;
        match status.as_u16() {
            200..=299 => {
                let partial = serde_json::from_str::<Answer>(&answer).unwrap_or_default().partial_success;
                let rejected = partial.rejected().min(batch.len());
                if rejected > 0 {
                    tracing::warn!(records = rejected, why = partial.error_message, "the collector refused records");
                }
                batch.lost(rejected);
                batch.delivered(batch.len());
            }
            // Worth another try (OTLP, "Retryable Response Codes").
            429 | 502 | 503 | 504 => return Err(io::Error::other(format!("the collector answers {status}"))),
            // Who is asked for a password has not refused the records.
            401 | 403 => return Err(io::Error::other(format!("the collector answers {status}: see `authorization`"))),
            _ => {
                tracing::warn!(%status, records = batch.len(), "the collector refused records");
                batch.lost(batch.len());
            }
        }
        self.agent = Some(agent);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_collector_refused_is_read_as_number_or_text() {
        for (answer, rejected) in [
            ("", 0),
            ("{}", 0),
            ("{\"partialSuccess\":{}}", 0),
            ("{\"partialSuccess\":{\"rejectedLogRecords\":\"3\",\"errorMessage\":\"no\"}}", 3),
            ("{\"partialSuccess\":{\"rejectedLogRecords\":4}}", 4),
        ] {
            let found = serde_json::from_str::<Answer>(answer).unwrap_or_default().partial_success.rejected();
            assert_eq!(found, rejected, "{answer}");
        }
    }
}

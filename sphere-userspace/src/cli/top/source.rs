//! Reads the pins, and asks the daemon where one runs.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::audit::SinkState;
use crate::control::{self, ControlError, Request};
use crate::daemon::StoreState;
use crate::datapath::{DatapathError, Traces, inspect, monotonic, open_flows, snapshot};
use crate::names::View;
use crate::top::Sample;

/// What is known of names is large, and changes with lifetimes of answers: it is asked for less often.
const NAMES_EVERY: Duration = Duration::from_secs(5);

/// Where samples come from.
pub(super) struct Source {
    pin_root: PathBuf,
    names: Option<(Instant, Arc<View>)>,
}

impl Source {
    pub(super) fn new(pin_root: &Path) -> Self {
        Self { pin_root: pin_root.to_owned(), names: None }
    }

    /// Reads everything. A daemon that does not answer is told of, and is no error: what is pinned can be told without it.
    pub(super) fn read(&mut self) -> Result<Sample, DatapathError> {
        let snapshot = snapshot::read(&self.pin_root)?;
        let at = monotonic::now();
        let traces = Traces::pinned(&self.pin_root)?;
        let flows = open_flows(&self.pin_root, &traces.clock)?;
        let mut silence = None;
        let store: Option<StoreState> = heard(control::ask(&self.pin_root, Request::Store), &mut silence);
        // Who was silent once is not waited for again.
        let sinks: Option<Vec<SinkState>> = match silence {
            None => heard(control::ask(&self.pin_root, Request::Sinks), &mut silence),
            Some(_) => None,
        };
        let names = self.names(&mut silence)?;
        let by_address = Arc::new(names.by_address());
        Ok(Sample { at, snapshot, traces, flows, names, by_address, store, sinks: sinks.unwrap_or_default(), silence })
    }

    fn names(&mut self, silence: &mut Option<String>) -> Result<Arc<View>, DatapathError> {
        if let Some((at, names)) = &self.names
            && at.elapsed() < NAMES_EVERY
        {
            return Ok(Arc::clone(names));
        }
        let told = match silence {
            None => heard(control::ask(&self.pin_root, Request::Names), silence),
            Some(_) => None,
        };
        let names = match told {
            Some(view) => view,
            None => View::of_pins(&inspect(&self.pin_root)?),
        };
        let names = Arc::new(names);
        self.names = Some((Instant::now(), Arc::clone(&names)));
        Ok(names)
    }
}

fn heard<T>(answer: Result<Option<T>, ControlError>, silence: &mut Option<String>) -> Option<T> {
    answer.unwrap_or_else(|error| {
        *silence = Some(match std::error::Error::source(&error) {
            Some(source) => format!("{error}: {source}"),
            None => error.to_string(),
        });
        None
    })
}

//! The terminal: keys come in, screens go out, and whatever happens it is left as it was found.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use ratatui::DefaultTerminal;
use ratatui::crossterm::event::{self, Event, KeyCode, KeyEvent, KeyEventKind, KeyModifiers};
use signal_hook::consts::{SIGHUP, SIGINT, SIGQUIT, SIGTERM};

use super::TopError;
use super::source::Source;
use crate::render;
use crate::top::{Controls, Frame, Key, Sample, What};

/// How soon a signal is noticed.
const PATIENCE: Duration = Duration::from_millis(200);

/// A terminal that is restored when this goes; a panic restores it before it is told of.
struct Screen(Option<DefaultTerminal>);

impl Screen {
    fn open() -> io::Result<Self> {
        // Before anything of the terminal is changed, so that a failure half-way restores it too.
        let mut screen = Self(None);
        screen.0 = Some(ratatui::try_init()?);
        Ok(screen)
    }

    fn draw(&mut self, shown: (&Frame, Option<&str>), controls: &Controls) -> io::Result<()> {
        let colours = render::colours();
        let Some(terminal) = &mut self.0 else { return Ok(()) };
        terminal.draw(|area| render::draw_top(area.buffer_mut(), shown, controls, colours))?;
        Ok(())
    }
}

impl Drop for Screen {
    fn drop(&mut self) {
        // A terminal that is gone needs no restoring, and there is nobody to tell.
        drop(ratatui::try_restore());
    }
}

/// Shows what is read until a key or a signal ends it.
pub(super) fn show(mut source: Source, first: Sample, interval: Duration) -> Result<(), TopError> {
    let ends = Arc::new(AtomicBool::new(false));
    for signal in [SIGTERM, SIGINT, SIGHUP, SIGQUIT] {
        signal_hook::flag::register(signal, Arc::clone(&ends))?;
    }
    let mut screen = Screen::open()?;
    let mut controls = Controls::default();
    let mut frame = Frame::new(&first, &first);
    let mut earlier = first;
    let mut problem: Option<String> = None;
    let mut due = Instant::now() + interval;
    while !ends.load(Ordering::Relaxed) {
        screen.draw((&frame, problem.as_deref()), &controls)?;
        let wait = due.saturating_duration_since(Instant::now()).min(PATIENCE);
        if take_keys(&mut controls, wait)? == What::Ends {
            break;
        }
        if Instant::now() < due {
            continue;
        }
        // What takes longer to read than the interval is read at once again, not twice at a time.
        due = (due + interval).max(Instant::now());
        match source.read() {
            // It is read all the same while it stands still, so that the first rates after that are of one interval.
            Ok(later) => {
                if !controls.paused {
                    frame = Frame::new(&earlier, &later);
                }
                (earlier, problem) = (later, None);
            }
            // The pins may come back: an upgrade of the daemon replaces them.
            Err(error) => problem = Some(error.to_string()),
        }
    }
    Ok(())
}

/// Waits for keys, and takes those that are there.
fn take_keys(controls: &mut Controls, mut wait: Duration) -> io::Result<What> {
    while event::poll(wait)? {
        wait = Duration::ZERO;
        if let Event::Key(pressed) = event::read()?
            && let Some(key) = meaning(pressed)
            && controls.press(key) == What::Ends
        {
            return Ok(What::Ends);
        }
    }
    Ok(What::Goes)
}

/// What a key asks for.
fn meaning(pressed: KeyEvent) -> Option<Key> {
    if pressed.kind == KeyEventKind::Release {
        return None;
    }
    match pressed.code {
        KeyCode::Char('c') if pressed.modifiers.contains(KeyModifiers::CONTROL) => Some(Key::Quit),
        _ if pressed.modifiers.intersects(KeyModifiers::CONTROL | KeyModifiers::ALT) => None,
        KeyCode::Char('q' | 'Q') => Some(Key::Quit),
        KeyCode::Esc => Some(Key::Back),
        KeyCode::Tab | KeyCode::Right => Some(Key::Next),
        KeyCode::BackTab | KeyCode::Left => Some(Key::Previous),
        KeyCode::Char('p' | ' ') => Some(Key::Pause),
        KeyCode::Char('s') => Some(Key::Sort),
        KeyCode::Char('?' | 'h') => Some(Key::Help),
        KeyCode::Char(digit) => digit.to_digit(10).and_then(|digit| usize::try_from(digit).ok()).map(Key::Digit),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_mean_what_the_help_says() {
        let plain = KeyModifiers::NONE;
        for (code, modifiers, key) in [
            (KeyCode::Char('q'), plain, Some(Key::Quit)),
            (KeyCode::Char('c'), KeyModifiers::CONTROL, Some(Key::Quit)),
            (KeyCode::Char('c'), plain, None),
            (KeyCode::Char('p'), KeyModifiers::CONTROL, None),
            (KeyCode::Esc, plain, Some(Key::Back)),
            (KeyCode::Tab, plain, Some(Key::Next)),
            (KeyCode::BackTab, KeyModifiers::SHIFT, Some(Key::Previous)),
            (KeyCode::Char('?'), KeyModifiers::SHIFT, Some(Key::Help)),
            (KeyCode::Char('3'), plain, Some(Key::Digit(3))),
            (KeyCode::Char('x'), plain, None),
        ] {
            assert_eq!(meaning(KeyEvent::new(code, modifiers)), key, "{code:?}");
        }
    }
}

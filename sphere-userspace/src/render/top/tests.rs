//! Screens and pages as they always were.

#![allow(clippy::unwrap_used, reason = "a test that panics has failed")]

use ratatui::Terminal;
use ratatui::backend::TestBackend;
use ratatui::style::Color;

use super::*;
use crate::top::Key;
use crate::top::tests::frame;

fn screen((columns, rows): (u16, u16), frame: &Frame, controls: &Controls, colours: Colours) -> Buffer {
    let mut terminal = Terminal::new(TestBackend::new(columns, rows)).unwrap();
    terminal.draw(|area| draw(area.buffer_mut(), (frame, None), controls, colours)).unwrap();
    terminal.backend().buffer().clone()
}

fn shown(view: View) -> Controls {
    let mut controls = Controls::default();
    controls.view = view;
    controls
}

#[test]
fn every_view_fits_the_usual_terminal() {
    let frame = frame();
    let mut text = String::new();
    for view in View::ALL {
        let buffer = screen((80, 24), &frame, &shown(view), Colours::Some);
        text.push_str(&lines(&buffer).join("\n"));
        text.push_str("\n\n");
    }
    crate::snapshots::check("top-80x24.txt", &text);
}

#[test]
fn a_large_terminal_shows_more_columns() {
    let frame = frame();
    let mut text = String::new();
    for view in [View::Overview, View::Denials, View::Names] {
        let buffer = screen((140, 40), &frame, &shown(view), Colours::Some);
        text.push_str(&lines(&buffer).join("\n"));
        text.push_str("\n\n");
    }
    crate::snapshots::check_columns("top-140x40.txt", &text, 140);
}

#[test]
fn help_and_pause_are_shown() {
    let mut controls = shown(View::Overview);
    controls.paused = true;
    assert_eq!(controls.press(Key::Help), crate::top::What::Goes);
    let buffer = screen((80, 24), &frame(), &controls, Colours::Some);
    crate::snapshots::check("top-screen-help.txt", &lines(&buffer).join("\n"));
}

#[test]
fn a_page_has_all_of_it_in_80_columns() {
    let mut text = Vec::new();
    let mut frame = frame();
    frame
        .notices
        .push("the account on disk is failing: no space left on device (os error 28), as it was told".to_owned());
    write_page(&mut text, &frame).unwrap();
    crate::snapshots::check("top-page.txt", std::str::from_utf8(&text).unwrap());
}

#[test]
fn no_size_is_too_small() {
    let mut frame = frame();
    frame.notices = vec!["lan0 is unprotected: no program is attached".to_owned(); 5];
    for columns in 0..=45 {
        for rows in 0..=30 {
            for view in View::ALL {
                let mut controls = shown(view);
                controls.help = rows % 2 == 0;
                screen((columns, rows), &frame, &controls, Colours::Some);
            }
        }
    }
    let tiny = screen((20, 5), &frame, &Controls::default(), Colours::Some);
    assert_eq!(lines(&tiny)[1..3], ["! lan0 is unprotect…", "! lan0 is unprotect…"]);
}

#[test]
fn without_colours_the_same_is_said() {
    let frame = frame();
    for view in View::ALL {
        let [with, without] =
            [Colours::Some, Colours::None].map(|colours| screen((100, 30), &frame, &shown(view), colours));
        assert_eq!(lines(&with), lines(&without));
        let is_plain =
            |buffer: &Buffer| buffer.content.iter().all(|cell| cell.fg == Color::Reset && cell.bg == Color::Reset);
        assert!(is_plain(&without), "{view:?}");
    }
    let with = screen((100, 30), &frame, &shown(View::Overview), Colours::Some);
    assert!(with.content.iter().any(|cell| cell.fg == Color::Red));
    assert_eq!(Colours::wanted(None), Colours::Some);
    assert_eq!(Colours::wanted(Some("".as_ref())), Colours::Some);
    assert_eq!(Colours::wanted(Some("0".as_ref())), Colours::None);
}

#[test]
fn nothing_that_names_say_acts_on_the_terminal() {
    let mut frame = frame();
    frame.names[0].name = "a\u{1b}[2J\u{202e}b".to_owned();
    frame.notices.push("\u{9b}2J".to_owned());
    let text = lines(&screen((140, 40), &frame, &Controls::default(), Colours::Some)).join("\n");
    assert!(text.contains("a\\u{1b}[2J\\u{202e}b") && text.contains("! \\u{9b}2J"), "{text}");
}

#[test]
fn figures_that_are_old_are_said_to_be() {
    let mut frame = frame();
    frame.notices = vec!["no daemon runs".to_owned()];
    let mut buffer = Buffer::empty(Rect::new(0, 0, 80, 24));
    draw(&mut buffer, (&frame, Some("nothing is enforced from /x")), &Controls::default(), Colours::Some);
    let text = lines(&buffer);
    assert_eq!(text[2..4], ["! nothing is enforced from /x".to_owned(), format!("! {OLD}")]);
    assert!(text[4].starts_with("PACKETS"), "{text:?}");
}

#[test]
fn the_order_that_was_chosen_is_that_of_the_lines() {
    let frame = frame();
    let mut controls = shown(View::Devices);
    let mut firsts = Vec::new();
    for _ in View::Devices.orders() {
        let text = lines(&screen((80, 24), &frame, &controls, Colours::Some));
        firsts.push((controls.order(), text[3].split_whitespace().next().unwrap_or_default().to_owned()));
        assert_eq!(controls.press(Key::Sort), crate::top::What::Goes);
    }
    let [a, b] = ["10.20.0.5", "10.20.0.6"].map(str::to_owned);
    let expected = [
        (Order::Rate, a.clone()),
        (Order::Received, a.clone()),
        (Order::Total, b),
        (Order::Flows, a.clone()),
        (Order::Recent, a.clone()),
        (Order::Name, a),
    ];
    assert_eq!(firsts, expected);
}

#[test]
fn lines_are_shared_by_turns_and_no_table_gets_more_than_it_wants() {
    assert_eq!(share(21, &[4, 10, 10, 2, 2, 3]), [4, 5, 5, 2, 2, 3]);
    assert_eq!(share(3, &[4, 10]), [3, 0]);
    assert_eq!(share(100, &[4, 10]), [4, 10]);
    assert_eq!(share(1, &[4]), [0]);
}

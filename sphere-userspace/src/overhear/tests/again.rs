//! Held segments that are sent again are judged like the first ones.

use super::*;

const START: u32 = u32::MAX - 500;

fn at(offset: usize) -> u32 {
    START.wrapping_add(u32::try_from(offset).unwrap())
}

fn hear_held(listener: &mut Listener, offset: usize, bytes: &[u8]) -> Heard {
    let frame = segment(at(offset), bytes);
    listener.hear(&held(&frame), &frame)
}

fn told(heard: &Heard) -> (Vec<u16>, usize, bool) {
    (ids(&heard.answers), heard.frames.len(), heard.is_unjoined)
}

#[test]
fn a_segment_that_completed_an_answer_waits_for_it_each_time_it_comes() {
    let stream = framed(&answer(1, 200));
    let mut listener = Listener::default();
    assert_eq!(told(&hear_held(&mut listener, 0, &stream[..1000])), (vec![], 1, false));
    for _ in 0..3 {
        assert_eq!(told(&hear_held(&mut listener, 1000, &stream[1000..])), (vec![1], 1, false));
    }
    assert_eq!(told(&hear_held(&mut listener, 0, &stream)), (vec![1], 1, false), "all of it at once");
    assert_eq!(told(&hear_held(&mut listener, 1000, &stream[1000..1001])), (vec![1], 1, false), "a probe of one byte");
}

#[test]
fn what_is_sent_again_together_with_what_is_new_waits_for_both() {
    let (first, second) = (framed(&answer(1, 20)), framed(&answer(2, 20)));
    let stream = [first.clone(), second].concat();
    let mut listener = Listener::default();
    assert_eq!(told(&hear_held(&mut listener, 0, &first)), (vec![1], 1, false));
    assert_eq!(told(&hear_held(&mut listener, 0, &stream)), (vec![1, 2], 1, false));
}

#[test]
fn another_text_than_before_is_not_known() {
    let stream = framed(&answer(1, 20));
    let mut other = stream.clone();
    *other.last_mut().unwrap() ^= 1;
    let mut listener = Listener::default();
    hear_held(&mut listener, 0, &stream);
    assert_eq!(told(&hear_held(&mut listener, 0, &other)), (vec![], 1, true));
    let mut listener = Listener::default();
    hear_held(&mut listener, 0, &stream[..200]);
    assert_eq!(told(&hear_held(&mut listener, 100, &other[100..200])), (vec![], 1, false));
    other[150] ^= 1;
    assert_eq!(told(&hear_held(&mut listener, 100, &other[100..200])), (vec![], 1, true));
}

#[test]
fn the_middle_of_an_unknown_connection_is_not_known() {
    let stream = framed(&answer(1, 200));
    let mut listener = Listener::default();
    assert_eq!(told(&hear_held(&mut listener, 1000, &stream[1000..])), (vec![], 1, true));
    assert_eq!(told(&hear_held(&mut listener, 0, &stream[..1000])), (vec![1], 1, false), "its beginning came late");
    assert_eq!(told(&hear_held(&mut listener, 1000, &stream[1000..])), (vec![1], 1, false));
    // Nothing waits for it in a group that holds no answers.
    let mut listener = Listener::default();
    let frame = segment(1000, &stream[1000..]);
    assert!(!listener.hear(&head(&frame), &frame).is_unjoined);
}

#[test]
fn a_length_that_comes_alone_goes_on() {
    let stream = framed(&answer(1, 200));
    for cut in 1..8 {
        let mut listener = Listener::default();
        assert_eq!(told(&hear_held(&mut listener, 0, &stream[..cut])), (vec![], 1, false), "{cut} bytes");
        assert_eq!(told(&hear_held(&mut listener, cut, &stream[cut..])), (vec![1], 1, false), "{cut} bytes");
    }
}

#[test]
fn what_is_remembered_is_bounded_and_what_is_forgotten_is_not_known() {
    let messages: Vec<Vec<u8>> = (0..200).map(|id| framed(&answer(id, 255))).collect();
    let mut listener = Listener::default();
    let mut offset = 0;
    for message in &messages {
        hear_held(&mut listener, offset, message);
        offset += message.len();
    }
    let kept = listener.streams.size().1;
    assert!((65_536..=past::MAX_PAST_BYTES).contains(&kept), "{kept}");
    let last = messages.last().unwrap();
    assert_eq!(told(&hear_held(&mut listener, offset - last.len(), last)), (vec![199], 1, false));
    assert_eq!(told(&hear_held(&mut listener, 0, &messages[0])), (vec![], 1, true));
}

proptest! {
    #[test]
    fn any_part_of_what_came_waits_for_the_answers_that_it_has_a_part_in(
        sizes in prop::collection::vec(0..60_u16, 1..6),
        (first, second) in (any::<prop::sample::Index>(), any::<prop::sample::Index>()),
    ) {
        let messages: Vec<Vec<u8>> = (1_u16..).zip(&sizes).map(|(id, size)| framed(&answer(id, size + 1))).collect();
        let stream = messages.concat();
        let mut listener = Listener::default();
        for (index, piece) in stream.chunks(700).enumerate() {
            hear_held(&mut listener, index * 700, piece);
        }
        let (from, to) = (first.index(stream.len()), second.index(stream.len()));
        let (from, to) = (from.min(to), from.max(to) + 1);
        let mut end = 0;
        let mut expected = Vec::new();
        for (id, message) in (1_u16..).zip(&messages) {
            let start = end;
            end += message.len();
            if start < to && from < end {
                expected.push(id);
            }
        }
        let heard = hear_held(&mut listener, from, &stream[from..to]);
        prop_assert_eq!(told(&heard), (expected, 1, false));
    }
}

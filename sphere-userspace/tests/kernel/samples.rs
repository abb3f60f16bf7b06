//! Samples of denied packets: how much of the frame they carry.

use etherparse::PacketBuilder;
use hickory_proto::op::{Message, MessageType, OpCode, Query};
use hickory_proto::rr::{Name, RecordType};
use sphere_common::abi::EVENT_HEAD_BYTES;
use sphere_common::verdict::Reason;
use sphere_userspace::audit::Question;

use crate::corpus::{ALLOWED, ALLOWED6, DEVICE, DEVICE6};
use crate::machine::{Machine, Program};

/// The longest name that the programs read.
fn long_name() -> String {
    let label = "n".repeat(60);
    format!("{label}.{label}.{label}.{}.evil", &label[1..])
}

fn query(name: &str) -> Vec<u8> {
    let mut message = Message::new(1, MessageType::Query, OpCode::Query);
    message.add_query(Query::query(Name::from_ascii(name).unwrap(), RecordType::TXT));
    message.to_vec().unwrap()
}

fn frames(payload: &[u8]) -> [Vec<u8>; 2] {
    let link = || PacketBuilder::ethernet2([2; 6], [4; 6]);
    let mut frames = [Vec::new(), Vec::new()];
    link().ipv4(DEVICE, ALLOWED, 64).udp(5555, 53).write(&mut frames[0], payload).unwrap();
    link().ipv6(DEVICE6, ALLOWED6, 64).udp(5555, 53).write(&mut frames[1], payload).unwrap();
    frames
}

#[test]
#[ignore = "root: loads programs and runs them in the kernel"]
fn a_sample_of_a_denied_query_carries_its_name() {
    for program in [Program::Xdp, Program::TcIngress] {
        let mut machine = Machine::new(program, true);
        for name in ["not.allowed.evil".to_owned(), long_name()] {
            for frame in frames(&query(&name)) {
                assert_eq!(machine.compare(&name, &frame), Some(Reason::QueryName), "{program:?}");
                let event = machine.samples().pop().unwrap();
                let question = Question::of(&event).unwrap();
                assert_eq!((question.labels.join("."), question.kind), (name.clone(), u16::from(RecordType::TXT)));
            }
        }
    }
}

#[test]
#[ignore = "root: loads programs and runs them in the kernel"]
fn a_sample_carries_the_frame_up_to_its_room() {
    for program in Program::ALL {
        let mut machine = Machine::new(program, true);
        for bytes in [0, 1, 17, 200, EVENT_HEAD_BYTES - 42, EVENT_HEAD_BYTES, 1_400] {
            let mut frame = Vec::new();
            let (from, to) = if program == Program::Egress { ([9; 4], DEVICE) } else { (DEVICE, [9; 4]) };
            let builder = PacketBuilder::ethernet2([2; 6], [4; 6]).ipv4(from, to, 64).udp(5555, 7777);
            let payload: Vec<u8> = (0..bytes).map(|index| (index % 251) as u8).collect();
            builder.write(&mut frame, &payload).unwrap();
            machine.compare("to a stranger", &frame).unwrap();
            let event = machine.samples().pop().unwrap();
            let carried = frame.len().min(EVENT_HEAD_BYTES);
            assert_eq!(usize::from(event.head_bytes), carried, "{program:?}, {} bytes", frame.len());
            assert_eq!(event.head[..carried], frame[..carried]);
            assert_eq!(event.frame_bytes as usize, frame.len());
        }
    }
}

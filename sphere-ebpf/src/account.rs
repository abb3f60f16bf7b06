//! The exact account of denials: packets, bytes, first and last for each device, destination and reason.
//!
//! A packet of a destination that has an account costs one look-up. New accounts are opened only as long as the device
//! has room for more; then its packets count as "other destinations" of their reason. No flood of one device takes room
//! from another, and the totals stay exact.

use core::arch::asm;

use aya_ebpf::macros::map;
use aya_ebpf::maps::{HashMap, PerCpuArray};
use sphere_common::abi::{Counter, DENIED_PER_DEVICE, DeniedDevice, DeniedKey, DeniedValue, Ticks};
use sphere_common::decide::{Context, Decision};
use sphere_common::verdict::Direction;

/// Accounts in all.
const ACCOUNTS: u32 = 65_536;
/// Devices that have accounts.
const DEVICES: u32 = 8_192;
/// Accounts of "other destinations".
const OTHERS: u32 = 16_384;
/// As linux/bpf.h has it: fails where there is an entry.
const BPF_NOEXIST: u64 = 1;

#[map]
static DENIED: HashMap<DeniedKey, DeniedValue> = HashMap::with_max_entries(ACCOUNTS, 0);
#[map]
static DENIED_OTHERS: HashMap<DeniedKey, DeniedValue> = HashMap::with_max_entries(OTHERS, 0);
/// Accounts that were ever opened for a device, written here only.
#[map]
static DENIED_OPENED: HashMap<DeniedDevice, u64> = HashMap::with_max_entries(DEVICES, 0);
/// Accounts of a device that the daemon has closed, written by the daemon only.
#[map]
static DENIED_CLOSED: HashMap<DeniedDevice, u64> = HashMap::with_max_entries(DEVICES, 0);
/// What no account had room for.
#[map]
static DENIED_LOST: PerCpuArray<Counter> = PerCpuArray::with_max_entries(1, 0);

/// Enters a denial into its account.
// A function of its own: the ways that lead here merge for the verifier.
#[inline(never)]
pub(crate) fn account(bytes: u32, context: &Context<'_>, direction: Direction, decision: &Decision) {
    let subject = &decision.subject;
    let is_ip = subject.protocol != 0;
    let mut key = DeniedKey {
        device: subject.device_bytes(),
        peer: subject.peer_bytes(),
        group: decision.group,
        peer_port_be: if is_ip { subject.peer_port_be.to_ne_bytes() } else { subject.ethertype_be.to_ne_bytes() },
        protocol: subject.protocol,
        reason: decision.reason as u8,
        verdict: decision.verdict as u8,
        direction: direction as u8,
        pad: [0; 2],
    };
    if add(&DENIED, &key, bytes, context.now) {
        return;
    }
    if let Some(opened) = room(&key) {
        if open(&DENIED, &key, bytes, context.now) {
            // SAFETY: the pointer is to a value of a table; other CPUs add too.
            unsafe { increase(opened, 1) };
            return;
        }
        // Another CPU has just opened it, or the table is full.
        if add(&DENIED, &key, bytes, context.now) {
            return;
        }
    }
    key.peer = [0; 16];
    key.peer_port_be = [0; 2];
    key.protocol = 0;
    if add(&DENIED_OTHERS, &key, bytes, context.now)
        || open(&DENIED_OTHERS, &key, bytes, context.now)
        || add(&DENIED_OTHERS, &key, bytes, context.now)
    {
        return;
    }
    if let Some(lost) = DENIED_LOST.get_ptr_mut(0) {
        // SAFETY: the pointer is to this CPU's own value, and a program is not interrupted by itself.
        unsafe {
            (*lost).packets += 1;
            (*lost).bytes += u64::from(bytes);
        }
    }
}

/// Adds to an account that is there.
#[inline(always)]
fn add(table: &HashMap<DeniedKey, DeniedValue>, key: &DeniedKey, bytes: u32, now: Ticks) -> bool {
    let Some(value) = table.get_ptr_mut(key) else {
        return false;
    };
    // SAFETY: the pointer is to a value of the table, which lives as long as the program runs; other CPUs write it too,
    // hence the atomic additions. The last tick is a plain word: whichever CPU writes it, it is right.
    unsafe {
        increase(&raw mut (*value).packets, 1);
        increase(&raw mut (*value).bytes, u64::from(bytes));
        (&raw mut (*value).last).write_volatile(now);
    }
    true
}

/// Opens an account where there is none.
#[inline(always)]
fn open(table: &HashMap<DeniedKey, DeniedValue>, key: &DeniedKey, bytes: u32, now: Ticks) -> bool {
    let value = DeniedValue { packets: 1, bytes: u64::from(bytes), first: now, last: now };
    table.insert(key, &value, BPF_NOEXIST).is_ok()
}

/// The count of accounts that were opened for a device, if it has room for one more.
#[inline(always)]
fn room(key: &DeniedKey) -> Option<*mut u64> {
    let device = DeniedDevice { device: key.device, group: key.group };
    let opened = match DENIED_OPENED.get_ptr_mut(&device) {
        Some(opened) => opened,
        // Another CPU may be first: either way there is one now, unless the table is full.
        None => match DENIED_OPENED.insert(&device, &0, BPF_NOEXIST) {
            Ok(()) | Err(_) => DENIED_OPENED.get_ptr_mut(&device)?,
        },
    };
    // SAFETY: values of tables live as long as the program runs; a count that is a moment old only lets in one more.
    let closed = unsafe { DENIED_CLOSED.get(&device) }.copied().unwrap_or(0);
    // SAFETY: as above.
    let now_open = unsafe { opened.read_volatile() }.wrapping_sub(closed).cast_signed();
    // Less than none, after an account was opened while the daemon took the counts away, is room and no large number.
    if now_open < DENIED_PER_DEVICE.cast_signed() { Some(opened) } else { None }
}

/// Adds atomically.
///
/// # Safety
///
/// The pointer is to a value of a table.
#[inline(always)]
pub(crate) unsafe fn increase(value: *mut u64, by: u64) {
    // The target has no atomic types: they would need compare and exchange, which it lacks before its third version.
    // SAFETY: aligned, as values of tables are, and valid as the caller says.
    unsafe { asm!("lock *(u64 *)({value} + 0) += {by}", value = in(reg) value, by = in(reg) by, options(nostack)) };
}

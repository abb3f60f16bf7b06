//! The `bpf(2)` system call, as far as aya does not offer it: batches, pins of any object, links by descriptor.
//!
//! Every wrapper here is safe: lengths are checked against what the kernel says of the map before a pointer goes to it.
//! Numbers and layouts are those of `include/uapi/linux/bpf.h`, which never change.

use std::ffi::CString;
use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use zerocopy::{FromBytes, Immutable, IntoBytes};

/// Commands of `bpf(2)`.
#[derive(Clone, Copy)]
#[repr(i32)]
pub(super) enum Command {
    MapLookup = 1,
    MapUpdate = 2,
    MapDelete = 3,
    MapNextKey = 4,
    ObjectPin = 6,
    ObjectGet = 7,
    ProgramTestRun = 10,
    ProgramById = 13,
    ObjectInfo = 15,
    MapLookupAndDelete = 21,
    MapLookupBatch = 24,
    MapUpdateBatch = 26,
    MapDeleteBatch = 27,
    LinkCreate = 28,
    LinkUpdate = 29,
    LinkDetach = 34,
}

/// Where a link attaches its program: `enum bpf_attach_type`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u32)]
pub(super) enum AttachPoint {
    /// The driver, or generic XDP behind it.
    Xdp = 37,
    /// tc ingress, multi-program (kernel 6.6).
    TcxIngress = 46,
    /// tc egress, multi-program (kernel 6.6).
    TcxEgress = 47,
}

/// `BPF_F_BEFORE` without a relative program: first of all.
pub(super) const FIRST: u32 = 1 << 3;
/// `XDP_FLAGS_SKB_MODE`.
pub(super) const XDP_GENERIC: u32 = 1 << 1;
/// `XDP_FLAGS_DRV_MODE`.
pub(super) const XDP_NATIVE: u32 = 1 << 2;
/// `BPF_NOEXIST`: insert only.
pub(super) const NO_EXIST: u64 = 1;
/// `ENOTSUPP` of the kernel, which no C library knows.
pub(super) const ENOTSUPP: i32 = 524;

/// Calls `bpf(2)`.
///
/// # Safety
///
/// Every pointer in `attr` must be valid for what `command` reads and writes through it.
pub(super) unsafe fn bpf<A: IntoBytes + FromBytes>(command: Command, attr: &mut A) -> io::Result<i32> {
    let size = size_of::<A>();
    // SAFETY: `attr` is valid for `size` bytes, read and write; what it points to is the caller's promise.
    let result = unsafe { libc::syscall(libc::SYS_bpf, command as i32, std::ptr::from_mut(attr), size) };
    i32::try_from(result).ok().filter(|value| *value >= 0).ok_or_else(io::Error::last_os_error)
}

#[derive(FromBytes, IntoBytes, Immutable)]
#[repr(C)]
struct InfoAttr {
    fd: u32,
    info_bytes: u32,
    info: u64,
}

/// `bpf_obj_get_info_by_fd`: fills what the kernel knows of a map or link; the rest stays zero.
pub(super) fn info<T: FromBytes + IntoBytes + Immutable>(fd: BorrowedFd<'_>) -> io::Result<T> {
    let mut info = T::new_zeroed();
    let mut attr =
        InfoAttr { fd: raw(fd), info_bytes: size_of::<T>() as u32, info: std::ptr::from_mut(&mut info) as u64 };
    // SAFETY: `info` is valid for `info_bytes` bytes, any bit pattern of it is a value, and it outlives the call.
    unsafe { bpf(Command::ObjectInfo, &mut attr) }?;
    Ok(info)
}

#[derive(FromBytes, IntoBytes, Immutable)]
#[repr(C)]
struct PathAttr {
    path: u64,
    fd: u32,
    flags: u32,
}

/// Pins an object.
pub(super) fn pin(fd: BorrowedFd<'_>, path: &Path) -> io::Result<()> {
    let text = c_path(path)?;
    let mut attr = PathAttr { path: text.as_ptr() as u64, fd: raw(fd), flags: 0 };
    // SAFETY: `path` points to a terminated string that outlives the call.
    unsafe { bpf(Command::ObjectPin, &mut attr) }.map(drop)
}

/// Opens a pinned object.
pub(super) fn open(path: &Path) -> io::Result<OwnedFd> {
    let text = c_path(path)?;
    let mut attr = PathAttr { path: text.as_ptr() as u64, fd: 0, flags: 0 };
    // SAFETY: `path` points to a terminated string that outlives the call.
    let fd = unsafe { bpf(Command::ObjectGet, &mut attr) }?;
    Ok(owned(fd))
}

#[derive(FromBytes, IntoBytes, Immutable)]
#[repr(C)]
struct LinkAttr {
    program: u32,
    target: u32,
    attach_or_flags: u32,
    flags_or_old: u32,
    relative: u32,
    pad: u32,
    expected_revision: u64,
}

/// Attaches a program to an interface; it stays as long as the descriptor or a pin of it.
pub(super) fn link_create(
    program: BorrowedFd<'_>,
    ifindex: u32,
    point: AttachPoint,
    flags: u32,
) -> io::Result<OwnedFd> {
    let mut attr = LinkAttr {
        program: raw(program),
        target: ifindex,
        attach_or_flags: point as u32,
        flags_or_old: flags,
        relative: 0,
        pad: 0,
        expected_revision: 0,
    };
    // SAFETY: no pointers.
    let fd = unsafe { bpf(Command::LinkCreate, &mut attr) }?;
    Ok(owned(fd))
}

/// Puts another program behind a link, in one step: no packet goes by unseen.
pub(super) fn link_update(link: BorrowedFd<'_>, program: BorrowedFd<'_>) -> io::Result<()> {
    let mut attr = LinkAttr {
        program: raw(link),
        target: raw(program),
        attach_or_flags: 0,
        flags_or_old: 0,
        relative: 0,
        pad: 0,
        expected_revision: 0,
    };
    // SAFETY: no pointers.
    unsafe { bpf(Command::LinkUpdate, &mut attr) }.map(drop)
}

#[derive(FromBytes, IntoBytes, Immutable)]
#[repr(C)]
struct DetachAttr {
    link: u32,
}

/// Detaches a link now. (Without it the kernel does so some time after the last pin and descriptor went.)
pub(super) fn link_detach(link: BorrowedFd<'_>) -> io::Result<()> {
    let mut attr = DetachAttr { link: raw(link) };
    // SAFETY: no pointers.
    unsafe { bpf(Command::LinkDetach, &mut attr) }.map(drop)
}

/// What the kernel says of a link; the layout of `struct bpf_link_info` for XDP and TCX.
#[derive(Clone, Copy, Debug, FromBytes, IntoBytes, Immutable)]
#[repr(C)]
pub(super) struct LinkInfo {
    pub(super) kind: u32,
    pub(super) id: u32,
    pub(super) program: u32,
    pad: u32,
    /// 0 when the interface is gone.
    pub(super) ifindex: u32,
    pub(super) attach_point: u32,
}

/// Number of a program.
pub(super) fn program_id(program: BorrowedFd<'_>) -> io::Result<u32> {
    // `struct bpf_prog_info` begins with type and id.
    let info: [u32; 2] = info(program)?;
    Ok(info[1])
}

#[derive(FromBytes, IntoBytes, Immutable)]
#[repr(C)]
struct IdAttr {
    id: u32,
    next: u32,
    flags: u32,
}

/// A program by its number.
pub(super) fn program_by_id(id: u32) -> io::Result<OwnedFd> {
    let mut attr = IdAttr { id, next: 0, flags: 0 };
    // SAFETY: no pointers.
    let fd = unsafe { bpf(Command::ProgramById, &mut attr) }?;
    Ok(owned(fd))
}

#[derive(FromBytes, IntoBytes, Immutable)]
#[repr(C)]
struct TestRunAttr {
    program: u32,
    result: u32,
    data_in_bytes: u32,
    data_out_bytes: u32,
    data_in: u64,
    data_out: u64,
    repeat: u32,
    duration_ns: u32,
}

/// Runs a program once over a frame of zeros.
pub(super) fn test_run(program: BorrowedFd<'_>) -> io::Result<u32> {
    let frame = [0_u8; 64];
    let mut attr = TestRunAttr {
        program: raw(program),
        result: 0,
        data_in_bytes: frame.len() as u32,
        data_out_bytes: 0,
        data_in: frame.as_ptr() as u64,
        data_out: 0,
        repeat: 1,
        duration_ns: 0,
    };
    // SAFETY: `frame` outlives the call and is only read.
    unsafe { bpf(Command::ProgramTestRun, &mut attr) }?;
    Ok(attr.result)
}

/// The number of a descriptor, as `bpf(2)` wants it.
pub(super) fn raw(fd: BorrowedFd<'_>) -> u32 {
    // A borrowed descriptor is never negative.
    fd.as_raw_fd().cast_unsigned()
}

fn owned(fd: i32) -> OwnedFd {
    // SAFETY: the kernel has just returned this descriptor to us, nothing else owns it.
    unsafe { OwnedFd::from_raw_fd(fd) }
}

fn c_path(path: &Path) -> io::Result<CString> {
    CString::new(path.as_os_str().as_bytes()).map_err(io::Error::other)
}

/// Another descriptor of the same object.
pub(super) fn duplicate(fd: &impl AsFd) -> io::Result<OwnedFd> {
    fd.as_fd().try_clone_to_owned()
}

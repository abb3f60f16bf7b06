//! Somebody else's XDP program, made here: two instructions in an ELF object.

use std::path::PathBuf;
use std::time::Duration;

use anyhow::Result;
use object::write::{Object, Symbol, SymbolSection};
use object::{Architecture, BinaryFormat, Endianness, SectionKind, SymbolFlags, SymbolKind, SymbolScope};

use crate::net::{Namespace, Network};
use crate::process;

/// `r0 = XDP_PASS; exit` (RFC 9669 sections 4.1 and 4.3).
const PASS: [u8; 16] = [0xb7, 0, 0, 0, 2, 0, 0, 0, 0x95, 0, 0, 0, 0, 0, 0, 0];
const LIMIT: Duration = Duration::from_secs(5);

/// Attaches the program to the device port, as `ip link` would for an administrator.
pub(super) fn attach(network: &Network) -> Result<()> {
    let path = write(network)?;
    let mut command = network.gateway.command("ip");
    command.args(["link", "set", "dev", "lan0", "xdpdrv", "object"]).arg(path).args(["section", "xdp"]);
    process::must(command, LIMIT).map(drop)
}

/// Takes it off again.
pub(super) fn detach(gateway: &Namespace) -> Result<()> {
    gateway.ip("link set dev lan0 xdpdrv off")
}

fn write(network: &Network) -> Result<PathBuf> {
    let mut elf = Object::new(BinaryFormat::Elf, Architecture::Bpf, Endianness::Little);
    let program = elf.add_section(Vec::new(), b"xdp".to_vec(), SectionKind::Text);
    elf.append_section_data(program, &PASS, 8);
    elf.add_symbol(Symbol {
        name: b"someone_elses".to_vec(),
        value: 0,
        size: PASS.len() as u64,
        kind: SymbolKind::Text,
        scope: SymbolScope::Dynamic,
        weak: false,
        section: SymbolSection::Section(program),
        flags: SymbolFlags::None,
    });
    let license = elf.add_section(Vec::new(), b"license".to_vec(), SectionKind::Data);
    elf.append_section_data(license, b"GPL\0", 1);
    let path = network.ground.path("foreign.o");
    std::fs::write(&path, elf.write()?)?;
    Ok(path)
}

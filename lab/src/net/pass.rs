//! An XDP program that lets everything pass, made here: two instructions in an ELF object.

use std::time::Duration;

use anyhow::Result;
use object::write::{Object, Symbol, SymbolSection};
use object::{Architecture, BinaryFormat, Endianness, SectionKind, SymbolFlags, SymbolKind, SymbolScope};

use super::{Ground, Namespace};
use crate::process;

/// `r0 = XDP_PASS; exit` (RFC 9669 sections 4.1 and 4.3).
const PASS: [u8; 16] = [0xb7, 0, 0, 0, 2, 0, 0, 0, 0x95, 0, 0, 0, 0, 0, 0, 0];
const LIMIT: Duration = Duration::from_secs(5);

/// Attaches the program under a name to an interface, as `ip link` would for an administrator.
///
/// # Errors
/// When the kernel does not take it.
pub fn attach(ground: &Ground, namespace: &Namespace, interface: &str, name: &str) -> Result<()> {
    let path = ground.path(&format!("{name}.o"));
    std::fs::write(&path, object(name)?)?;
    let mut command = namespace.command("ip");
    command.args(["link", "set", "dev", interface, "xdpdrv", "object"]).arg(path).args(["section", "xdp"]);
    process::must(command, LIMIT).map(drop)
}

fn object(name: &str) -> Result<Vec<u8>> {
    let mut elf = Object::new(BinaryFormat::Elf, Architecture::Bpf, Endianness::Little);
    let program = elf.add_section(Vec::new(), b"xdp".to_vec(), SectionKind::Text);
    elf.append_section_data(program, &PASS, 8);
    elf.add_symbol(Symbol {
        name: name.into(),
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
    Ok(elf.write()?)
}

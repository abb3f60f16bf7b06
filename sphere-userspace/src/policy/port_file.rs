//! Reads `[[interface]]`: what a policy says of a device port.

use super::{
    document::{Fields, Value},
    findings::{Findings, Located},
    port::{AttachMode, InterfaceName, OtherSources},
};

/// What `[[interface]]` says of a port; what it leaves out is decided later.
pub(super) struct WrittenInterface {
    pub(super) name: Located<InterfaceName>,
    pub(super) attach: AttachMode,
    pub(super) other_sources_v4: OtherSources,
    /// `None` is `auto`.
    pub(super) other_sources_v6: Option<OtherSources>,
}

/// Reads one `[[interface]]`.
pub(super) fn interface(mut fields: Fields<'_>, findings: &mut Findings) -> Option<WrittenInterface> {
    let name = fields.require("name", findings).and_then(|value| interface_name(&value, findings));
    let modes =
        [AttachMode::Auto, AttachMode::Xdp, AttachMode::Tc, AttachMode::Generic].map(|mode| (mode.word(), mode));
    let attach = fields.take("mode").and_then(|value| value.one_of(&modes, findings)).unwrap_or_default();
    let words = [("pass", OtherSources::Pass), ("deny", OtherSources::Deny)];
    let v4 = fields.take("other_sources").and_then(|value| value.one_of(&words, findings));
    let words = [("auto", None), ("pass", Some(OtherSources::Pass)), ("deny", Some(OtherSources::Deny))];
    let v6 = fields.take("other_sources_v6").and_then(|value| value.one_of(&words, findings));
    fields.finish(findings);
    Some(WrittenInterface {
        name: name?,
        attach,
        other_sources_v4: v4.unwrap_or(OtherSources::Pass),
        other_sources_v6: v6.flatten(),
    })
}

/// The name of an interface.
pub(super) fn interface_name(value: &Value<'_>, findings: &mut Findings) -> Option<Located<InterfaceName>> {
    let text = value.string(findings)?;
    let name = InterfaceName::parse(text.value);
    if name.is_none() {
        let remedy = "use the name that `ip link` shows: 1 to 15 characters, no `/`, `:` or blank";
        findings.error(&text.span, format!("`{}` is no interface name", text.value), remedy);
    }
    if text.value == "lo" {
        let remedy = "name the interface that the devices are connected to";
        findings.error(&text.span, "no device is behind `lo`: it is the gateway's loopback interface", remedy);
        return None;
    }
    name.map(|value| Located { value, span: text.span })
}

//! `sphere import`: policy lines of what other files ask for.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::SystemTime;

use clap::{Args, Subcommand, ValueEnum};
use ipnet::IpNet;

use super::{Exit, told};
use crate::import::manifest::{self, Said};
use crate::import::mud;
use crate::import::service_tags::{self, Age, Family, TagsError, Wanted};
use crate::import::{Imported, MOST_BYTES, MOST_TAG_BYTES, read_file};
use crate::policy::{Diagnostic, DomainName, NamePattern, PolicyErrors, Service, Severity, Source, Target, nearest};
use crate::render;

/// What `--help` of `manifest` says below the options.
const MANIFEST_HELP: &str = "\
A manifest names hosts without ports. Ports that a shipped profile has for a
name are taken from there; every other one has to be said with --port, and until
then its lines are comments. A policy can also name manifests itself, with the
key `manifests` of a group: see docs/import.md.

Examples:
  sphere import manifest app_manifest.json
  sphere import manifest app_manifest.json --port api.example.com=tcp/443 \\
      --from 10.30.0.0/24";

/// What `--help` of `service-tags` says below the options.
const TAGS_HELP: &str = "\
Prefixes open every address of a service, for devices of every customer: allow
names where you know them. The file is published weekly.

Example:
  sphere import service-tags ServiceTags_Public_20251124.json \\
      --tag AzureIoTHub.WestEurope --port tcp/8883,tcp/443 --family v4";

/// What `--help` of `mud` says below the options.
const MUD_HELP: &str = "\
A MUD file is what the maker of a device says that it needs. Hosts that only
your network knows (controllers, local networks, other devices) come from --map,
and until then their lines are comments: see docs/mud.md.

Examples:
  sphere import mud camera.json
  sphere import mud camera.json plug.json --map map.toml";

#[derive(Debug, Subcommand)]
pub(super) enum ImportCommand {
    /// Policy lines of what applications on Azure Sphere connect to
    Manifest(ManifestOptions),
    /// Policy lines of the prefixes of Azure services
    ServiceTags(TagOptions),
    /// Policy lines of what makers of devices say that they need (RFC 8520)
    Mud(MudOptions),
}

#[derive(Debug, Args)]
#[command(after_help = MANIFEST_HELP)]
pub(super) struct ManifestOptions {
    /// Files app_manifest.json
    #[arg(value_name = "FILE", required = true)]
    files: Vec<PathBuf>,
    /// Ports of a host: api.example.com=tcp/443,tcp/8883
    #[arg(long, value_name = "HOST=SERVICES", value_parser = port_of)]
    port: Vec<(Target, Vec<Service>)>,
    /// Who may open flows to ports that applications listen at
    #[arg(long, value_name = "PREFIX", value_parser = prefix, value_delimiter = ',')]
    from: Vec<IpNet>,
    /// Print one JSON object
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Args)]
#[command(after_help = TAGS_HELP)]
pub(super) struct TagOptions {
    /// File ServiceTags_Public_YYYYMMDD.json
    #[arg(value_name = "FILE")]
    file: PathBuf,
    /// Name of a tag, such as AzureIoTHub.WestEurope
    #[arg(long, value_name = "TAG", required = true, value_delimiter = ',')]
    tag: Vec<String>,
    /// Services that devices use there, such as tcp/8883
    #[arg(long, value_name = "SERVICE", required = true, value_parser = service, value_delimiter = ',')]
    port: Vec<Service>,
    /// Only prefixes of this family
    #[arg(long, value_name = "FAMILY")]
    family: Option<FamilyWord>,
    /// Take tags with addresses that any customer can have: AzureCloud, Storage
    #[arg(long)]
    allow_multi_tenant: bool,
    /// Print one JSON object
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Args)]
#[command(after_help = MUD_HELP)]
pub(super) struct MudOptions {
    /// MUD files
    #[arg(value_name = "FILE", required = true)]
    files: Vec<PathBuf>,
    /// File that says who belongs to the classes that MUD files name
    #[arg(long, value_name = "FILE")]
    map: Option<PathBuf>,
    /// Print one JSON object
    #[arg(long)]
    json: bool,
}

/// A family as it is typed.
#[derive(Clone, Copy, Debug, ValueEnum)]
enum FamilyWord {
    V4,
    V6,
}

pub(super) fn run(command: ImportCommand) -> anyhow::Result<Exit> {
    match command {
        ImportCommand::Manifest(options) => of_manifests(&options),
        ImportCommand::ServiceTags(options) => of_service_tags(options),
        ImportCommand::Mud(options) => of_mud(&options),
    }
}

fn of_manifests(options: &ManifestOptions) -> anyhow::Result<Exit> {
    let mut said = Said { ports: BTreeMap::new(), from: options.from.iter().copied().collect() };
    for (target, services) in &options.port {
        said.ports.entry(target.clone()).or_default().extend(services);
    }
    let mut all = match of_each(&options.files, |source| manifest::parse(source, &said)) {
        Ok(all) => all,
        Err(errors) => return refuse(&errors, options.json, Exit::Policy),
    };
    let unnamed = unnamed(&said, &all);
    all.warnings.extend(unnamed);
    print(&all, options.json)
}

fn of_mud(options: &MudOptions) -> anyhow::Result<Exit> {
    let map = options.map.as_deref().map(|map| read_file(map, MOST_BYTES).and_then(|source| mud::parse_map(&source)));
    let all = map.transpose().map(Option::unwrap_or_default).and_then(|map| {
        let now = SystemTime::now();
        of_each(&options.files, |source| mud::parse(source, &map, now))
    });
    match all {
        Ok(all) => print(&all, options.json),
        Err(errors) => refuse(&errors, options.json, Exit::Policy),
    }
}

/// What all files ask for, or everything that is wrong with any of them.
fn of_each(
    files: &[PathBuf],
    parse: impl Fn(&Arc<Source>) -> Result<Imported, PolicyErrors>,
) -> Result<Imported, PolicyErrors> {
    let mut all = Imported::default();
    let mut errors = Vec::new();
    for file in files {
        match read_file(file, MOST_BYTES).and_then(|source| parse(&source)) {
            Ok(imported) => all.append(imported),
            Err(found) => errors.extend(found.diagnostics().iter().cloned()),
        }
    }
    if errors.is_empty() { Ok(all) } else { Err(PolicyErrors::new(errors)) }
}

/// Hosts of --port that no manifest names.
fn unnamed(said: &Said, all: &Imported) -> Vec<Diagnostic> {
    let named: BTreeSet<String> = all.rules.iter().map(|rule| rule.target.to_string()).collect();
    let warning = |host: String| {
        let near = nearest(&host, named.iter().map(String::as_str), 1).join("");
        let remedy = if near.is_empty() { "remove it".to_owned() } else { format!("did you mean {near}?") };
        let message = format!("--port {host}: no manifest names this host");
        Diagnostic { severity: Severity::Warning, message, remedy: Some(remedy), place: None, related: None }
    };
    said.ports.keys().map(ToString::to_string).filter(|host| !named.contains(host)).map(warning).collect()
}

fn of_service_tags(options: TagOptions) -> anyhow::Result<Exit> {
    let TagOptions { file, tag, port, family, allow_multi_tenant, json } = options;
    let family = family.map(|family| match family {
        FamilyWord::V4 => Family::V4,
        FamilyWord::V6 => Family::V6,
    });
    let (tags, services) = (tag.into_iter().collect(), port.into_iter().collect());
    let wanted = Wanted { tags, services, family, multi_tenant: allow_multi_tenant };
    let source = match read_file(&file, MOST_TAG_BYTES) {
        Ok(source) => source,
        Err(errors) => return refuse(&errors, json, Exit::Policy),
    };
    match service_tags::parse(&source, &wanted, age(&file)) {
        Ok(imported) => print(&imported, json),
        Err(TagsError::File(errors)) => refuse(&errors, json, Exit::Policy),
        Err(TagsError::Asked(errors)) => refuse(&errors, json, Exit::Usage),
    }
}

fn age(file: &Path) -> Option<Age> {
    let name = file.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
    let changed = file.metadata().and_then(|metadata| metadata.modified()).ok();
    Age::of(&name, changed, SystemTime::now())
}

/// Nothing is taken of files with a mistake.
fn refuse(errors: &PolicyErrors, json: bool, exit: Exit) -> anyhow::Result<Exit> {
    if json {
        render::json(&render::import_errors_json(errors))?;
    } else {
        told::errors(errors, "nothing is imported")?;
    }
    Ok(exit)
}

fn print(imported: &Imported, json: bool) -> anyhow::Result<Exit> {
    if json {
        render::json(&render::imported_json(imported))?;
    } else {
        told::warnings(&mut io::stderr().lock(), &imported.warnings)?;
        render::imported(imported)?;
    }
    Ok(Exit::Done)
}

/// `HOST=SERVICES`.
fn port_of(text: &str) -> Result<(Target, Vec<Service>), String> {
    let (host, services) = text.split_once('=').ok_or("write HOST=SERVICES, such as api.example.com=tcp/443")?;
    let target = match host.parse() {
        Ok(address) => Target::Address(address),
        Err(_no_address) => {
            Target::Name(NamePattern::Exact(DomainName::parse(host).map_err(|error| error.to_string())?))
        }
    };
    Ok((target, services.split(',').map(service).collect::<Result<_, _>>()?))
}

fn service(text: &str) -> Result<Service, String> {
    text.parse().map_err(|error: crate::policy::ServiceError| format!("{error}: {}", error.remedy()))
}

fn prefix(text: &str) -> Result<IpNet, String> {
    let net: IpNet = text.parse().map_err(|_no_prefix| "write a prefix, such as 10.30.0.0/24".to_owned())?;
    if net.trunc() == net { Ok(net) } else { Err(format!("write {}, or the prefix length that you mean", net.trunc())) }
}

//! `sphere export`: what a policy allows, in the formats of others.

use std::io;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use clap::{Args, Subcommand};

use super::{Exit, told};
use crate::export::mud::{self, About};
use crate::policy::{self, Diagnostic, InboundRule, PolicyErrors, Rule, Severity};
use crate::render;

/// What `--help` of `mud` says below the options.
const MUD_HELP: &str = "\
The file goes to standard output, and what MUD cannot say to standard error:
names below a name, allow_private, any_type, steps. `sphere import mud` reads it
back.

Examples:
  sphere export mud --policy /etc/sphere/policy.toml --group cameras \\
      --mud-url https://mud.example.com/cameras.json --systeminfo \"C7 camera\"
  sphere export mud --profile azure-sphere";

#[derive(Debug, Subcommand)]
pub(super) enum ExportCommand {
    /// A MUD file (RFC 8520) of what devices of a group may reach
    Mud(MudOptions),
}

#[derive(Debug, Args)]
#[command(after_help = MUD_HELP)]
pub(super) struct MudOptions {
    /// Policy file
    #[arg(long, value_name = "FILE", requires = "group", required_unless_present = "profile")]
    policy: Option<PathBuf>,
    /// Group of the policy
    #[arg(long, value_name = "NAME", requires = "policy")]
    group: Option<String>,
    /// Shipped profile, or profile file, with every option at its default
    #[arg(long, value_name = "NAME|FILE", conflicts_with_all = ["policy", "group"])]
    profile: Option<String>,
    /// Where the file will be published
    #[arg(long, value_name = "URL", value_parser = https_url)]
    mud_url: Option<String>,
    /// What the devices are, in at most 60 characters
    #[arg(long, value_name = "TEXT", value_parser = one_line)]
    systeminfo: Option<String>,
}

/// Why nothing can be exported, though the policy is valid.
#[derive(Debug, thiserror::Error)]
#[error("the policy has no group `{name}`: it has {known}")]
pub(super) struct NoGroup {
    name: String,
    known: String,
}

/// What is exported.
struct Exporting {
    name: String,
    what: &'static str,
    rules: Vec<Rule>,
    inbound: Vec<InboundRule>,
    warnings: Vec<Diagnostic>,
}

pub(super) fn run(command: ExportCommand) -> anyhow::Result<Exit> {
    let ExportCommand::Mud(MudOptions { policy, group, profile, mud_url, systeminfo }) = command;
    let exporting = match (policy, group, profile) {
        (Some(policy), Some(group), _) => of_group(&policy, &group),
        (_, _, profile) => of_profile(&profile.unwrap_or_default()).map_err(Into::into),
    };
    let Exporting { name, what, rules, inbound, mut warnings } = match exporting {
        Ok(exporting) => exporting,
        Err(error) => match error.downcast::<PolicyErrors>() {
            Ok(errors) => {
                told::errors(&errors, "nothing is exported")?;
                return Ok(Exit::Policy);
            }
            Err(error) => return Err(error),
        },
    };
    if mud_url.is_none() {
        warnings.push(no_url());
    }
    let about = About {
        url: mud_url.unwrap_or_else(|| format!("https://mud.invalid/{name}.json")),
        system_info: systeminfo.unwrap_or_else(|| format!("devices of the {what} {name}")),
        name,
        last_update: SystemTime::now(),
    };
    let exported = mud::export(&rules, &inbound, &about)?;
    warnings.extend(exported.warnings);
    told::warnings(&mut io::stderr().lock(), &warnings)?;
    render::text(&exported.text)?;
    Ok(Exit::Done)
}

fn of_group(policy: &Path, name: &str) -> anyhow::Result<Exporting> {
    let policy = policy::load(policy)?;
    let known: Vec<&str> = policy.groups.iter().map(|group| group.name.as_str()).collect();
    let known = known.join(", ");
    let Some(group) = policy.groups.into_iter().find(|group| group.name.as_str() == name) else {
        return Err(NoGroup { name: name.to_owned(), known }.into());
    };
    let (rules, inbound) = (group.rules, group.inbound);
    Ok(Exporting { name: name.to_owned(), what: "group", rules, inbound, warnings: Vec::new() })
}

fn of_profile(name: &str) -> Result<Exporting, PolicyErrors> {
    let policy::ProfileRules { name, rules, warnings } = policy::profile_rules(name, "--profile")?;
    Ok(Exporting { name, what: "profile", rules, inbound: Vec::new(), warnings })
}

/// A MUD file has to say where it is; `invalid` is a domain that nobody has (RFC 6761 section 6.4).
fn no_url() -> Diagnostic {
    Diagnostic {
        severity: Severity::Warning,
        message: "the file says that it is below https://mud.invalid/, where nothing is".to_owned(),
        remedy: Some("say where it will be published with --mud-url".to_owned()),
        place: None,
        related: None,
    }
}

fn https_url(text: &str) -> Result<String, String> {
    let rest = text.strip_prefix("https://").unwrap_or_default();
    let is_plain = !rest.is_empty() && text.chars().all(|character| character.is_ascii_graphic());
    if is_plain { Ok(text.to_owned()) } else { Err("write an https URL: https://HOST/…".to_owned()) }
}

fn one_line(text: &str) -> Result<String, String> {
    let is_plain = text.chars().all(policy::is_plain);
    if is_plain { Ok(text.to_owned()) } else { Err("write one line, without control characters".to_owned()) }
}

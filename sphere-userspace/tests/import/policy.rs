//! Policies that name manifests: what they add to a group, and what is said at which line of which file.

use std::path::PathBuf;

use sphere_userspace::policy::{self, Policy, PolicyErrors};

use crate::{each, policy_with};

/// A directory of its own with a policy and a manifest, removed with it.
struct Case(PathBuf);

impl Case {
    fn new(name: &str, lines: &str, manifest: &str) -> Self {
        let case = Self(std::env::temp_dir().join(format!("sphere-manifests-{name}-{}", std::process::id())));
        std::fs::create_dir_all(&case.0).unwrap();
        std::fs::write(case.0.join("policy.toml"), policy_with(lines)).unwrap();
        case.write(manifest);
        case
    }

    fn write(&self, manifest: &str) {
        std::fs::write(self.0.join("app_manifest.json"), manifest).unwrap();
    }

    fn load(&self) -> Result<Policy, PolicyErrors> {
        policy::load(&self.0.join("policy.toml"))
    }

    /// The rules of the group: target, services, file name and line of the origin.
    fn rules(&self) -> Vec<String> {
        let policy = self.load().unwrap_or_else(|errors| panic!("{errors}"));
        let rules = policy.groups[0].rules.iter().map(|rule| {
            let services: Vec<_> = rule.services.iter().map(ToString::to_string).collect();
            format!("{} {} {}", rule.target, services.join(" "), self.short(&rule.origin.to_string()))
        });
        let inbound = policy.groups[0].inbound.iter().map(|rule| {
            let services: Vec<_> = rule.services.iter().map(ToString::to_string).collect();
            format!("from {} {} {}", rule.from, services.join(" "), self.short(&rule.origin.to_string()))
        });
        rules.chain(inbound).collect()
    }

    fn warnings(&self) -> Vec<String> {
        let policy = self.load().unwrap_or_else(|errors| panic!("{errors}"));
        each(&policy.warnings).iter().map(|line| self.short(line)).collect()
    }

    fn errors(&self) -> Vec<String> {
        let errors = self.load().unwrap_err();
        each(errors.diagnostics()).iter().map(|line| self.short(line)).collect()
    }

    /// Without the directory, which differs from run to run.
    fn short(&self, text: &str) -> String {
        text.replace(&format!("{}/", self.0.display()), "")
    }
}

impl Drop for Case {
    fn drop(&mut self) {
        // The directory is below the system's temporary one; a file that stays there does no harm.
        std::fs::remove_dir_all(&self.0).ok();
    }
}

const MANIFEST: &str = r#"{
  "SchemaVersion": 1,
  "ComponentId": "1689d8b2-c835-2e27-27ad-e894d6d15fa9",
  "Capabilities": {
    "AllowedConnections": [
      "contoso.azure-devices.net",
      "api.example.com",
      "192.0.2.7"
    ],
    "AllowedTcpServerPorts": [ 80 ]
  }
}
"#;
const KEYS: &str = "manifests = [\"app_manifest.json\"]\nmanifest_from = [\"10.30.0.0/24\"]\n";
const PORTS: &str =
    "[group.manifest_ports]\n\"API.example.com\" = [\"tcp/443\", \"udp/5000\"]\n\"192.0.2.7\" = [\"tcp/22\"]\n";

#[test]
fn a_manifest_adds_rules_with_its_lines_as_their_origin() {
    let case = Case::new("adds", &format!("{KEYS}{PORTS}"), MANIFEST);
    assert_eq!(
        case.rules(),
        [
            "contoso.azure-devices.net tcp/443 tcp/8883 app_manifest.json:6",
            "api.example.com tcp/443 udp/5000 app_manifest.json:7",
            "192.0.2.7 tcp/22 app_manifest.json:8",
            "from 10.30.0.0/24 tcp/80 app_manifest.json:10",
        ]
    );
    assert_eq!(case.warnings(), [""; 0]);
}

#[test]
fn a_name_without_a_known_port_is_an_error_at_its_line() {
    let case = Case::new("no-port", KEYS, MANIFEST);
    let errors = case.errors();
    assert_eq!(errors.len(), 2, "{errors:?}");
    assert!(
        errors[0].starts_with("app_manifest.json:7:7: error: no port is known for `api.example.com`"),
        "{errors:?}"
    );
    assert!(errors[0].contains("\"api.example.com\" = [\"tcp/PORT\"]"), "{errors:?}");
    assert!(errors[1].starts_with("app_manifest.json:8:7: error: no port is known for `192.0.2.7`"), "{errors:?}");
}

#[test]
fn rules_of_the_group_say_ports_too() {
    let rules = "[[group.allow]]\nhost = \"api.example.com\"\nports = [\"tcp/8443\"]\n\
                 [[group.allow]]\naddress = \"192.0.2.7\"\nports = [\"tcp/22\"]\n";
    let case = Case::new("rules", &format!("{KEYS}{rules}"), MANIFEST);
    let found = case.rules();
    assert_eq!(found.len(), 4, "{found:?}");
    assert!(found[0].starts_with("api.example.com tcp/8443 policy.toml:"), "{found:?}");
    assert!(found[2].ends_with("app_manifest.json:6"), "{found:?}");
}

#[test]
fn a_manifest_is_read_again_with_the_policy() {
    let case = Case::new("again", &format!("{KEYS}{PORTS}"), MANIFEST);
    assert_eq!(case.rules().len(), 4);
    case.write(&MANIFEST.replace("contoso", "fabrikam").replace("[ 80 ]", "[]"));
    let found = case.rules();
    assert!(found.len() == 3 && found[0].starts_with("fabrikam"), "{found:?}");
    case.write("{");
    assert_eq!(case.errors().len(), 1);
}

#[test]
fn a_policy_that_was_kept_has_its_manifests() {
    let case = Case::new("kept", &format!("{KEYS}{PORTS}"), MANIFEST);
    let (policy, texts) = policy::load_with_texts(&case.0.join("policy.toml")).unwrap();
    case.write("{}");
    assert_eq!(policy::load_kept(&case.0.join("policy.toml"), &texts).unwrap(), policy);
}

#[test]
fn what_nobody_may_reach_and_what_no_manifest_names_is_told() {
    let keys = "manifests = [\"./app_manifest.json\"]\n";
    let case = Case::new("unused", &format!("{keys}{PORTS}"), MANIFEST);
    let warnings = case.warnings();
    assert!(warnings.len() == 1 && warnings[0].starts_with("app_manifest.json:10:5: warning: nobody may open flows"));
    let ports = PORTS.replace("API.example.com", "api.exmaple.com");
    let errors = Case::new("misspelt", &format!("{keys}{ports}"), MANIFEST).errors();
    assert_eq!(errors.iter().filter(|line| line.contains(" error: ")).count(), 1, "{errors:?}");
    // The manifest has an error, so that nobody knows what it would have named.
    assert!(!errors.join("").contains("no manifest of the group names"), "{errors:?}");
    let ports = format!("{PORTS}\"api.exmaple.com\" = [\"tcp/1\"]\n");
    let errors = Case::new("left-over", &format!("{keys}{ports}"), MANIFEST).errors();
    assert!(errors[0].contains("no manifest of the group names `api.exmaple.com` (did you mean \"api.example.com\"?"));
}

#[test]
fn keys_about_manifests_need_one_and_are_checked() {
    for (lines, words) in [
        ("manifest_from = [\"10.30.0.0/24\"]\n", "the group names none"),
        ("[group.manifest_ports]\n\"a.example\" = [\"tcp/1\"]\n", "the group names none"),
        ("manifests = \"app_manifest.json\"\n", "expected a list of paths of manifests"),
        ("manifests = [\"app_manifest.json\", \"app_manifest.json\"]\n", "is named twice"),
        ("manifests = [\"other.json\"]\n", "the manifest cannot be used: cannot read"),
        ("manifests = [\".\"]\n", "is a directory"),
        ("manifests = [\"policy.toml\"]\n", "the manifest is not JSON"),
        (&format!("{KEYS}{PORTS}\"api.example.com.\" = [\"tcp/1\"]\n"), "`api.example.com` is there twice"),
        (&format!("{KEYS}{PORTS}\"not a host\" = [\"tcp/1\"]\n"), "may not occur in a name"),
        (&format!("{KEYS}[group.manifest_ports]\n\"api.example.com\" = [443]\n"), "expected a text in quotes"),
    ] {
        let errors = Case::new("keys", lines, MANIFEST).errors();
        assert!(errors.iter().any(|line| line.contains(words)), "{lines}: {errors:?}");
    }
}

#[test]
fn nothing_is_shown_of_a_file_that_is_no_manifest() {
    for text in ["{\"password\": \"hunter2\"}", "root:hunter2:0:0", "{\"a\": hunter2}", "// hunter2\n[]"] {
        let case = Case::new("secret", KEYS, text);
        let errors = case.load().unwrap_err();
        let shown: String = errors.diagnostics().iter().map(|found| format!("{found}\n{}", found.render())).collect();
        assert!(!shown.contains("hunter2") && shown.contains("app_manifest.json"), "{shown}");
    }
}

#[test]
fn a_policy_that_is_no_file_names_no_manifest() {
    let errors = policy::parse(&policy_with(KEYS), "policy.toml").unwrap_err();
    assert!(each(errors.diagnostics())[0].contains("is a file, and none is read here"), "{errors}");
}

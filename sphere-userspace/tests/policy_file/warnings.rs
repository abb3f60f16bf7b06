//! What is valid and worth a word: each warning at its place, with what ends it.

use crate::{Directory, lines, place_of, valid, with};

/// Each text has one warning, at its place, with these words.
#[track_caller]
fn assert_one(text: &str, at: &str, words: &[&str]) {
    let policy = valid(text);
    let [warning] = policy.warnings.as_slice() else { panic!("{:?} in:\n{text}", lines(&policy.warnings)) };
    assert_eq!(warning.position(), Some(place_of(at, text)), "{warning}");
    for word in words {
        assert!(warning.to_string().contains(word), "`{word}` is not in: {warning}");
    }
}

const V4: &str = "`other_sources = \"deny\"`";
const V6: &str = "`other_sources_v6 = \"deny\"`";

#[test]
fn a_port_where_other_sources_pass_is_named_with_the_key_that_closes_it() {
    let lan0 = "\"lan0\"]";
    let v4 = with("mode = \"xdp\"\nother_sources = \"deny\"", "mode = \"xdp\"");
    assert_one(&v4, lan0, &["IPv4 sources", "pass on `lan0`", "is not judged", V4]);
    let v6 = with("other_sources_v6 = \"deny\"", "other_sources_v6 = \"auto\"");
    assert_one(&v6, lan0, &["IPv6 sources", V6]);
    let both = v4.replace("other_sources_v6 = \"deny\"", "other_sources_v6 = \"pass\"");
    assert_one(&both, lan0, &["IPv4 and IPv6 sources", V4, V6]);
    // Behind lan1 is no IPv6 subnet: there `auto` denies.
    let undescribed = with("[[interface]]\nname = \"lan1\"\nother_sources = \"deny\"\n", "");
    assert_one(&undescribed, "\"lan1\"", &["IPv4 sources", "pass on `lan1`"]);
}

#[test]
fn more_addresses_than_devices_are_worth_a_warning_at_the_limit_or_at_the_widest_subnet() {
    let devices = |count: u32| with("devices = 512", &format!("devices = {count}"));
    assert_one(&devices(511), "511", &["on `lan0` hold 512 IPv4 addresses", "room for 511", "set `devices`", "512"]);
    let wide = |subnet: &str| with("\"10.21.0.0/24\"", &format!("\"{subnet}\"")).replace("devices = 512\n", "");
    assert_one(&wide("10.64.0.0/20"), "\"10.64.0.0/20\"", &["4352 IPv4 addresses", "room for 1024", "to 4352 or more"]);
    let widest = wide("11.0.0.0/8");
    let warning = lines(&valid(&widest).warnings).concat();
    assert!(warning.contains("narrower subnets") && !warning.contains("set `devices`"), "{warning}");
    // Four subnets of 256 addresses fit the default, and IPv6 does not count.
    let few = wide("10.21.0.0/24\", \"10.22.0.0/24\", \"10.23.0.0/24");
    assert_eq!(lines(&valid(&few).warnings), Vec::<String>::new());
}

#[test]
fn a_resolver_among_the_devices_is_doubtful() {
    let among = with("\"198.51.100.53\"", "\"10.21.0.53\"");
    let words = ["the resolver `10.21.0.53` lies in the device subnet 10.21.0.0/24", "write \"gateway\""];
    assert_one(&among, "\"10.21.0.53\"", &words);
    assert_one(&with("\"198.51.100.53\"", "\"fd00:20::53\""), "\"fd00:20::53\"", &["fd00:20::/64"]);
}

#[test]
fn all_names_below_what_looks_like_a_registry_are_too_many() {
    for suffix in ["co.uk", "com.au", "ac.jp"] {
        let text = with("\"*.devices.example.com\"", &format!("\"*.{suffix}\""));
        assert_one(&text, &format!("\"*.{suffix}\""), &["looks like the domain of a registry", "*.example."]);
    }
    for good in ["*.example.uk", "*.shop.co.uk", "*.co.example"] {
        let text = with("\"*.devices.example.com\"", &format!("\"{good}\""));
        assert_eq!(lines(&valid(&text).warnings), Vec::<String>::new(), "{good}");
    }
}

#[test]
fn a_file_that_is_no_profile_is_not_repeated() {
    let directory = Directory::new("no-profile");
    let path = directory.write("policy.toml", with("[\"azure-sphere\"]", "[\"./other\"]"));
    for (text, at) in [
        ("root:$6$secret:19000:0:99999:7:::\ndaemon:*:19000:0:99999:7:::\n", "other:1:"),
        ("# secret\npassword = \"secret\"\n", "policy.toml:"),
        ("profile = \"own\"\npassword = \"secret\nsecret\n", "other:2:"),
        ("secret = 1\nsecret = 2\n", "other:2:"),
    ] {
        directory.write("other", text);
        let errors = sphere_userspace::policy::load(&path).unwrap_err();
        let [error] = errors.diagnostics() else { panic!("{errors}") };
        assert!(error.to_string().contains(at), "{error}");
        for said in [errors.to_string(), error.to_string(), error.render_styled()] {
            assert!(!said.contains("secret") && !said.contains("root:"), "{said}");
        }
    }
    directory.write("other", b"profile = \"own\"\nsecret \xff");
    let said = sphere_userspace::policy::load(&path).unwrap_err().to_string();
    assert!(said.contains("other:2:8") && !said.contains("secret"), "{said}");
}

#[test]
fn a_key_that_is_there_twice_is_named() {
    let errors = crate::errors::errors_of(&with("grace = \"15m\"", "grace = \"15m\"\ngrace = \"16m\""));
    let [error] = errors.as_slice() else { panic!("{errors:?}") };
    assert!(error.contains("`grace` is there twice") && error.contains("remove one of the two"), "{error}");
}

#[test]
fn paths_act_on_no_terminal() {
    let directory = Directory::new("plain\u{9b}2J\u{1b}[2J");
    let path = directory.write("policy\u{9b}.toml", with("grace = ", "grase = "));
    let errors = sphere_userspace::policy::load(&path).unwrap_err();
    for said in [errors.to_string(), errors.diagnostics()[0].to_string()] {
        assert!(!said.chars().any(|character| character.is_control() && character != '\n'), "{said:?}");
        assert!(said.contains("\\u{9b}"), "{said}");
    }
}

#[test]
fn metrics_on_the_network_are_worth_a_warning() {
    for address in ["0.0.0.0", "192.0.2.1", "[::]", "[2001:db8::1]", "[::ffff:192.0.2.1]"] {
        let listen = format!("\"{address}:9469\"");
        let text = with("\"127.0.0.1:9469\"", &format!("{listen}\nnetwork = true"));
        assert_one(&text, &listen, &["whoever reaches it", "firewall"]);
    }
    for listen in ["127.0.0.2:1", "[::1]:9469", "[::ffff:127.0.0.1]:9469", "unix:/run/m.sock"] {
        let text = with("\"127.0.0.1:9469\"", &format!("\"{listen}\""));
        assert_eq!(lines(&valid(&text).warnings), Vec::<String>::new());
    }
}

//! From drafts to suggestions: what is too little, too much or too wide is left out and told.

use std::cmp::Reverse;

use super::draft::{Draft, Drafts, Key};
use super::gather::Bounds;
use super::known::{self, Known};
use super::suggestion::{Change, Suggestion, Suggestions, Why};
use super::warn;
use crate::policy::{Group, GroupName, NamePattern, OptionValue, Target};

/// Suggestions that a group gets: more are no help to whoever has to read them, and a device that tries addresses one
/// by one makes any number.
const PER_GROUP: usize = 200;
/// Services that the rules of a group may open at a name, and ports beyond which a target looks tried one by one.
const SERVICES: usize = sphere_common::abi::MAX_SERVICES;

impl Drafts {
    /// The suggestions that come of the drafts.
    pub(super) fn finish(mut self, known: &Known<'_>, bounds: Bounds) -> Suggestions {
        let mut suggestions: Vec<(Key, Suggestion)> = Vec::new();
        for ((name, key), draft) in std::mem::take(&mut self.drafts) {
            let group = known.group(name.as_str()).ok().and_then(|(_, group)| group);
            if let Some(why) = too_much(group, &key, &draft).or_else(|| too_few(&draft, bounds)) {
                self.refuse(name.as_str(), why, &draft.seen);
                continue;
            }
            let warnings = warn::warnings(known, group, (&key, &draft));
            let change = change(known, group, (&key, &draft));
            suggestions.push((key, Suggestion { group: name, change, seen: draft.seen, warnings }));
        }
        let suggestions = self.only_the_largest(suggestions);
        Suggestions { suggestions, wider: Vec::new(), unsuggested: self.unsuggested() }
    }

    /// Of each group those with the most packets, in the order that they had.
    fn only_the_largest(&mut self, mut all: Vec<(Key, Suggestion)>) -> Vec<Suggestion> {
        all.sort_by(|(a_key, a), (b_key, b)| {
            (&a.group, Reverse(a.seen.packets), a_key).cmp(&(&b.group, Reverse(b.seen.packets), b_key))
        });
        let (mut kept, mut group, mut count) = (Vec::new(), None::<GroupName>, 0);
        for (key, suggestion) in all {
            if group.as_ref() != Some(&suggestion.group) {
                (group, count) = (Some(suggestion.group.clone()), 0);
            }
            count += 1;
            if count > PER_GROUP {
                self.refuse(suggestion.group.as_str(), Why::TooMany, &suggestion.seen);
            } else {
                kept.push((key, suggestion));
            }
        }
        kept.sort_by(|(a_key, a), (b_key, b)| (&a.group, a_key).cmp(&(&b.group, b_key)));
        kept.into_iter().map(|(_, suggestion)| suggestion).collect()
    }
}

fn too_few(draft: &Draft, bounds: Bounds) -> Option<Why> {
    let seen = &draft.seen;
    (seen.packets < bounds.packets || seen.devices.len() < bounds.devices).then_some(Why::TooFew)
}

/// More ports than a rule has room for, with what the group opens there already.
fn too_much(group: Option<&Group>, key: &Key, draft: &Draft) -> Option<Why> {
    let (target, there) = match key {
        Key::Allow(target) => {
            let name = match target {
                Target::Name(NamePattern::Exact(name)) => Some(name),
                Target::Name(NamePattern::Below(_)) | Target::Address(_) | Target::Cidr(_) => None,
            };
            (target.clone(), group.zip(name).map_or(0, |(group, name)| known::services_at(group, name)))
        }
        Key::Inbound(from) => (Target::Cidr(*from), 0),
        Key::Resolvers | Key::Option(..) | Key::AnyType(_) => return None,
    };
    (there + draft.services.len() > SERVICES).then_some(Why::ManyPorts(target))
}

fn change(known: &Known<'_>, group: Option<&Group>, (key, draft): (&Key, &Draft)) -> Change {
    match key {
        Key::Resolvers => {
            let there = group.map(|group| group.resolvers.clone());
            Change::Resolvers { added: draft.resolvers.clone(), there }
        }
        Key::Option(profile, option) => option_line(known, group, (profile, option, draft)),
        Key::Allow(target) => Change::Allow {
            target: target.clone(),
            services: draft.services.clone(),
            ports_from: draft.ports_from.clone(),
            allow_private: draft.is_private,
        },
        Key::AnyType(name) => {
            let rule = group.and_then(|group| known::rule_about(group, name));
            Change::AnyType { name: name.clone(), rule: rule.map(|rule| rule.origin.to_string()) }
        }
        Key::Inbound(from) => Change::Inbound { from: *from, services: draft.services.clone() },
    }
}

/// The line of an option, with the entries that it has already.
fn option_line(known: &Known<'_>, group: Option<&Group>, (profile, option, draft): (&str, &str, &Draft)) -> Change {
    let shipped = known.profiles.iter().find(|shipped| shipped.name() == profile);
    let mut entries = shipped.zip(group).map(|(shipped, group)| shipped.entries(option, group)).unwrap_or_default();
    let (mut value, mut about) = ("true".to_owned(), format!("the profile `{profile}` has it, and the option is off"));
    let mut most = None;
    for wanted in &draft.values {
        match wanted {
            OptionValue::On => {}
            OptionValue::Word(word) => value = format!("\"{word}\""),
            OptionValue::Entry(entry, limit) => {
                entries.insert(entry.clone());
                most = *limit;
            }
        }
    }
    if draft.values.iter().any(|value| matches!(value, OptionValue::Entry(..))) {
        let quoted: Vec<String> = entries.iter().map(|entry| format!("\"{entry}\"")).collect();
        value = format!("[{}]", quoted.join(", "));
        about = match most {
            None => format!("an option of the profile `{profile}`, with what it has already"),
            Some(most) if entries.len() > most => {
                format!("an option of the profile `{profile}`, which takes {most} at most: choose")
            }
            Some(_) => format!("an option of the profile `{profile}`: these take the place of its own"),
        };
    }
    Change::Option { profile: profile.to_owned(), line: format!("{option} = {value}"), about }
}

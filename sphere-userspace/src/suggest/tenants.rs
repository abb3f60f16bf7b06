//! Names below which many tenants share addresses: a rule for one of them opens all of them.
//!
//! Drawn from what the providers document about their services' names. The list is short on purpose: it has what devices
//! are likely to meet, and a name that is missing here loses no more than a warning.

use crate::policy::{DomainName, is_at_or_below};

/// Suffix and whose service it is.
const TENANTS: &[(&str, &str)] = &[
    ("akadns.net", "Akamai"),
    ("akamai.net", "Akamai"),
    ("akamaiedge.net", "Akamai"),
    ("akamaihd.net", "Akamai"),
    ("akamaized.net", "Akamai"),
    ("amazonaws.com", "Amazon Web Services"),
    ("appspot.com", "Google App Engine"),
    ("azure-api.net", "Azure API Management"),
    ("azureedge.net", "Azure CDN"),
    ("azurefd.net", "Azure Front Door"),
    ("azurewebsites.net", "Azure App Service"),
    ("b-cdn.net", "bunny.net"),
    ("blob.core.windows.net", "Azure Blob Storage"),
    ("cdn.cloudflare.net", "Cloudflare"),
    ("cdn77.org", "CDN77"),
    ("cloudapp.azure.com", "Azure"),
    ("cloudapp.net", "Azure"),
    ("cloudfront.net", "Amazon CloudFront"),
    ("edgekey.net", "Akamai"),
    ("edgesuite.net", "Akamai"),
    ("fastly.net", "Fastly"),
    ("fastlylb.net", "Fastly"),
    ("file.core.windows.net", "Azure Files"),
    ("firebaseio.com", "Google Firebase"),
    ("github.io", "GitHub Pages"),
    ("herokuapp.com", "Heroku"),
    ("llnwd.net", "Edgio"),
    ("pages.dev", "Cloudflare"),
    ("queue.core.windows.net", "Azure Queue Storage"),
    ("servicebus.windows.net", "Azure Service Bus"),
    ("storage.googleapis.com", "Google Cloud Storage"),
    ("t-msedge.net", "Azure Front Door"),
    ("table.core.windows.net", "Azure Table Storage"),
    ("trafficmanager.net", "Azure Traffic Manager"),
    ("web.core.windows.net", "Azure Storage"),
    ("workers.dev", "Cloudflare"),
];

/// Names of public resolvers that speak encrypted DNS over HTTPS.
const ENCRYPTED_DNS: &[&str] = &[
    "cloudflare-dns.com",
    "dns.adguard-dns.com",
    "dns.google",
    "dns.nextdns.io",
    "dns.opendns.com",
    "dns.quad9.net",
    "doh.opendns.com",
    "one.one.one.one",
];

/// The service to which a name belongs that many tenants share: its suffix, and whose it is.
pub(super) fn many_tenants(name: &DomainName) -> Option<(&'static str, &'static str)> {
    TENANTS.iter().copied().find(|(suffix, _)| is_at_or_below(name.as_str(), suffix))
}

/// Whether everything below a name would have names of many tenants in it.
pub(super) fn has_tenants_below(name: &DomainName) -> bool {
    many_tenants(name).is_some() || TENANTS.iter().any(|(suffix, _)| is_at_or_below(suffix, name.as_str()))
}

/// Whether the name is one of a public resolver that speaks encrypted DNS.
pub(super) fn is_encrypted_dns(name: &DomainName) -> bool {
    ENCRYPTED_DNS.iter().any(|suffix| is_at_or_below(name.as_str(), suffix))
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test that panics has failed")]
mod tests {
    use super::*;

    #[test]
    fn suffixes_are_names_in_order_and_match_whole_labels() {
        assert!(TENANTS.is_sorted() && ENCRYPTED_DNS.is_sorted());
        for (suffix, _) in TENANTS {
            assert_eq!(DomainName::parse(suffix).unwrap().as_str(), *suffix);
        }
        let found = |name| many_tenants(&DomainName::parse(name).unwrap()).map(|(suffix, _)| suffix);
        assert_eq!(found("x.azurefd.net"), Some("azurefd.net"));
        assert_eq!(found("a.b.blob.core.windows.net"), Some("blob.core.windows.net"));
        assert_eq!(found("notazurefd.net"), None);
        let below = |name| has_tenants_below(&DomainName::parse(name).unwrap());
        assert!(below("core.windows.net") && below("x.cloudfront.net") && !below("example.com"));
    }
}
